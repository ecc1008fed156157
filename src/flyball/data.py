"""An application's data, read only, for notebooks and exports.

Promises: reading does not disturb running processes; frames have datetimes in UTC; columns that events, predictions
and outcomes have in common have the same names.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flyball.app import load_app
from flyball.core import BadInput, NotFound, SystemClock, microseconds_of, parse_timestamp
from flyball.events import Offsets
from flyball.history import History, Snapshot, WrittenFrame, with_times, write_frame
from flyball.home import check_own_home, default_home
from flyball.outcomes import outcomes_frame, predictions_frame
from flyball.runtime import Runtime
from flyball.settings import load_settings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ANSWERS", "AppData", "export_data", "open"]

ANSWERS = ("predictions", "outcomes")
"""What can be exported beside the event types."""

Moment = datetime | str | int
"""A time: a datetime, ISO 8601 text, or microseconds since 1970 UTC."""


class AppData:
    """Events, predictions and outcomes of an application as polars frames.

    `since`, `until` and `as_of` are datetimes, ISO 8601 text, or microseconds since 1970 UTC.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @cached_property
    def history(self) -> History:
        """The history that events are read from."""
        return self._runtime.history

    def events(self, name: str, since: Moment | None = None, as_of: Moment | None = None) -> "pl.DataFrame":
        """Events of a type with `at >= since` and `known_at <= as_of`, ordered by time.

        Columns: the fields, then `at, known_at, partition, offset, key, id, flags`. Events that the log worker, or the
        last `learn` or `export`, has not written to the history yet are missing: `offsets()` says how far it goes.
        Raises `NotFound`.
        """
        return with_times(self.history.events(name, _us(since), _us(as_of)))

    def predictions(self, since: Moment | None = None, until: Moment | None = None) -> "pl.DataFrame":
        """A row for each response with `since <= at < until`, see `flyball.outcomes.predictions_frame`."""
        bounds = {"from_us": _us(since), "until_us": _us(until)}
        return predictions_frame(self._runtime.predictions, **{k: v for k, v in bounds.items() if v is not None})

    def outcomes(self, since: Moment | None = None) -> "pl.DataFrame":
        """A row for each response since then and each of its items that an outcome followed, see
        `flyball.outcomes.outcomes_frame`; `id` is the prediction's. Outcomes are joined by the log worker, and by
        `learn`, `export` and `recommend`."""
        return outcomes_frame(self._runtime.outcomes_path, _us(since) or 0)

    def counts(self) -> Mapping[str, int]:
        """Events by type, also of types that are not declared any more."""
        return self.history.counts()

    def offsets(self) -> Offsets:
        """The log offsets that the events reach."""
        return self.history.offsets()

    def snapshot(self, as_of: Moment) -> Snapshot:
        """A point-in-time snapshot: what was known at `as_of`, as `flyball learn` trains on it."""
        return self.history.snapshot(_us(as_of) or 0)


def open(spec: str, home: str | Path | None = None) -> AppData:
    """The data of an application, for notebooks: `fb.open("shop.py").events("buy")` is a polars frame.

    Raises `NotFound` without an application or a home, `Refused` for the home of another, and for one that somebody
    else may have written.
    """
    folder = Path(home) if home is not None else default_home(spec)
    if not folder.is_dir():
        raise NotFound(
            "home", str(folder), next_step=f"give the one that --home named, or make it: flyball ingest {spec} FILE"
        )
    check_own_home(folder)
    settings = load_settings(folder)
    return AppData(Runtime(load_app(spec, settings.app), settings, SystemClock()))


def export_data(
    data: AppData, what: str, out: Path, kind: str, since: Moment | None = None, as_is: bool = False
) -> WrittenFrame:
    """Write `predictions` or `outcomes` to a csv or parquet file, see `flyball.history.write_frame`."""
    if what not in ANSWERS:
        raise BadInput("what to export", f"one of {', '.join(ANSWERS)}", what)
    frame = data.predictions(since) if what == "predictions" else data.outcomes(since)
    return write_frame(frame, out, kind, as_is)


def _us(moment: Moment | None) -> int | None:
    if moment is None or isinstance(moment, int):
        return moment
    if isinstance(moment, str):
        return parse_timestamp(moment)
    return microseconds_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
