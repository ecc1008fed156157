"""Windows since something seems to be wrong show nothing usual: beside them a lasting change would hide itself.

They are left out for as long as a finding holds, and without a finding for a week (`suspects_of`).
"""

from collections.abc import Mapping, Sequence

from flyball.monitoring.findings.finding import fingerprint_of
from flyball.monitoring.watch.season import FEWEST_DAYS

Suspicions = Mapping[str, int]
"""{fingerprint of a monitor: since when its evidence of a change grows}, microseconds since 1970."""


def first_suspicion(suspects: Suspicions, monitors: Sequence[str], subjects: Sequence[str]) -> int | None:
    """Since when any of the monitors suspects a change of any of the subjects; None if none does."""
    keys = (fingerprint_of(monitor, subject) for monitor in monitors for subject in subjects)
    return min((suspects[key] for key in keys if key in suspects), default=None)


def undoubted(starts_us: Sequence[int], length_us: int, suspected_us: int | None) -> list[int]:
    """Those of the windows of `length_us` that ended before the suspicion; all if these are fewer than 7.

    >>> undoubted(range(10), 1, 8), undoubted(range(10), 1, 6) == list(range(10))
    ([0, 1, 2, 3, 4, 5, 6, 7], True)
    """
    before = [start for start in starts_us if suspected_us is None or start + length_us <= suspected_us]
    return before if len(before) >= FEWEST_DAYS else list(starts_us)
