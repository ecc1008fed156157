"""Counters of serving, one set for each process, summed for `/metrics`; and logging of failures."""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flyball.core import Counters, Stopwatch
from flyball.events import WorkerReport
from flyball.monitoring import IncidentCounts
from flyball.registry import LeaseStanding
from flyball.tracing import SPAN_FATES

LEVELS = ("champion", "chosen", "previous", "precomputed", "popular", "default", "empty")
"""Fallback levels from best to worst: the champion, another version under release, the previous champion, the version's
precomputed response, what is popular now, the declared decision, an empty response."""

FAILURES = {
    "state": "the online state could not be read",
    "score": "a version raised while scoring",
    "wrong": "a version gave no response, or scores that are not numbers",
    "late": "a version did not answer in time",
    "stuck": "a version held the scoring thread too long, so its circuit breaker opened",
    "overload": "the queue was full",
    "load": "a version could not be loaded",
    "poll": "a background look at a store failed",
    "predictions": "the log of predictions could not be written for a while",
    "events": "the event log could not be written",
    "fault": "an unexpected error",
}
LASTING = ("load", "poll")
"""Failures that are retried until they are resolved: each is logged once, and again when its reason changes."""

LATENCY_MS = (0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1_000)
GAUGES = {
    "queue": "requests waiting for the scoring thread",
    "writing": "prediction records not yet in the log",
    "stale_us": "age of the state answers are made from; 0 when it is not behind",
    "ready": "whether the process can answer",
    "refused": "released versions that could not be loaded, or whose circuit breaker is open",
}
LIMITED = ("answers", "events", "connections", "late")
"""What is refused since a limit was reached: answers and events of a sender, connections, and requests that waited too
long to be answered in time."""
REFUSED = ("no-key", "not-allowed", "too-many")
"""Why requests are not let in: no key in force (401), not allowed to the key or page (403), too many attempts (429)."""
VERDICTS = ("accepted", "duplicate", "quarantined", "erased", "not_allowed")
_STATUSES = ("2xx", "3xx", "4xx", "5xx")
_QUIET_S = 1.0

_logger = logging.getLogger("flyball.serving")


def counter_names() -> list[str]:
    """The names of all counters of a serving process."""
    return [
        *(f"answers|{level}" for level in LEVELS),
        *(f"failures|{kind}" for kind in FAILURES),
        *(f"http|{status}" for status in _STATUSES),
        *(f"events|{verdict}" for verdict in VERDICTS),
        *(f"limited|{kind}" for kind in LIMITED),
        *(f"not_let_in|{reason}" for reason in REFUSED),
        *(f"gauge|{name}" for name in GAUGES),
        *("batches", "batched", "predictions|written", "predictions|dropped", "predictions|refused", "reloads"),
        *(f"spans|{fate}" for fate in SPAN_FATES),
        *Counters.histogram_names("latency_ms", LATENCY_MS),
    ]


class ServingMetrics:
    """One process's counters. Failures may be noted from any thread; every other name has one writing thread.

    A failure is counted each time and logged at most once a second for each kind and subject, so that an unavailable
    store does not fill the disk with log lines; a `LASTING` one is logged once, when its reason changes, and when it is
    resolved.
    """

    def __init__(self, folder: Path, process: str, stopwatch: Stopwatch) -> None:
        self.folder = folder
        self.counters = Counters(folder, process, counter_names())
        self._stopwatch = stopwatch
        self._lock = threading.Lock()
        self._said_s: dict[tuple[str, str], float] = {}
        self._lasting: dict[tuple[str, str], str] = {}
        for name in GAUGES:
            self.gauge(name, 0)

    def note(self, kind: str, subject: str, reason: object) -> None:
        """Count the failure `kind`, and log `reason` unless it was just logged for `subject`."""
        now_s, text = self._stopwatch.read_s(), _reason_text(reason)
        about = (kind, subject)
        with self._lock:
            self.counters.add(f"failures|{kind}")
            if kind in LASTING:
                quiet, self._lasting[about] = self._lasting.get(about) == text, text
            else:
                quiet = now_s - self._said_s.get(about, float("-inf")) < _QUIET_S
                if not quiet:
                    self._said_s[about] = now_s
        if not quiet:
            _logger.warning("%s: %s: %s", FAILURES[kind], subject, text)

    def healed(self, kind: str, subject: str) -> None:
        """A lasting failure is resolved; logged if the failure was."""
        with self._lock:
            before = self._lasting.pop((kind, subject), None)
        if before is not None:
            _logger.warning("%s, and is over: %s (%s)", FAILURES[kind], subject, before)

    def forget(self, kind: str, subjects: Iterable[str]) -> None:
        """Stop tracking failures of what is not tried any more, such as loading a version that is no longer
        released."""
        with self._lock:
            for subject in subjects:
                self._lasting.pop((kind, subject), None)

    def answered(self, level: str, took_s: float) -> None:
        self.counters.add(f"answers|{level}")
        self.counters.observe("latency_ms", took_s * 1_000, LATENCY_MS)

    def status(self, status: int) -> None:
        self.counters.add(f"http|{status // 100}xx")

    def spans(self, fate: str, count: int) -> None:
        """What became of so many spans of traces."""
        self.counters.add(f"spans|{fate}", count)

    def gauge(self, name: str, value: int) -> None:
        self.counters.add(f"gauge|{name}", value - self.counters.get(f"gauge|{name}"))


def _reason_text(reason: object) -> str:
    return f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else str(reason)


def metrics_text(
    folder: Path,
    versions: dict[str, str],
    refused: dict[str, str],
    worker: WorkerReport | None = None,
    incidents: IncidentCounts | None = None,
    leases: Sequence[LeaseStanding] = (),
) -> bytes:
    """The Prometheus text of all processes; `versions` {id: role} and `refused` {id: reason} as this one knows them;
    `worker`: how the consumers of the log stand; `incidents`: those that are not closed; `leases`: who leads.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(folder, versions, refused, worker, incidents, leases))
    return bytes(generate_latest(registry))


class _Collector:
    def __init__(
        self,
        folder: Path,
        versions: dict[str, str],
        refused: dict[str, str],
        worker: WorkerReport | None,
        incidents: IncidentCounts | None,
        leases: Sequence[LeaseStanding],
    ) -> None:
        self._folder, self._versions, self._refused, self._worker = folder, versions, refused, worker
        self._incidents, self._leases = incidents or IncidentCounts(), leases

    def collect(self) -> Iterator[Any]:
        per_process, living = Counters.per_process(self._folder), Counters.living(self._folder)
        total: dict[str, int] = {}
        for counts in per_process.values():
            for name, value in counts.items():
                total[name] = total.get(name, 0) + value
        per_process = {process: counts for process, counts in per_process.items() if process in living}
        yield from _totals(total)
        yield _answers_of(per_process)
        yield _answer_seconds(total)
        yield from _gauges(per_process)
        yield from self._consumers()
        yield from self._in_service()
        yield from _incident_gauges(self._incidents)
        yield from _lease_gauges(self._leases)

    def _consumers(self) -> Iterator[Any]:
        """How the consumers of the log stand."""
        from prometheus_client.core import GaugeMetricFamily

        behind = GaugeMetricFamily("flyball_consumer_behind", "records a consumer is behind", labels=["consumer"])
        part = GaugeMetricFamily(
            "flyball_consumer_partition_behind", "records by partition", labels=["consumer", "partition"]
        )
        lag = GaugeMetricFamily("flyball_consumer_lag_seconds", "how long ago the oldest came", labels=["consumer"])
        failing = GaugeMetricFamily("flyball_consumer_failing", "1 while attempts of it fail", labels=["consumer"])
        for name, standing in ({} if self._worker is None else self._worker.lags).items():
            behind.add_metric([name], standing.behind)
            lag.add_metric([name], standing.lag_us / 1e6)
            for number, records in enumerate(standing.partitions):
                part.add_metric([name, str(number)], records)
            failing.add_metric([name], int(bool(standing.error)))
        yield from (behind, part, lag, failing)
        if self._worker is not None:
            yield GaugeMetricFamily(
                "flyball_worker_report_timestamp_seconds",
                "when the log worker last reported",
                value=self._worker.at_us / 1e6,
            )

    def _in_service(self) -> Iterator[Any]:
        """The versions in service, and those that are released and out of it."""
        from prometheus_client.core import GaugeMetricFamily

        info = GaugeMetricFamily("flyball_version", "versions in service", labels=["version", "role"])
        for version, role in self._versions.items():
            info.add_metric([version, role], 1)
        yield info
        bad = GaugeMetricFamily(
            "flyball_version_refused", "released versions out of service", labels=["version", "reason"]
        )
        for version, reason in self._refused.items():
            bad.add_metric([version, reason], 1)
        yield bad


def _incident_gauges(counts: IncidentCounts) -> Iterator[Any]:
    """Incidents that are not closed, findings that hold, and how the sinks of notifications do."""
    from prometheus_client.core import GaugeMetricFamily

    incidents = GaugeMetricFamily("flyball_incidents", "incidents that are not closed", labels=["severity", "state"])
    for (severity, state), number in counts.incidents.items():
        incidents.add_metric([severity, state], number)
    yield incidents
    yield GaugeMetricFamily("flyball_incidents_overdue", "incidents whose clock ran out", value=counts.overdue)
    alerts = GaugeMetricFamily("flyball_alerts", "findings that hold, by state of their alert", labels=["state"])
    for state, number in counts.alerts.items():
        alerts.add_metric([state], number)
    yield alerts
    waiting = GaugeMetricFamily("flyball_notifications_waiting", "notifications to be sent", labels=["sink"])
    failing = GaugeMetricFamily("flyball_sink_failing", "1 while attempts of a sink fail", labels=["sink"])
    for sink in counts.sinks:
        waiting.add_metric([sink.name], sink.waiting)
        failing.add_metric([sink.name], int(bool(sink.failing_since_us)))
    yield from (waiting, failing)


def _lease_gauges(leases: Sequence[LeaseStanding]) -> Iterator[Any]:
    """Who leads and follows the log, where several machines may."""
    from prometheus_client.core import GaugeMetricFamily

    holders = GaugeMetricFamily("flyball_lease_held", "1 for the holder of a lease", labels=["lease", "holder"])
    age = GaugeMetricFamily("flyball_lease_age_seconds", "time since a lease was taken", labels=["lease"])
    left = GaugeMetricFamily("flyball_lease_left_seconds", "time until it expires; 0: nobody has it", labels=["lease"])
    for lease in leases:
        if lease.left_us:
            holders.add_metric([lease.name, lease.holder], 1)
            age.add_metric([lease.name], lease.held_us / 1e6)
        left.add_metric([lease.name], lease.left_us / 1e6)
    yield from (holders, age, left)


_COUNTED = (
    ("answers", "level", "answers by fallback level"),
    ("failures", "kind", "failures that a lower level or a retry made up for, by kind"),
    ("http", "status", "HTTP answers by class of status"),
    ("events", "verdict", "events received over HTTP, by verdict"),
    ("limited", "kind", "requests and connections that were refused since a limit was reached"),
    ("not_let_in", "reason", "requests that were not let in, by reason"),
    ("predictions", "fate", "prediction records, by the result of them"),
    ("spans", "fate", "spans of traces, by what became of them"),
)
"""(prefix of the counters' names, label, description) of the counters that have a label."""


def _totals(total: Mapping[str, int]) -> Iterator[Any]:
    """The counters of all processes, those that have ended included."""
    from prometheus_client.core import CounterMetricFamily

    for prefix, label, described in _COUNTED:
        family = CounterMetricFamily(f"flyball_{prefix}", described, labels=[label])
        for name, value in total.items():
            if name.startswith(f"{prefix}|"):
                family.add_metric([name.partition("|")[2]], value)
        yield family
    yield CounterMetricFamily("flyball_batches", "batches the scoring threads made", value=total.get("batches", 0))
    yield CounterMetricFamily("flyball_batched", "requests answered in batches", value=total.get("batched", 0))
    yield CounterMetricFamily("flyball_reloads", "times a process took another release", value=total.get("reloads", 0))


def _answers_of(per_process: Mapping[str, Mapping[str, int]]) -> Any:
    from prometheus_client.core import CounterMetricFamily

    shares = CounterMetricFamily("flyball_process_answers", "answers of each living process", labels=["process"])
    for process, counts in per_process.items():
        if "batches" not in counts:
            continue  # counts connections, and answers nothing
        shares.add_metric([process], sum(n for name, n in counts.items() if name.startswith("answers|")))
    return shares


def _answer_seconds(total: Mapping[str, int]) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    histogram = HistogramMetricFamily("flyball_answer_seconds", "time from request to answer")
    buckets, below = [], 0
    for index, bound in enumerate((*LATENCY_MS, None)):
        below += total.get(f"latency_ms|{index}", 0)
        buckets.append(("+Inf" if bound is None else repr(bound / 1_000), below))
    histogram.add_metric([], buckets, sum_value=None)
    return histogram


def _gauges(per_process: Mapping[str, Mapping[str, int]]) -> Iterator[Any]:
    """The gauges of the living processes together: the worst of a time, the sum of a number."""
    from prometheus_client.core import GaugeMetricFamily

    for name, described in GAUGES.items():
        values = [counts.get(f"gauge|{name}", 0) for counts in per_process.values()] or [0]
        if name == "stale_us":
            yield GaugeMetricFamily("flyball_stale_seconds", described, value=max(values) / 1e6)
        else:
            yield GaugeMetricFamily(f"flyball_{name}", described, value=sum(values))
