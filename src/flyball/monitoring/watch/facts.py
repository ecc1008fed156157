"""What needs no test: consumers that stand still, releases that nobody ends, models that are not renewed."""

from collections.abc import Sequence
from math import inf

from flyball.core import format_duration
from flyball.events import WorkerReport, consumer_troubles
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.watch.serving_reports import ServingReport, declaration_digest, skew_facts
from flyball.policy import Cron, Every, Trigger, trigger_text
from flyball.registry import Case, Run, cases_of
from flyball.releases import Release
from flyball.runtime import Runtime

_DAY_US = 86_400_000_000
_MINUTE_US = 60_000_000
_LOOK = "flyball versions list and run/logs/learn.log say why"
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


def learning_facts(
    runs: Sequence[Run], cases: Sequence[Case], triggers: Sequence[Trigger], now_us: int
) -> list[Observation]:
    """Whether learning succeeds as often as the triggers want it.

    It is late when a schedule has been due `MISSED_RUNS` times since the last run that succeeded, or when evidence
    started a run `MISSED_RUNS` cooldowns ago and none has succeeded since.
    """
    succeeded = [run.started_us for run in runs if run.status == "done"]
    if not triggers or not succeeded:
        return []
    last_us = max(succeeded)
    wrong = _missed_schedule(triggers, last_us, now_us) or _missed_evidence(triggers, cases, last_us, now_us)
    return [_fact("stale_model", "learning", wrong, "high", "learning is on time")]


def _missed_schedule(triggers: Sequence[Trigger], last_us: int, now_us: int) -> str | None:
    for trigger in triggers:
        if not isinstance(trigger, Every | Cron):
            continue
        due_us: int | None = last_us
        for _ in range(MISSED_RUNS):
            due_us = None if due_us is None else trigger.next_us(due_us)
        if due_us is not None and now_us > due_us:
            return f"learning succeeded last {_ago(last_us, now_us)} ago, it is due by {trigger_text(trigger)}: {_LOOK}"
    return None


def _missed_evidence(triggers: Sequence[Trigger], cases: Sequence[Case], last_us: int, now_us: int) -> str | None:
    """A case that waits says itself why; one that was withdrawn never had a run."""
    cooldowns = {trigger_text(t): t.cooldown_us for t in triggers if not isinstance(t, Every | Cron)}
    for case in cases:
        if case.trigger not in cooldowns or case.opened_us <= last_us or not (case.status == "running" or case.run):
            continue
        if now_us > case.opened_us + MISSED_RUNS * cooldowns[case.trigger]:
            since = _ago(case.opened_us, now_us)
            return f"{case.trigger} asked for learning {since} ago and no run has succeeded since: {_LOOK}"
    return None


def known_facts(
    runtime: Runtime,
    releases: list[Release],
    report: WorkerReport | None,
    serving: Sequence[ServingReport] = (),
) -> list[Observation]:
    """All facts of an application now. `serving`: what the processes that live report."""
    now_us, registry = runtime.clock.now_us(), runtime.registry
    return [
        *consumer_facts(report, now_us),
        *release_facts(releases, now_us),
        *learning_facts(registry.runs(), cases_of(registry), runtime.app.retrain, now_us),
        *skew_facts(serving, registry, declaration_digest(runtime.app) if serving else ""),
    ]


def _ago(at_us: int, now_us: int) -> str:
    return format_duration((now_us - at_us) // _MINUTE_US * _MINUTE_US)


def _fact(monitor: str, subject: str, wrong: str | None, severity: str, fine: str) -> Observation:
    if wrong is None:
        return Observation(monitor, subject, _NOTHING, False, fine)
    return Observation(monitor, subject, inf, True, wrong, "high" if severity == "high" else "low", "own")
