"""`flyball profiles`: what rows look like, and whether later ones look alike."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import Json
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import BadInput, counted_units, format_second, parse_duration

if TYPE_CHECKING:
    from flyball.monitoring import ColumnProfile, Comparison, TableProfile, WindowProfiles

commands = group("What rows look like, and whether later ones look alike: show, compare.")

TimeColumn = Annotated[str | None, typer.Option("--time", help="The column of times that divides rows into windows.")]
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
    _show_columns(table)
    if out is not None:
        say(f"written to {out}")


@commands.command("compare")
def compare(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="Rows as they should be, or their .profile.")],
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="The rows to look at, or their .profile.")],
    time: TimeColumn = None,
    window: WindowLength = "1d",
    least: Annotated[
        float, typer.Option("--least", help="The least difference that matters, in shares of the rows.")
    ] = 0.05,
    alpha: Annotated[
        float, typer.Option("--alpha", help="The probability of any shift among the results where nothing shifted.")
    ] = 0.05,
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
        _show_comparison(comparison, len(before.windows))
    if comparison.differs:
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


def _show_columns(profile: "TableProfile") -> None:
    columns = ["column", "kind", "missing", "distinct", "least", "median", "mean", "greatest", "most frequent"]
    rows = [[name, *_cells(column)] for name, column in profile.columns.items()]
    show_table(columns, rows, right=columns[2:8], optional=["mean", "distinct", "most frequent"])


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


def _show_comparison(comparison: "Comparison", windows: int) -> None:
    before, now = comparison.rows
    reference = f"{counted_units(before, 'row')} in {counted_units(windows, 'window')}"
    say(f"{counted_units(now, 'row')} compared with {reference}")
    for words, names in (("new columns", comparison.added), ("columns gone", comparison.removed)):
        if names:
            say(f"{words}: {', '.join(names)}")
    for name, (kind_before, kind_now) in comparison.kinds.items():
        say(f"column {name} changed its kind from {kind_before} to {kind_now}")
    shifts = [shift for shift in comparison.shifts if shift.shifted]
    if shifts:
        columns = ["column", "of its", "change", "difference", "p", "rows like one"]
        rows = [
            [
                shift.column,
                shift.aspect,
                shift.change,
                f"{shift.distance:.1%}",
                f"{shift.p:.2g}",
                f"{shift.design_effect:.1f}",
            ]
            for shift in shifts
        ]
        show_table(columns, rows, right=columns[3:], optional=["rows like one", "p"])
    quiet = len(comparison.shifts) - len(shifts)
    say(f"{counted_units(quiet, 'comparison')} without a shift")
