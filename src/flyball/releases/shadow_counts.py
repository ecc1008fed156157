"""Counts the responses of a shadow: sums in one SQLite file, which survive restarts.

Requests that take part are assigned at random to one of two arms. Most are answered by the candidate; some are answered
again by the champion. The champion's second responses show the effect of the later state, the lower priority and the
other process alone. The arms are compared like those of a canary.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from flyball.core import SqliteFile
from flyball.events import LAST_US, Offsets
from flyball.releases.exposure_counts import AnswerCounts, ArmCounts
from flyball.releases.release import CANDIDATE, CONTROL, WHOLE, Release

_SCRIPT = """
CREATE TABLE IF NOT EXISTS offsets(
    release TEXT, partition INTEGER, next INTEGER NOT NULL, PRIMARY KEY (release, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sums(
    release TEXT, arm TEXT, slice TEXT, last_us INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (release, arm, slice)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS left_out(
    release TEXT, reason TEXT, requests INTEGER NOT NULL, PRIMARY KEY (release, reason)) WITHOUT ROWID;
"""
MAX_SLICES = 50
"""The largest number of slices of a release; further ones are counted in `OTHER`."""
ALL, OTHER = "", "other slices"
CONTROL_SHARE = 2_000
"""The share of requests that the champion answers again, in ten-thousandths of those that take part."""


class Moments(msgspec.Struct, array_like=True):
    """Sums of numbers, which can be merged in any order."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def note(self, number: float) -> None:
        """Add one number."""
        self.count, self.total, self.squares = self.count + 1, self.total + number, self.squares + number * number

    def add(self, other: "Moments") -> None:
        """Add the sums of `other`."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares

    @property
    def mean(self) -> float:
        """The mean, nan without numbers."""
        return self.total / self.count if self.count else float("nan")


class ShadowSums(msgspec.Struct, array_like=True):
    """Sums over the shadow's responses of one arm.

    `answers`: counts as in a release. `measures`: sums of the measures of `agreement`. `newer`: how many responses were
    made from a newer state than the served response, as far as that is known.
    """

    answers: AnswerCounts = msgspec.field(default_factory=AnswerCounts)
    measures: dict[str, Moments] = {}
    newer: int = 0

    def note(self, measured: Mapping[str, float], newer: bool) -> None:
        """Add the measures of one response."""
        self.newer += newer
        for name, value in measured.items():
            self.measures.setdefault(name, Moments()).note(value)

    def add(self, other: "ShadowSums") -> None:
        """Add the sums of `other`."""
        self.answers.add(other.answers)
        self.newer += other.newer
        for name, moments in other.measures.items():
            self.measures.setdefault(name, Moments()).add(moments)


class ShadowBatch:
    """The sums that one step of the shadow of `release` adds."""

    def __init__(self, release: str) -> None:
        self.release = release
        self.sums: dict[tuple[str, str], ShadowSums] = {}
        self.last_us: dict[str, int] = {}
        self.left_out: dict[str, int] = {}

    def of(self, arm: str, slices: Iterable[str], at_us: int) -> list[ShadowSums]:
        """The sums to which a response at `at_us` adds: one for each of `slices`."""
        self.last_us[arm] = at_us  # in order of the stream, whatever the clock did
        return [self.sums.setdefault((arm, name), ShadowSums()) for name in (ALL, *slices)]

    def leave_out(self, reason: str, requests: int = 1) -> None:
        """Count requests that the shadow did not answer."""
        if requests:
            self.left_out[reason] = self.left_out.get(reason, 0) + requests


class ShadowResult(msgspec.Struct, frozen=True):
    """The counts of a shadow: {arm: {slice: sums}}, slice "" for all; {reason: requests left out}; {arm: time of its
    newest request}."""

    sums: dict[str, dict[str, ShadowSums]] = {}
    left_out: dict[str, int] = {}
    last_us: dict[str, int] = {}

    def arms(self, until_us: int = LAST_US) -> tuple[ArmCounts, ...]:
        """The counts of the arms, in the form that decisions use. `until_us`: as in `ExposureCounter.by_arm`."""
        share = {CONTROL: CONTROL_SHARE, CANDIDATE: WHOLE - CONTROL_SHARE}
        return tuple(
            ArmCounts(arm, share[arm], slices[ALL].answers, self.last_us[arm] if self.last_us[arm] <= until_us else 0)
            for arm, slices in self.sums.items()
        )


_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(ShadowSums).decode


class ShadowCounter:
    """The sums of all shadows in one SQLite file. The sums of a step and its offsets are committed together."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _file(self) -> SqliteFile:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteFile(self._path, _SCRIPT, format=1, remedy="delete it: shadows under way begin to count again")

    def offsets(self, release: str) -> dict[int, int]:
        """{partition: next offset to read} of the stream of predictions, for the partitions read before."""
        with self._file.reading() as connection:
            query = "SELECT partition, next FROM offsets WHERE release = ?"
            return dict(connection.execute(query, (release,)).fetchall())

    def add(self, batch: ShadowBatch, offsets: Offsets) -> None:
        """Add `batch`, and store `offsets` as the next ones to read."""
        release = batch.release
        with self._file.writing() as connection:
            for partition, following in enumerate(offsets):
                connection.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)", (release, partition, following))
            where = "release = ? AND arm = ? AND slice = ?"
            known = connection.execute("SELECT DISTINCT slice FROM sums WHERE release = ?", (release,)).fetchall()
            slices = {row[0] for row in known}
            for (arm, name), added in batch.sums.items():
                if name not in slices and len(slices) > MAX_SLICES:
                    name = OTHER
                slices.add(name)
                row = connection.execute(f"SELECT body FROM sums WHERE {where}", (release, arm, name)).fetchone()  # noqa: S608
                if row is not None:
                    before = _decode(row[0])
                    before.add(added)
                    added = before
                values = (release, arm, name, batch.last_us[arm], _encode(added))
                connection.execute("INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?, ?)", values)
            for reason, requests in batch.left_out.items():
                connection.execute(
                    "INSERT INTO left_out VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET requests = requests + ?",
                    (release, reason, requests, requests),
                )

    def result(self, release: str) -> ShadowResult:
        """The counts of the shadow of a release; empty if it never was a shadow."""
        result = ShadowResult({}, {}, {})
        with self._file.reading() as connection:
            query = "SELECT arm, slice, last_us, body FROM sums WHERE release = ?"
            for arm, name, last_us, body in connection.execute(query, (release,)).fetchall():
                result.sums.setdefault(arm, {})[name] = _decode(body)
                if name == ALL:
                    result.last_us[arm] = last_us
            query = "SELECT reason, requests FROM left_out WHERE release = ?"
            result.left_out.update(connection.execute(query, (release,)).fetchall())
        return result

    def copy_to(self, path: Path) -> None:
        """Make `path` a copy of the file as it is now."""
        self._file.copy_to(path)

    def close(self) -> None:
        self._file.close()


def slices_of(release: Release, fields: Mapping[str, object]) -> list[str]:
    """The slices of a request with these `fields`, as declared by the release; for example "city=Delft".

    >>> from flyball.releases.release import ReleaseArm
    >>> arms = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))
    >>> shadow = Release(id="rel1", kind="shadow", state="shadow", arms=arms, salt="rel1", slices=("city", "tip"))
    >>> slices_of(shadow, {"city": "Delft", "km": 2.5})
    ['city=Delft']
    """
    present = ((name, fields.get(name)) for name in release.slices)
    return [f"{name}={value}" for name, value in present if value is not None and value != ""]
