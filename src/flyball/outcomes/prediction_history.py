"""Predictions as columns: a row for each shown item, and one row for a response without items."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.events import Offsets, Record, Schema
from flyball.files import FileStore
from flyball.history import HistoryConsumer, read_stored
from flyball.outcomes.frames import exposure_rows, exposure_type
from flyball.outcomes.prediction import TYPE, Prediction, prediction_of

if TYPE_CHECKING:
    import polars as pl

FLUSH_ANSWERS = 10_000
"""Each is a row for every item that was shown."""
_PART = 1_000
_BY_RESPONSE = (
    "version",
    "arrangement",
    "arm",
    "propensity",
    "level",
    "values",
    "decision",
    "decision_propensity",
    "stale_us",
    "took_us",
    "request_type",
    "assigned",
    "failed",
)


def prediction_consumer(location: Path | FileStore, partitions: int) -> HistoryConsumer:
    """A consumer that writes the stream of predictions to Parquet files in `location`, each record exactly once."""
    return HistoryConsumer(
        Schema([]), location, partitions=partitions, frame_of_stored=prediction_frame, flush_rows=FLUSH_ANSWERS
    )


def read_predictions(
    location: Path | FileStore, *, as_of_us: int | None = None, before: Offsets | None = None
) -> "pl.DataFrame":
    """The rows of responses up to `as_of_us`, and `before` these offsets of the stream, in order of time.

    Columns: see `prediction_columns`; the request's fields are JSON. `rank` is 0 for the first item; `rank`, `item`,
    `score`, `source`, `item_propensity` and `parts` are null for a response without items.
    """
    import polars as pl

    def known(part: Any) -> bool:
        return as_of_us is None or part.first_known_us <= as_of_us

    frame = read_stored(location, TYPE, chosen=known, before=before)
    if frame is None:
        return pl.DataFrame(schema=prediction_columns())
    frame = with_later_columns(frame)
    return frame if as_of_us is None else frame.filter(pl.col("known_at") <= as_of_us)


def with_later_columns(frame: "pl.DataFrame") -> "pl.DataFrame":
    """`frame` with the columns that older files lack, filled as it was then: the propensity of a decision is 1, no
    response took part in a release, and the assigned version answered."""
    import polars as pl

    columns = prediction_columns()
    earlier: dict[str, Any] = {"decision_propensity": 1.0, "assigned": "", "failed": "", "exposures": []}
    filled = [
        (
            pl.col(name).fill_null(pl.lit(value, dtype=columns[name]))
            if name in frame.columns
            else pl.lit(value, dtype=columns[name]).alias(name)
        )
        for name, value in earlier.items()
    ]
    return frame.with_columns(filled).select(*columns)


def prediction_columns() -> "dict[str, Any]":
    """{column: polars type}."""
    import polars as pl

    return {
        "prediction": pl.String,
        "at": pl.Int64,
        "known_at": pl.Int64,
        "partition": pl.Int32,
        "offset": pl.Int64,
        "key": pl.String,
        "request": pl.String,
        "version": pl.String,
        "arrangement": pl.Int64,
        "arm": pl.String,
        "propensity": pl.Float64,
        "level": pl.String,
        "values": pl.List(pl.Float64),
        "decision": pl.String,
        "decision_propensity": pl.Float64,
        "stale_us": pl.Int64,
        "took_us": pl.Int64,
        "request_type": pl.String,
        "assigned": pl.String,
        "failed": pl.String,
        "exposures": exposure_type(),
        "rank": pl.Int32,
        "item": pl.String,
        "score": pl.Float64,
        "source": pl.String,
        "item_propensity": pl.Float64,
        "parts": pl.List(pl.Float64),
    }


def prediction_frame(rows: Sequence[tuple[Record, int, int]]) -> "pl.DataFrame":
    """A frame of (record, partition, offset) of the stream, made part by part: as Python's objects an answer with ten
    items takes 24 KB, in the frame 2 KB."""
    import polars as pl

    parts = [_part_of_frame(rows[start : start + _PART]) for start in range(0, max(len(rows), 1), _PART)]
    return pl.concat(parts, rechunk=True)


def _part_of_frame(rows: Sequence[tuple[Record, int, int]]) -> "pl.DataFrame":
    import polars as pl

    columns: dict[str, list[Any]] = {name: [] for name in prediction_columns()}
    for record, partition, offset in rows:
        prediction = prediction_of(record)
        by_response = {
            "prediction": prediction.id,
            "at": record.at,
            "known_at": record.known_at,
            "partition": partition,
            "offset": offset,
            "key": record.key,
            "request": msgspec.json.encode(prediction.request, order="sorted").decode(),
            **{name: getattr(prediction, name) for name in _BY_RESPONSE},
            "exposures": exposure_rows(prediction),
        }
        items = _items(prediction)
        count = len(items["rank"])
        for name, value in by_response.items():
            columns[name] += [value] * count
        for name, values in items.items():
            columns[name] += values
    return pl.DataFrame(columns, schema=prediction_columns())


def _items(prediction: Prediction) -> dict[str, list[Any]]:
    count = len(prediction.items)
    if count == 0:
        return {name: [None] for name in ("rank", "item", "score", "source", "item_propensity", "parts")}
    return {
        "rank": list(range(count)),
        "item": prediction.items,
        "score": prediction.scores,
        "source": prediction.sources,
        "item_propensity": [prediction.propensities.get(rank, 1.0) for rank in range(count)],
        "parts": [list(parts) for parts in prediction.parts] or [None] * count,
    }
