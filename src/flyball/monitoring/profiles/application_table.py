"""The rows of an application of which profiles are taken: events of a type, or predictions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flyball.monitoring.profiles.table import TableProfile
from flyball.outcomes import predictions_frame
from flyball.runtime import Runtime

if TYPE_CHECKING:
    import polars as pl

PREDICTIONS = "predictions"
TIME, KEY = "_at", "_key"
_NOT_PROFILED = (
    *("at", "known_at", "partition", "offset", "key", "id", "flags", "offsets", "worker"),
    *("version", "arrangement", "arm", "exposures", "assigned", "drafted"),
)
"""Columns that name a row or its place, and those that a release changes by its purpose."""


def application_table(
    runtime: Runtime, name: str, since_us: int, until_us: int, *, by_known: bool = False
) -> "pl.DataFrame":
    """The rows of `[since_us, until_us)`, by event time or by the time they became known, with `_at` and `_key`.

    `name`: an event type, whose references to entities are left out, or "predictions". Of predictions the request is
    left out; each value that the task predicts is a column, and `top_score` is the score of the first item.
    """
    import polars as pl

    if name == PREDICTIONS:
        table = _prediction_columns(runtime, predictions_frame(runtime.predictions, since_us, until_us))
        left_out = [column for column in table.columns if column.startswith("request.")]
        time = "at"
    else:
        history, time = runtime.history, "known_at" if by_known else "at"
        table = (
            history.events(name, as_of_us=until_us - 1, known_since_us=since_us)
            if by_known
            else history.events(name, since_us, until_us=until_us)
        )
        left_out = [field for field, _ in runtime.schema.types[name].flagged]
    times = pl.col(time).cast(pl.Int64).alias(TIME)
    return table.select(times, pl.col("key").alias(KEY), pl.exclude(*_NOT_PROFILED, *left_out))


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
