"""Counts responses by release, arm and share, and by version: a view of the stream of predictions.

A response counts for the arm and version to which its request was assigned, whichever version answered in the end.
Counts are stored by hour, and committed together with the offsets of the stream.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import SqliteFile
from flyball.events import LAST_US, EventLog, Offsets, Slice
from flyball.outcomes import BOUNDS_US, Prediction, prediction_of
from flyball.releases.release import WHOLE

HOUR_US = 3_600_000_000
_DAY_US = 24 * HOUR_US
SLOW_FACTOR = 1.5
"""A response is slow if it takes more than this many times the 99 % quantile of the champion's latency."""
_COUNTED_AT_ONCE = 5_000
_SCRIPT = """
CREATE TABLE IF NOT EXISTS offsets(partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counts(
    scope TEXT, arm TEXT, share INTEGER, hour INTEGER, last_us INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (scope, arm, share, hour)) WITHOUT ROWID;
"""
_VERSION = "version"
"""The scope of counts by version. The scope of counts by release is its id."""


class AnswerCounts(msgspec.Struct, array_like=True):
    """Counts of the responses that were assigned to one arm.

    `failed`: {reason why the version did not answer: number}. `empty`: responses without item, value or decision.
    `latency`: {bucket of `BOUNDS_US`: number}.
    """

    answers: int = 0
    failed: dict[str, int] = {}
    empty: int = 0
    latency: dict[int, int] = {}

    def note(self, prediction: Prediction) -> None:
        """Count one answer."""
        empty = not (prediction.items or prediction.values or prediction.decision)
        self.count(prediction.failed, empty, prediction.took_us)

    def count(self, failed: str, empty: bool, took_us: float) -> None:
        """Count one answer. `failed`: why the version did not answer, else ""."""
        self.answers += 1
        if failed:
            self.failed[failed] = self.failed.get(failed, 0) + 1
        self.empty += empty
        bucket = bisect_left(BOUNDS_US, took_us)
        self.latency[bucket] = self.latency.get(bucket, 0) + 1

    def add(self, other: "AnswerCounts") -> None:
        """Add the counts of `other`."""
        self.answers += other.answers
        self.empty += other.empty
        for why, count in other.failed.items():
            self.failed[why] = self.failed.get(why, 0) + count
        for bucket, count in other.latency.items():
            self.latency[bucket] = self.latency.get(bucket, 0) + count

    def slower_than(self, limit_us: float) -> int:
        """The number of answers in buckets above that of `limit_us`."""
        limit = bisect_left(BOUNDS_US, limit_us)
        return sum(count for bucket, count in self.latency.items() if bucket > limit)

    def quantile_us(self, share: float) -> float:
        """The upper bound of the bucket that holds the `share` quantile of the time taken; 0 without answers."""
        left = share * self.answers
        for bucket in sorted(self.latency):
            left -= self.latency[bucket]
            if left <= 0:
                return float(BOUNDS_US[min(bucket, len(BOUNDS_US) - 1)])
        return 0.0


_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(AnswerCounts).decode


class ArmCounts(msgspec.Struct, frozen=True):
    """The counts of one arm while it had one share, in ten-thousandths of the units that took part."""

    arm: str
    share: int
    counts: AnswerCounts
    last_us: int


class ExposureCounter:
    """Counts the stream of predictions in one SQLite file, each record once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _file(self) -> SqliteFile:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteFile(self._path, _SCRIPT, format=1, remedy="delete it: it is rebuilt from the predictions")

    def offsets(self, partitions: int) -> Offsets:
        """The next offset to read of each partition."""
        with self._file.reading() as connection:
            stored = dict(connection.execute("SELECT partition, next FROM offsets").fetchall())
        return tuple(stored.get(partition, 0) for partition in range(partitions))

    def apply(self, slices: Sequence[Slice]) -> None:
        """Count these records, except those that were counted before."""
        with self._file.writing() as connection:
            stored = dict(connection.execute("SELECT partition, next FROM offsets").fetchall())
            counts, last_us = defaultdict[_Key, AnswerCounts](AnswerCounts), dict[_Key, int]()
            for piece in slices:
                following = stored.get(piece.partition, 0)
                for record in piece.records[max(following - piece.first, 0) :]:
                    prediction = prediction_of(record)
                    for key in _keys(prediction):
                        counts[key].note(prediction)
                        last_us[key] = prediction.at_us  # in order of the stream, whatever the clock did
                following = max(following, piece.end)
                connection.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?)", (piece.partition, following))
                stored[piece.partition] = following
            for key, added in counts.items():
                _add(connection, key, added, last_us[key])

    def forget_before(self, before_us: int) -> None:
        """Delete the counts of hours that ended before `before_us`."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM counts WHERE hour < ?", (before_us // HOUR_US,))

    def close(self) -> None:
        self._file.close()

    def by_arm(self, release: str, until_us: int = LAST_US) -> list[ArmCounts]:
        """Counts of the answers that took part in `release`, by share and arm; answers after `until_us` count, but none
        of them is the newest: they are from before the clock was set back."""
        return counted_by_arm(self._file, release, until_us)

    def of_version(self, version: str, from_us: int, until_us: int) -> AnswerCounts:
        """Counts of the answers that were assigned to `version`, in the hours that overlap `[from_us, until_us)`."""
        return counted_of_version(self._file, version, from_us, until_us)


_Key = tuple[str, str, int, int]


def _keys(prediction: Prediction) -> list[_Key]:
    hour = prediction.at_us // HOUR_US
    by_release = [
        (exposure.release, exposure.arm, round(exposure.propensity * WHOLE), hour) for exposure in prediction.exposures
    ]
    return [(_VERSION, prediction.assigned or prediction.version, 0, hour), *by_release]


def _add(connection: Any, key: _Key, added: AnswerCounts, last_us: int) -> None:
    where = "scope = ? AND arm = ? AND share = ? AND hour = ?"
    row = connection.execute(f"SELECT body FROM counts WHERE {where}", key).fetchone()  # noqa: S608
    if row is not None:
        added.add(_decode(row[0]))
    connection.execute("INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?, ?, ?)", (*key, last_us, _encode(added)))


def count_exposures(counter: ExposureCounter, predictions: EventLog) -> None:
    """Count what is in the log of predictions and not in `counter` yet; another process may do so at the same time."""
    partitions = len(predictions.ends())
    while slices := predictions.read(counter.offsets(partitions), _COUNTED_AT_ONCE):
        counter.apply(slices)


def counted_by_arm(file: SqliteFile, release: str, until_us: int = LAST_US) -> list[ArmCounts]:
    """See `ExposureCounter.by_arm`."""
    with file.reading() as connection:
        rows = connection.execute("SELECT arm, share, last_us, body FROM counts WHERE scope = ?", (release,)).fetchall()
    counts, last_us = defaultdict[tuple[int, str], AnswerCounts](AnswerCounts), dict[tuple[int, str], int]()
    for arm, share, at_us, body in rows:
        counts[share, arm].add(_decode(body))
        last_us[share, arm] = max(last_us.get((share, arm), 0), at_us if at_us <= until_us else 0)
    return [ArmCounts(arm, share, counts[share, arm], last_us[share, arm]) for share, arm in sorted(counts)]


def counted_of_version(file: SqliteFile, version: str, from_us: int, until_us: int) -> AnswerCounts:
    """See `ExposureCounter.of_version`."""
    query = "SELECT body FROM counts WHERE scope = ? AND arm = ? AND hour >= ? AND hour <= ?"
    bounds = (_VERSION, version, from_us // HOUR_US, (until_us - 1) // HOUR_US)
    total = AnswerCounts()
    with file.reading() as connection:
        for (body,) in connection.execute(query, bounds).fetchall():
            total.add(_decode(body))
    return total


def slow_limit_us(counter: ExposureCounter, champion: str, deadline_us: int, now_us: int) -> float:
    """The latency from which a response is slow, in microseconds; fixed when a release starts.

    It is `SLOW_FACTOR` times the 99 % quantile of the champion's latency of the last day, or half the deadline if the
    champion gave fewer than 100 responses.
    """
    counts = counter.of_version(champion, now_us - _DAY_US, now_us + 1)
    return SLOW_FACTOR * counts.quantile_us(0.99) if counts.answers >= 100 else deadline_us / 2
