"""The status of an application, running or not, as one value."""

import msgspec

from flyball.events import WorkerReport, consumer_troubles
from flyball.features import read_apply_delays
from flyball.history import Delay
from flyball.home import interrupted_removal
from flyball.monitoring import failing_words, lag_text, list_incidents, log_time, sink_statuses
from flyball.operations.governor import next_learn_us
from flyball.operations.process_specs import GovernorReport, read_report, running
from flyball.operations.retention import RETENTION, RetentionReport
from flyball.outcomes import VersionOutcomes, outcomes_by_version
from flyball.registry import LeaseStanding, lease_standings
from flyball.releases import current, waiting_cases
from flyball.runtime import Runtime


class ProcessStatus(msgspec.Struct, frozen=True):
    """One supervised process."""

    name: str
    state: str
    pid: int | None
    uptime_s: float
    restarts: int


class ConsumerStatus(msgspec.Struct, frozen=True):
    """One consumer: events behind, and the seconds since it was last at the end (None when no worker runs)."""

    name: str
    behind: int
    lag_s: float | None
    error: str
    failing_since_us: int | None = None


class Status(msgspec.Struct, frozen=True):
    """The output of `flyball status`. `ends`: records by stream and partition. `outcomes`: by version.

    `apply_delays`: {consumer: its measured delay from ingestion to application of live events}. `troubles`: {consumer:
    problem and its duration}. `incidents`: those that are not closed, and sinks that fail, a line each.
    `leases`: who leads and who follows the log, where several machines may.
    `cases`: why causes to learn wait, a line each.
    `retention`: the last time that what is older than declared was removed.
    `lag`: that outcomes are counted by a log which lags behind the clock; "" otherwise. `moved_to`: the home that this
    one was moved to, "" for one in use.
    """

    app: str
    home: str
    at_us: int
    running: bool
    port: int | None
    processes: list[ProcessStatus]
    consumers: list[ConsumerStatus]
    ends: dict[str, tuple[int, ...]]
    quarantined: int
    champion: str | None
    previous: str | None
    outcomes: dict[str, VersionOutcomes]
    learning: bool
    next_learn_us: int | None
    apply_delays: dict[str, Delay] = {}
    troubles: list[str] = []
    incidents: list[str] = []
    cases: list[str] = []
    lag: str = ""
    leases: list[LeaseStanding] = []
    moved_to: str = ""
    retention: RetentionReport | None = None


def _interrupted(runtime: Runtime) -> list[str]:
    return [words] if (words := interrupted_removal(runtime.layout)) else []


def status(runtime: Runtime, since_us: int = 0) -> Status:
    """Read the status from the stores and, when an instance runs, from the reports of its processes."""
    now_us = runtime.clock.now_us()
    report = running(runtime)
    governor = read_report(runtime.home, "governor", GovernorReport) if report else None
    worker = read_report(runtime.home, "worker", WorkerReport) if report else None
    release = current(runtime.registry)
    ends = {"events": runtime.log.ends(), "predictions": runtime.predictions.ends()}
    return Status(
        app=runtime.app.name,
        home=str(runtime.home),
        at_us=now_us,
        running=report is not None,
        port=report.port if report else None,
        processes=[
            ProcessStatus(child.name, child.state, child.pid, max(0, now_us - child.since_us) / 1e6, child.restarts)
            for child in (report.children if report else ())
        ],
        consumers=_consumers(runtime, worker, now_us),
        troubles=[*_interrupted(runtime), *consumer_troubles(worker, now_us).values()],
        ends=ends,
        quarantined=_quarantined(runtime),
        champion=release.champion,
        previous=release.previous,
        outcomes=outcomes_by_version(runtime.outcomes_path, log_time(runtime).as_of_us, since_us),
        learning=governor is not None and governor.doing == "learning",
        next_learn_us=_next_learn_us(runtime),
        apply_delays=read_apply_delays(runtime.apply_delays_path),
        incidents=_incidents(runtime, now_us),
        cases=waiting_cases(runtime.registry),
        lag=lag_text(runtime),
        leases=lease_standings(runtime.registry),
        retention=read_report(runtime.home, RETENTION, RetentionReport),
        moved_to="" if (moved := runtime.gate.moved()) is None else moved.home,
    )


def _incidents(runtime: Runtime, now_us: int) -> list[str]:
    """A line for each incident that is not closed, the most urgent first, and for each sink that fails."""
    listed = [row.incident for row in list_incidents(runtime.registry, now_us).incidents]
    lines = [
        f"{incident.id} {incident.severity}, {incident.state}, {incident.owner or 'nobody'}: {incident.title}"
        for incident in listed
    ]
    return [*lines, *filter(None, map(failing_words, sink_statuses(runtime.registry)))]


def _consumers(runtime: Runtime, report: WorkerReport | None, now_us: int) -> list[ConsumerStatus]:
    """The status of each consumer, from the report of a running worker, else from the consumer's own store."""
    if report is None:
        return [ConsumerStatus(name, behind, None, "") for name, behind in _behind(runtime).items()]
    silent = consumer_troubles(report, now_us).get("", "")
    return [
        ConsumerStatus(name, lag.behind, lag.lag_us / 1e6, lag.error or silent, lag.failing_since_us)
        for name, lag in report.lags.items()
    ]


def _behind(runtime: Runtime) -> dict[str, int]:
    """{consumer: records not applied yet}, by the offsets in its own store."""
    from flyball.operations.consumers import consumers_of

    return {
        consumer.name: sum(consumer.log.ends()) - sum(consumer.offsets())
        for consumer in consumers_of(runtime, rebuilding=False)
        if consumer.active is None or consumer.active()
    }


def _quarantined(runtime: Runtime) -> int:
    return sum(runtime.quarantine.counts().values())


def _next_learn_us(runtime: Runtime) -> int | None:
    runs = runtime.registry.runs()
    return next_learn_us(runtime.app.retrain, runs[-1].started_us) if runs else None
