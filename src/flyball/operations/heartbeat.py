"""The status of a running instance at one time, read from the files that its processes write."""

import msgspec

from flyball.core import Counters, Histogram
from flyball.events import ConsumerLag, WorkerReport, consumer_troubles
from flyball.operations.process_specs import GovernorReport, UpReport, read_report
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.serving import LATENCY_MS

_ANSWERS, _LATENCY = "answers|", "latency_ms"


class Heartbeat(msgspec.Struct, frozen=True):
    """The status at `at_us`. `counts`: serving counters of all processes; `applied`: records by consumer since the
    worker started; `troubles`: of consumers, see `consumer_troubles`."""

    at_us: int
    up: UpReport
    champion: str | None
    previous: str | None
    counts: dict[str, int]
    applied: dict[str, int]
    lags: dict[str, ConsumerLag]
    ends: dict[str, tuple[int, ...]]
    governor: GovernorReport | None
    troubles: dict[str, str] = {}


def read_heartbeat(runtime: Runtime, up: UpReport, now_us: int) -> Heartbeat:
    """The present status of the running instance."""
    worker = read_report(runtime.home, "worker", WorkerReport)
    release = current(runtime.registry)
    return Heartbeat(
        now_us,
        up,
        release.champion,
        release.previous,
        Counters.sum(runtime.counters_folder),
        worker.applied if worker else {},
        worker.lags if worker else {},
        {"events": runtime.log.ends(), "predictions": runtime.predictions.ends()},
        read_report(runtime.home, "governor", GovernorReport),
        consumer_troubles(worker, now_us),
    )


class Rates(msgspec.Struct, frozen=True):
    """Rates per second between two heartbeats; `p99_ms` and `levels` of the responses in between."""

    answers_s: float
    events_s: float
    p99_ms: float | None
    levels: dict[str, int]


def rates(before: Heartbeat, after: Heartbeat) -> Rates:
    """The rates from `before` to `after`; a counter that decreased counts as unchanged.

    When the clock was set back in between, the elapsed time is unknown and all rates are 0.
    """
    seconds = (after.at_us - before.at_us) / 1e6 if after.at_us > before.at_us else float("inf")
    counts = {name: max(0, count - before.counts.get(name, 0)) for name, count in after.counts.items()}
    levels = {
        name.removeprefix(_ANSWERS): count for name, count in counts.items() if name.startswith(_ANSWERS) and count
    }
    events = sum(after.ends["events"]) - sum(before.ends["events"])
    latency: Histogram = Counters.histogram(counts, _LATENCY, LATENCY_MS)
    return Rates(sum(levels.values()) / seconds, max(0, events) / seconds, latency.percentile(0.99), levels)
