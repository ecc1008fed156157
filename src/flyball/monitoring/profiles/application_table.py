"""The rows of an application of which profiles are taken: events of a type, or predictions."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from flyball.events import IMPORTED
from flyball.monitoring.profiles.delays import DELAY
from flyball.monitoring.profiles.repeated import id_columns, repeated_rows
from flyball.monitoring.profiles.table import TableProfile
from flyball.outcomes import predictions_frame
from flyball.runtime import Runtime

if TYPE_CHECKING:
    import polars as pl

PREDICTIONS = "predictions"
TIME, KEY = "_at", "_key"
_WEEK_US, _MOST_ROWS = 7 * 86_400_000_000, 200_000
_NOT_PROFILED = (
    *("at", "known_at", "partition", "offset", "key", "id", "flags", "offsets", "worker"),
    *("version", "arrangement", "arm", "exposures", "assigned", "drafted"),
)
"""Columns that name a row or its place, and those that a release changes by its purpose."""


def application_table(
    runtime: Runtime,
    name: str,
    since_us: int,
    until_us: int,
    *,
    by_known: bool = False,
    ids: Sequence[str] | None = None,
    known: "Callable[[str, int, int], pl.DataFrame] | None" = None,
) -> "pl.DataFrame":
    """The rows of `[since_us, until_us)`, by event time or by the time they became known, with `_at` and `_key`.

    `name`: an event type, whose references to entities are left out, or "predictions". Of predictions the request is
    left out; each value that the task predicts is a column, and `top_score` is the score of the first item. By the time
    they became known events have the columns of `with_marks`, for which `ids` are columns that name a row; `known`
    reads them, by default from the history.
    """
    import polars as pl

    if name == PREDICTIONS:
        table = _prediction_columns(runtime, predictions_frame(runtime.predictions, since_us, until_us))
        left_out = [column for column in table.columns if column.startswith("request.")]
        time = "at"
    else:
        history, time = runtime.history, "known_at" if by_known else "at"
        table = (
            (known or _known_rows(runtime))(name, since_us, until_us)
            if by_known
            else history.events(name, since_us, until_us=until_us)
        )
        left_out = [field for field, _ in runtime.schema.types[name].flagged]
        if by_known and is_marked(runtime, name):
            table = with_marks(table, runtime.schema.types[name].fields, ids)
    times = pl.col(time).cast(pl.Int64).alias(TIME)
    return table.select(times, pl.col("key").alias(KEY), pl.exclude(*_NOT_PROFILED, *left_out))


def _known_rows(runtime: Runtime) -> "Callable[[str, int, int], pl.DataFrame]":
    return lambda name, since_us, until_us: runtime.history.events(name, as_of_us=until_us - 1, known_since_us=since_us)


def is_marked(runtime: Runtime, name: str) -> bool:
    """Whether rows of a type come one by one as they happen, so that delays and repetition of them mean something."""
    return name in runtime.schema.types and not runtime.schema.types[name].is_profile


def with_marks(rows: "pl.DataFrame", fields: Sequence[str], ids: Sequence[str] | None) -> "pl.DataFrame":
    """`rows` of `History.events` with their delays, those of live events alone, and which of them repeat another."""
    import polars as pl

    live = (pl.col("flags").cast(pl.UInt64) & IMPORTED) == 0
    delay_s = (pl.col("known_at").cast(pl.Int64) - pl.col("at").cast(pl.Int64)) / 1_000_000
    return rows.with_columns(pl.when(live).then(delay_s).alias(DELAY), repeated_rows(rows, fields, ids))


def ids_of(runtime: Runtime, name: str, until_us: int) -> tuple[str, ...] | None:
    """The columns of a type that name a row, by what became known in the week before; None for too few rows."""
    if not is_marked(runtime, name):
        return None
    rows = runtime.history.events(name, as_of_us=until_us - 1, known_since_us=until_us - _WEEK_US)
    return id_columns(rows.tail(_MOST_ROWS), runtime.schema.types[name].fields)


def profile_rows(rows: "pl.DataFrame", leave_out: Sequence[str] = ()) -> TableProfile:
    """The profile of rows of `application_table`, without the columns `leave_out`."""
    return TableProfile.of(rows.drop(TIME, KEY, *leave_out, strict=False), rows[KEY])


def _prediction_columns(runtime: Runtime, table: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    values = [
        pl.col("values").list.get(position, null_on_oob=True).alias(f"value.{name}")
        for position, name in enumerate(runtime.app.task.about.values)
    ]
    scores = [pl.col("scores").list.first().alias("top_score")] if runtime.app.task.about.items else []
    return table.with_columns(*values, *scores).drop("values", "scores", *([] if scores else ["items", "sources"]))
