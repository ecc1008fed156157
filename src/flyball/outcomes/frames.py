"""Predictions and outcomes as frames, for notebooks and exports."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.events import EventLog
from flyball.outcomes.prediction import LAST_US, Prediction, id_text, prediction_of, records_between
from flyball.outcomes.reading import MICRO
from flyball.outcomes.store import OutcomeStore
from flyball.outcomes.tables import Location, tables_exist

if TYPE_CHECKING:
    import polars as pl

_ROWS = 50_000


def predictions_frame(log: EventLog, from_us: int = 0, until_us: int = LAST_US) -> "pl.DataFrame":
    """A row for each response given in `[from_us, until_us)`, in order of time.

    Columns: `id, at, key`; each field of the request as `request.NAME`; `version, arrangement, arm, propensity, level,
    decision, decision_propensity, values`; `items, scores, sources, propensities`, lists of equal length; `offsets,
    stale_us, took_us, worker`; `exposures`, a list of `release, arm, propensity`; `assigned, failed`; `drafted`, the
    version that placed each item of a drafted list, else []. Fields that are neither scalars nor lists of texts are
    JSON.
    """
    import polars as pl

    rows: list[dict[str, Any]] = []
    frames = [_frame(rows)]  # an empty frame, so that the columns exist without predictions
    for record in records_between(log, from_us, until_us):
        rows.append(_row(prediction_of(record)))
        if len(rows) == _ROWS:
            frames.append(_frame(rows))
            rows = []
    frames.append(_frame(rows))
    return pl.concat(frames, how="diagonal_relaxed").sort("at", "id")


def decisions_frame(log: EventLog, as_of_us: int) -> "pl.DataFrame":
    """A row for each response with a decision up to `as_of_us`; for the columns see `tasks.DECISIONS`."""
    import polars as pl

    columns: dict[str, list[Any]] = {"at": [], "known_at": [], "request": [], "decision": [], "propensity": []}
    for record in records_between(log, 0, as_of_us + 1):
        prediction = prediction_of(record)
        if prediction.decision:
            columns["at"].append(prediction.at_us)
            columns["known_at"].append(record.known_at)
            columns["request"].append(msgspec.json.encode(prediction.request).decode())
            columns["decision"].append(prediction.decision)
            columns["propensity"].append(prediction.decision_propensity)
    times = {"at": pl.Int64, "known_at": pl.Int64}
    texts = {"request": pl.String, "decision": pl.String, "propensity": pl.Float64}
    return pl.DataFrame(columns, schema={**times, **texts})


def _row(prediction: Prediction) -> dict[str, Any]:
    count = len(prediction.items)
    return {
        "id": prediction.id,
        "at": prediction.at_us,
        "key": prediction.key,
        **{f"request.{name}": _plain(value) for name, value in prediction.request.items()},
        "version": prediction.version,
        "arrangement": prediction.arrangement,
        "arm": prediction.arm,
        "propensity": prediction.propensity,
        "level": prediction.level,
        "decision": prediction.decision,
        "decision_propensity": prediction.decision_propensity,
        "values": prediction.values,
        "items": prediction.items,
        "scores": prediction.scores,
        "sources": prediction.sources,
        "propensities": [prediction.propensities.get(position, 1.0) for position in range(count)],
        "offsets": list(prediction.offsets),
        "stale_us": prediction.stale_us,
        "took_us": prediction.took_us,
        "worker": prediction.worker,
        "exposures": exposure_rows(prediction),
        "assigned": prediction.assigned,
        "failed": prediction.failed,
        "drafted": [prediction.teams[team].version for team in prediction.drafted],
    }


def exposure_rows(prediction: Prediction) -> list[dict[str, Any]]:
    """The releases that the response took part in, as values of the type `exposure_type`."""
    return [msgspec.structs.asdict(exposure) for exposure in prediction.exposures]


def exposure_type() -> Any:
    """The polars type of the column `exposures`."""
    import polars as pl

    return pl.List(pl.Struct({"release": pl.String, "arm": pl.String, "propensity": pl.Float64}))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(element, str) for element in value):
        return list(value)
    return None if not value else msgspec.json.encode(value, order="sorted").decode()


def _frame(rows: Sequence[Mapping[str, Any]]) -> "pl.DataFrame":
    import polars as pl

    texts, numbers = pl.List(pl.String), pl.List(pl.Float64)
    schema: dict[str, Any] = {
        "id": pl.String,
        "at": pl.Datetime("us", "UTC"),
        "key": pl.String,
        "version": pl.String,
        "arrangement": pl.Int64,
        "arm": pl.String,
        "propensity": pl.Float64,
        "level": pl.String,
        "decision": pl.String,
        "decision_propensity": pl.Float64,
        "values": numbers,
        "items": texts,
        "scores": numbers,
        "sources": texts,
        "propensities": numbers,
        "offsets": pl.List(pl.Int64),
        "stale_us": pl.Int64,
        "took_us": pl.Int64,
        "worker": pl.String,
        "exposures": exposure_type(),
        "assigned": pl.String,
        "failed": pl.String,
        "drafted": texts,
    }
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(schema)
    columns = [_series(name, [row.get(name) for row in rows], schema.get(name)) for name in names]
    return pl.DataFrame(columns)


def _series(name: str, values: Sequence[Any], dtype: Any) -> "pl.Series":
    import polars as pl

    if dtype is None and len({type(value) for value in values if value is not None}) > 1:
        values = [None if value is None else msgspec.json.encode(value).decode() for value in values]
    return pl.Series(name, values, dtype=dtype)


def label_values(location: Location, label: str, from_us: int = 0) -> Iterator[tuple[str, float | None, bool]]:
    """(response, the value of a label or None, whether something else ended the wait) of each response since
    `from_us` and each of its items that something followed."""
    if not tables_exist(location):
        return
    store = OutcomeStore(location, read_only=True)
    try:
        for _, _, id, _, attribution in store.all_attributions(from_us) if store.ready() else ():
            known = attribution.labels.get(label)
            yield id_text(id), None if known is None else known.value / MICRO, label in attribution.censored
    finally:
        store.close()


class LabelOutcome(msgspec.Struct, frozen=True):
    """What is known of one label of a response `id`, or of an item in it, at `position`: its value, None if it does not
    hold; whether another event ended the wait; and the time from the response to the first event that followed."""

    id: str
    item: str
    position: int
    value: float | None
    censored: bool
    after_us: int


def followed_labels(location: Location, label: str, from_us: int = 0) -> Iterator[LabelOutcome]:
    """The label of each response since `from_us`, and of each of its items, that something followed; one at a time."""
    if not tables_exist(location):
        return
    store = OutcomeStore(location, read_only=True)
    try:
        for at_us, _, id, item, attribution in store.all_attributions(from_us) if store.ready() else ():
            known = attribution.labels.get(label)
            yield LabelOutcome(
                id_text(id),
                item,
                attribution.position,
                None if known is None else known.value / MICRO,
                label in attribution.censored,
                attribution.first_at - at_us,
            )
    finally:
        store.close()


def outcomes_frame(location: Location, from_us: int = 0) -> "pl.DataFrame":
    """A row for each response since `from_us` and each of its items with events in its window; empty without outcomes.

    Columns: `id, at, key, version` of the response; `item`, "" for events about the whole request, and its `position`;
    `first_at, last_at`, the times of the first and last event; `events.TYPE`, the number of events of a type;
    `labels.NAME`, the value of a label that holds; `censored`, the labels that another event ended before they held.
    """
    import polars as pl

    rows: list[dict[str, Any]] = []
    if tables_exist(location):
        store = OutcomeStore(location, read_only=True)
        try:
            for at_us, key, id, item, attribution in store.all_attributions(from_us) if store.ready() else ():
                rows.append(
                    {
                        "id": id_text(id),
                        "at": at_us,
                        "key": key,
                        "version": attribution.version,
                        "item": item,
                        "position": attribution.position,
                        "first_at": attribution.first_at,
                        "last_at": attribution.last_at,
                        **{f"events.{name}": count for name, count in sorted(attribution.kinds.items())},
                        **{f"labels.{name}": label.value / MICRO for name, label in sorted(attribution.labels.items())},
                        "censored": list(attribution.censored),
                    }
                )
        finally:
            store.close()
    moment = pl.Datetime("us", "UTC")
    schema: dict[str, Any] = {
        "id": pl.String,
        "at": moment,
        "key": pl.String,
        "version": pl.String,
        "item": pl.String,
        "position": pl.Int64,
        "first_at": moment,
        "last_at": moment,
        **dict.fromkeys(sorted({name for row in rows for name in row if name.startswith("events.")}), pl.Int64),
        **dict.fromkeys(sorted({name for row in rows for name in row if name.startswith("labels.")}), pl.Float64),
        "censored": pl.List(pl.String),
    }
    frame = pl.DataFrame({name: [row.get(name) for row in rows] for name in schema}, schema=schema)
    return frame.sort("at", "id", "item")
