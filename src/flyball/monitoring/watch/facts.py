"""What needs no test: consumers that stand still, releases that nobody ends, models that are not renewed."""

from math import inf

from flyball.core import format_duration
from flyball.events import WorkerReport, consumer_troubles
from flyball.monitoring.findings.observation import Observation
from flyball.policy import Every
from flyball.registry import Run
from flyball.releases import Release
from flyball.runtime import Runtime

_DAY_US = 86_400_000_000
LONG_RELEASE_US = 42 * _DAY_US
"""How long a release may stay in one state before it is said to be left running."""
MISSED_RUNS = 3
_NOTHING = 0.5


def consumer_facts(report: WorkerReport | None, now_us: int) -> list[Observation]:
    """Whether the log worker and each of its consumers move; `report`: its latest, None if it never ran."""
    if report is None:
        return []
    troubles = consumer_troubles(report, now_us)
    seen = [_fact("consumer", "worker", troubles.get(""), "high", "the log worker reports")]
    for name in report.lags:
        seen.append(_fact("consumer", f"consumers.{name}", troubles.get(name), "high", f"consumer {name} moves"))
    return seen


def release_facts(releases: list[Release], now_us: int) -> list[Observation]:
    """Whether each release that is under way was left running."""
    seen = []
    for release in releases:
        lasted_us = now_us - release.since_us
        days = format_duration(lasted_us // _DAY_US * _DAY_US)
        wrong = f"release {release.id} has been in state {release.state} for {days}: end it, or promote the version"
        subject = f"releases.{release.id}"
        seen.append(_fact("left_running", subject, wrong if lasted_us > LONG_RELEASE_US else None, "low", "is recent"))
    return seen


def learning_facts(runs: list[Run], period_us: int | None, now_us: int) -> list[Observation]:
    """Whether learning succeeds as often as declared; `period_us`: of the shortest schedule, None without one."""
    succeeded = [run.started_us for run in runs if run.status == "done"]
    if period_us is None or not succeeded:
        return []
    age_us = now_us - max(succeeded)
    wrong = (
        f"learning succeeded last {format_duration(age_us // 60_000_000 * 60_000_000)} ago, it is due every "
        f"{format_duration(period_us)}: flyball versions list and run/logs/learn.log say why"
    )
    late = age_us > MISSED_RUNS * period_us
    return [_fact("stale_model", "learning", wrong if late else None, "high", "learning is on time")]


def known_facts(runtime: Runtime, releases: list[Release], report: WorkerReport | None) -> list[Observation]:
    """All facts of an application now."""
    now_us = runtime.clock.now_us()
    periods = [trigger.period_us for trigger in runtime.app.retrain if isinstance(trigger, Every)]
    return [
        *consumer_facts(report, now_us),
        *release_facts(releases, now_us),
        *learning_facts(runtime.registry.runs(), min(periods, default=None), now_us),
    ]


def _fact(monitor: str, subject: str, wrong: str | None, severity: str, fine: str) -> Observation:
    if wrong is None:
        return Observation(monitor, subject, _NOTHING, False, fine)
    return Observation(monitor, subject, inf, True, wrong, "high" if severity == "high" else "low", "own")
