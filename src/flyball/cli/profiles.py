"""`flyball profiles`: what rows look like, and whether later ones look alike."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Wide, open_home
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import BadInput, Refused, counted_units, format_second, parse_duration, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flyball.monitoring import ColumnProfile, Comparison, DataChanges, TableProfile, WindowProfiles

commands = group("What rows look like, and whether later ones look alike: show, compare, changes.")

TimeColumn = Annotated[str | None, typer.Option("--time", help="The column of times that divides rows into windows.")]
Least = Annotated[float, typer.Option("--least", help="The least difference that matters, in shares of the rows.")]
Alpha = Annotated[
    float, typer.Option("--alpha", help="The probability of any shift among the results where nothing shifted.")
]
WindowLength = Annotated[str, typer.Option("--window", help="The length of a window, such as 1h or 7d.")]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="profiles")


@commands.command("show")
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows as .csv, .jsonl or .parquet, or a .profile.")],
    time: TimeColumn = None,
    window: WindowLength = "1d",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the profile to this file, NAME.profile, to compare with later.")
    ] = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show what the rows of a file look like, column by column."""
    from flyball.monitoring import ENDING, write_profiles

    if out is not None and out.suffix != ENDING:
        raise BadInput("--out", f"named with {ENDING}", out.name)
    profiles = _profiles(file, time, window)
    table = profiles.merged()
    if out is not None:
        write_profiles(out, profiles)
    if json:
        show_json({"rows": table.rows, "columns": {name: _plain(column) for name, column in table.columns.items()}})
        return
    say(f"{counted_units(table.rows, 'row')}, {counted_units(len(table.columns), 'column')}{_windows(profiles)}")
    _show_columns(table, wide)
    if out is not None:
        say(f"written to {out}")


@commands.command("compare")
def compare(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="Rows as they should be, or their .profile.")],
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="The rows to look at, or their .profile.")],
    time: TimeColumn = None,
    window: WindowLength = "1d",
    least: Least = 0.05,
    alpha: Alpha = 0.05,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Compare rows with those of a reference; exits 1 if a column shifted, came, went or changed its type.

    With --time the windows of the reference show how far rows of a usual window lie apart, seasons included. Without,
    rows count as independent of each other.
    """
    from flyball.monitoring import compare_profiles

    before = _profiles(reference, time, window)
    comparison = compare_profiles(
        before.in_order(), _profiles(current, time, window).merged(), least=least, alpha=alpha
    )
    if json:
        show_json(comparison)
    else:
        _show_comparison(comparison, len(before.windows), wide)
    if comparison.differs:
        raise typer.Exit(1)


@commands.command("changes")
def changes(
    app: AppName,
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[TYPE]...", help="Event types, or predictions; all if left out.")
    ] = None,
    last: Annotated[str, typer.Option("--last", help="The length of the window to look at.")] = "1d",
    before: Annotated[str, typer.Option("--before", help="How much before it is usual: a multiple of --last.")] = "28d",
    until: Annotated[
        str | None, typer.Option("--until", help="The end of the window; by default behind the latest event.")
    ] = None,
    least: Least = 0.05,
    alpha: Alpha = 0.05,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show what changed in the data of an application; exits 1 if anything did.

    The events and predictions of the last window are compared with those of the windows before.
    """
    from flyball.monitoring import data_changes
    from flyball.operations import catch_up

    runtime = open_home(app, home)
    catch_up(runtime)
    result = data_changes(
        runtime,
        last_us=parse_duration(last),
        before_us=parse_duration(before),
        names=what or (),
        until_us=None if until is None else parse_timestamp(until),
        least=least,
        alpha=alpha,
    )
    if json:
        show_json(result)
    else:
        _show_changes(result, wide)
    if not result.tables:
        raise Refused(
            "nothing could be compared: " + "; ".join(f"{name} has {why}" for name, why in result.skipped.items())
        )
    if result.differs:
        raise typer.Exit(1)


def _profiles(file: Path, time: str | None, window: str) -> "WindowProfiles":
    from flyball.monitoring import ENDING, profile_table, read_profiles

    if file.suffix == ENDING:
        return read_profiles(file)
    return profile_table(file, time, parse_duration(window))


def _windows(profiles: "WindowProfiles") -> str:
    if not profiles.window_us or not profiles.windows:
        return ""
    first, last = min(profiles.windows), max(profiles.windows) + profiles.window_us
    return f", {counted_units(len(profiles.windows), 'window')} from {format_second(first)} to {format_second(last)}"


def _show_columns(profile: "TableProfile", wide: bool) -> None:
    columns = ["column", "kind", "missing", "distinct", "least", "median", "mean", "greatest", "most frequent"]
    rows = [[name, *_cells(column)] for name, column in profile.columns.items()]
    show_table(columns, rows, right=columns[2:8], optional=["mean", "distinct", "most frequent"], wide=wide)


def _cells(column: "ColumnProfile") -> list[object]:
    missing = f"{column.missing / column.rows:.1%}" if column.rows else None
    distinct = f"{column.distinct.estimate():,.0f}"
    numbers: list[object] = [None] * 4
    if column.numbers.count:
        low, middle, high = column.quantiles.quantiles([0, 0.5, 1]).tolist()
        numbers = [_number(value, column) for value in (low, middle, column.numbers.mean, high)]
    frequent = ", ".join(f"{item} {count / column.frequent.count:.0%}" for item, count in column.frequent.most(2))
    return [" and ".join(column.kinds) or None, missing, distinct, *numbers, frequent or None]


def _number(value: float, column: "ColumnProfile") -> str:
    return format_second(int(value)) if column.kind == "time" else f"{value:,.6g}"


def _plain(column: "ColumnProfile") -> dict[str, object]:
    shares = [0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1]
    quantiles = column.quantiles.quantiles(shares).tolist() if column.numbers.count else []
    return {
        "kinds": column.kinds,
        "missing": column.missing,
        "infinite": column.infinite,
        "distinct": round(column.distinct.estimate()),
        "mean": column.numbers.mean if column.numbers.count else None,
        "standard_deviation": column.numbers.variance**0.5 if column.numbers.count else None,
        "quantiles": {f"{share:g}": value for share, value in zip(shares, quantiles, strict=False)},
        "frequent": [[item, count] for item, count in column.frequent.most(20)],
    }


def _show_comparison(comparison: "Comparison", windows: int, wide: bool) -> None:
    before, now = comparison.rows
    reference = f"{counted_units(before, 'row')} in {counted_units(windows, 'window')}"
    say(f"{counted_units(now, 'row')} compared with {reference}")
    _show_differences({"": comparison}, wide)


def _show_changes(changes: "DataChanges", wide: bool) -> None:
    start_us = changes.until_us - changes.last_us
    say(f"{format_second(start_us)} to {format_second(changes.until_us)}, compared with windows as long before it\n")
    volumes = [
        [
            name,
            f"{volume.rows:,}",
            f"{volume.usual:,.0f}",
            None if volume.p is None else f"{volume.p:.2g}",
            changes.skipped.get(name),
        ]
        for name, volume in changes.volumes.items()
    ]
    show_table(["rows of", "now", "usual", "p", ""], volumes, right=["now", "usual", "p"])
    say()
    _show_differences(changes.tables, wide)


def _show_differences(tables: "Mapping[str, Comparison]", wide: bool) -> None:
    for name, comparison in tables.items():
        of_table = f" of {name}" if name else ""
        for words, names in (("new columns", comparison.added), ("columns gone", comparison.removed)):
            if names:
                say(f"{words}{of_table}: {', '.join(names)}")
        for column, (kind_before, kind_now) in comparison.kinds.items():
            say(f"column {column}{of_table} changed its kind from {kind_before} to {kind_now}")
    shifts = [(name, shift) for name, comparison in tables.items() for shift in comparison.shifts]
    rows = [
        [
            f"{name}.{shift.column}" if name else shift.column,
            shift.aspect,
            shift.change,
            f"{shift.distance:.1%}",
            f"{shift.p:.2g}",
            f"{shift.design_effect:.1f}",
        ]
        for name, shift in shifts
        if shift.shifted
    ]
    if rows:
        columns = ["column", "of its", "change", "difference", "p", "rows like one"]
        show_table(columns, rows, right=columns[3:], optional=["rows like one", "p"], wide=wide)
    say(f"{counted_units(len(shifts) - len(rows), 'comparison')} without a shift")
