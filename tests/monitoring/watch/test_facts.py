"""Facts: a consumer that fails, a release left running, a schedule that is missed; and that they are over."""

from math import inf
from typing import Any

import flyball as fb
from flyball.events import ConsumerLag, WorkerReport
from flyball.monitoring.watch.facts import LONG_RELEASE_US, consumer_facts, learning_facts, release_facts
from flyball.policy import trigger_text
from flyball.registry import Case, Run
from flyball.releases import Release, ReleaseArm

NOW_US = 1_767_571_200_000_000
DAY_US = 86_400_000_000


def test_a_failing_consumer_is_a_fact_and_others_are_fine() -> None:
    lags = {"state": ConsumerLag(0, 0), "history": ConsumerLag(9, 5, "disk full", NOW_US - 90_000_000)}
    facts = {fact.subject: fact for fact in consumer_facts(WorkerReport(NOW_US, {}, lags), NOW_US)}
    assert facts["consumers.history"].e_value == inf
    assert facts["consumers.history"].message == "consumer history has been failing for 1m30s: disk full"
    assert (facts["consumers.state"].matters, facts["worker"].matters) == (False, False)
    silent = consumer_facts(WorkerReport(NOW_US - 60_000_000, {}, {}), NOW_US)
    assert [(fact.subject, fact.severity, fact.origin) for fact in silent] == [("worker", "high", "own")]
    assert consumer_facts(None, NOW_US) == []


def test_a_release_that_nobody_ends_is_a_fact() -> None:
    arms = (ReleaseArm("control", "v1", 50), ReleaseArm("candidate", "v2", 50))
    release = Release(id="rel1", kind="ab", state="ab", arms=arms, salt="rel1", since_us=NOW_US)
    (recent,) = release_facts([release], NOW_US + LONG_RELEASE_US)
    assert not recent.matters
    (old,) = release_facts([release], NOW_US + LONG_RELEASE_US + DAY_US)
    assert old.message == "release rel1 has been in state ab for 43d: end it, or promote the version"


def run_of(status: str, days: float) -> Run:
    at_us = NOW_US - int(days * DAY_US)
    return Run(id="run1", app="shop", as_of_us=at_us, started_us=at_us, status=status)  # type: ignore[arg-type]


def test_a_missed_schedule_is_a_fact() -> None:
    daily = [fb.every("1d"), fb.on_drift()]
    on_time = learning_facts([run_of("done", 2.9), run_of("failed", 0.1)], [], daily, NOW_US)
    assert [fact.matters for fact in on_time] == [False]
    (late,) = learning_facts([run_of("done", 3.5), run_of("failed", 0.1)], [], daily, NOW_US)
    assert late.message.startswith('learning succeeded last 3d12h ago, it is due by fb.every("1d")')
    assert learning_facts([run_of("failed", 9)], [], daily, NOW_US) == []
    assert learning_facts([run_of("done", 9)], [], [], NOW_US) == []


def test_a_calendar_is_late_after_its_third_time() -> None:
    """NOW_US is a Monday at midnight; on Fridays at noon it was due three times in the last 16.5 days."""
    fridays = [fb.cron("0 12 * * fri")]
    assert not learning_facts([run_of("done", 16.4)], [], fridays, NOW_US)[0].matters
    assert learning_facts([run_of("done", 16.6)], [], fridays, NOW_US)[0].matters


def test_evidence_that_no_run_answered_is_a_fact() -> None:
    trigger = fb.on_volume(500, cooldown="1d")

    def case(days: float, **values: Any) -> Case:
        opened_us = NOW_US - int(days * DAY_US)
        named = {"trigger": trigger_text(trigger), "kind": "volume", "cause": "600 new labels", "run": "r2", **values}
        return Case(app="shop", opened_us=opened_us, status="closed", **named)

    def wrong(*cases: Case, days: float = 9) -> bool:
        return learning_facts([run_of("done", days)], cases, [trigger], NOW_US)[0].matters

    assert wrong(case(3.1))
    assert not wrong(case(2.9))
    assert not wrong(case(3.1), days=3), "a run succeeded after it"
    assert not wrong(case(3.1, run="")), "it was withdrawn, or still waits"
    assert not wrong(case(3.1, trigger="by hand"))
    (fact,) = learning_facts([run_of("done", 9)], [case(3.1)], [trigger], NOW_US)
    assert fact.message.startswith('fb.on_volume(500, cooldown="1d") asked for learning 3d2h24m ago')
