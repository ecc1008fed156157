"""`flyball accuracy`: the published protocols over a folder of ratings."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyball.cli.common import Json, pairs
from flyball.cli.show import progress_line, say, show_json, show_table
from flyball.core import BadInput

if TYPE_CHECKING:
    from flyball.evaluation import AccuracyTable, RatedSet


def register(app: typer.Typer) -> None:
    app.command()(accuracy)


def accuracy(
    folder: Annotated[Path, typer.Argument(help="A folder (or file) with ratings; the layout is recognized.")],
    protocols: Annotated[
        str | None,
        typer.Option("--protocols", help="Of ratings, lists, strong, last, time, time_ratings.", show_default="all"),
    ] = None,
    families: Annotated[
        str | None, typer.Option("--families", help="Names of models, with commas between.", show_default="all")
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Parameter sets tried for each family, on withheld training data.")
    ] = 1,
    users: Annotated[
        int | None,
        typer.Option("--users", min=1, help="Ask lists for so many users at most in each fold.", show_default="all"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of splits, draws and fits.", show_default="the protocol's own")
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FAMILY.NAME=VALUE", help="A parameter, such as ease.items=20000; repeatable."),
    ] = None,
    times: Annotated[bool, typer.Option("--times", help="Show seconds too (they differ from run to run).")] = False,
    json: Json = False,
) -> None:
    """Compare the models on a data set, by the protocols of the published tables.

    The same folder, families and seed print the same table.
    """
    from flyball.core import SystemStopwatch
    from flyball.evaluation import accuracy_tables, read_rated_set

    data = read_rated_set(folder)
    if not json:
        _head(data)

    def show_table_now(table: "AccuracyTable") -> None:
        if not json:
            progress("")
            _print_table(table, times)
            sys.stdout.flush()

    with progress_line(json) as progress:
        names = _names("--protocols", protocols), _names("--families", families)
        tables = accuracy_tables(
            data, *names, seed, trials, SystemStopwatch(), progress, users, show_table_now, _fixed(fixed or [])
        )
    if json:
        about = {"data": data.name, "file": data.file, "users": len(data.data.users), "items": len(data.data.items)}
        show_json({**about, "rows": len(data.data.user_index), "clock": data.clock, "tables": tables})


def _fixed(chosen: list[str]) -> dict[str, dict[str, Any]]:
    fixed: dict[str, dict[str, Any]] = {}
    for name, value in pairs(chosen).items():
        family, dot, parameter = name.partition(".")
        if not dot:
            raise BadInput("--set", "FAMILY.NAME=VALUE, such as ease.items=20000", f"{name}={value}")
        fixed.setdefault(family, {})[parameter] = value
    return fixed


def _names(option: str, text: str | None) -> list[str] | None:
    """The names with commas between them; raises `BadInput` for none, which would compare nothing."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise BadInput(option, "one name or more, with commas between", text)
    return names


def _head(data: "RatedSet") -> None:
    size = f"{len(data.data.users):,} users, {len(data.data.items):,} items, {len(data.data.user_index):,} rows"
    say(f"{data.name} ({data.file}): {size}")


def _print_table(table: "AccuracyTable", times: bool) -> None:
    say(f"\n## {table.title} ({table.protocol})")
    if table.skipped:
        say(f"not run: {table.skipped}")
        return
    of = f" of {table.able:,}" if table.measured < table.able else ""
    say(f"{table.about} Measured: {table.measured:,}{of}.\n")
    columns = [*table.columns, *(["fit s", "measure s"] if times else [])]
    rows = []
    for line in table.lines:
        metrics = [f"{line.metrics[name]:.4f}" if name in line.metrics else None for name in table.columns]
        spent = [f"{line.fit_s:.2f}", f"{line.measure_s:.2f}"] if times else []
        rows.append([line.family, *metrics, *spent, *([line.failed] if line.failed else [])])
    show_table(["family", *columns], rows, columns)
    if table.trials:
        say(f"\nChosen among {len(table.trials)} trials on withheld training data:")
        for line in table.lines:
            say(f"{line.family}: " + ", ".join(f"{name}={value}" for name, value in line.params.items()))
