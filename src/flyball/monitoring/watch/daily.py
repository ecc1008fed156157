"""Monitors that look once a day."""

from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo

from msgspec.structs import replace

from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.watch.season import ends_day
from flyball.monitoring.watch.suspected import Suspicions

ExtraMonitor = Callable[[int, int, Suspicions], Sequence[Observation]]
"""Observations of `[since_us, until_us)` by a monitor of another kind than those of data.

Windows since a suspicion show nothing usual.
"""


def each_day(zone: tzinfo, look: Callable[[int, Suspicions], Iterable[Observation]]) -> ExtraMonitor:
    """A monitor for a `Watcher` that looks at the end of each day of `zone`, once its last window ended.

    `look`: gives the observations of the day that ends at a time, microseconds since 1970, with the suspects.
    """

    def looked(since_us: int, until_us: int, suspects: Suspicions) -> list[Observation]:
        if not ends_day(until_us, until_us - since_us, zone):
            return []
        return [replace(seen, daily=True) for seen in look(until_us, suspects)]

    return looked
