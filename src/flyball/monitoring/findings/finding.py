"""A finding: something that a monitor holds to be wrong, with its evidence."""

from hashlib import sha256
from typing import Any, Literal

from msgspec import Struct

Severity = Literal["low", "high"]
FaultOrigin = Literal["own", "world", "unknown"]


RELEASE = "release"
"""The evidence of a finding that came with a release has this name, with words such as "v3 became the champion"."""
SEGMENT = "segment"
"""The evidence of a change that is in one segment of the rows has this name, with words such as "region=north"."""
FOLLOWS = "follows"
"""The evidence of a finding that follows from another one has this name, with the fingerprint of that."""
MIX = "mix"
"""The evidence of a change that one source makes by how many rows it sends has this name, with words for it."""
STUCK = "stuck"
"""The evidence of a column that repeats one value has this name, with words for the run."""
SOURCE_CHANGE = "source_change"
"""The evidence of a change of one source has this name, with words for how its rows changed."""
POOLED_US = "pooled_us"
"""The evidence of a look at the rows of several windows together has this name, with the time from the first to the
last of them, microseconds."""
EXCHANGED = "exchanged"
"""The evidence of a column that stands in the place of another one has this name, with words for both."""


class Finding(Struct, frozen=True):
    """What is wrong, since when, how bad it is and how that is known.

    `monitor`: what kind of check, such as "volume". `subject`: what it looks at, from the general to the special, such
    as "events.Watch.minutes" or "predictions.score". `at_us`: the end of the window that showed it. `since_us`: the
    start of the change as far as it is known. Times are in microseconds since 1970. `severity`: "high" if users or
    money are at risk. `origin`: "own" for a fault of our own pipeline, "world" for a change of what it observes.
    `message`: one sentence with numbers. `evidence`: plain values, as JSON has them.
    """

    monitor: str
    subject: str
    at_us: int
    since_us: int
    severity: Severity
    message: str
    origin: FaultOrigin = "unknown"
    evidence: dict[str, Any] = {}

    @property
    def fingerprint(self) -> str:
        """The same for every finding of a monitor about a subject: 12 hexadecimal digits."""
        return fingerprint_of(self.monitor, self.subject)

    @property
    def came_with_release(self) -> bool:
        """Whether triage says that it came with a release: others answer since then, so its cause is known."""
        return RELEASE in self.evidence


def fingerprint_of(monitor: str, subject: str) -> str:
    """The fingerprint of the findings of a monitor about a subject: 12 hexadecimal digits.

    >>> fingerprint_of("volume", "events.Watch")
    'a43e62158982'
    """
    return sha256(f"{monitor}\0{subject}".encode()).hexdigest()[:12]
