"""Alerts: a finding must hold as long as declared, and looks that are not later change nothing."""

from hypothesis import given
from hypothesis import strategies as st
from tests.monitoring.incidents.world import HOUR, MINUTE, START, finding

from flyball.monitoring.incidents.alert import Alert, after_clear, after_finding, group_of
from flyball.policy import AlertDelay


def fired_at(minutes: list[int], delay: AlertDelay) -> int | None:
    """The minute of the look at which it fires, None for never."""
    alert = None
    for minute in minutes:
        alert = after_finding(alert, finding(at_us=START + minute * MINUTE), delay)
        if alert.state == "firing":
            return (alert.fired_us - START) // MINUTE
    return None


def test_it_fires_after_so_many_looks() -> None:
    assert fired_at([0, 5, 9], AlertDelay("*", looks=3)) == 9
    assert fired_at([0, 5], AlertDelay("*", looks=3)) is None


def test_it_fires_after_so_long_from_its_first_look() -> None:
    rule = AlertDelay("*", lasts_us=10 * MINUTE)
    assert fired_at([0, 9, 10, 11], rule) == 10
    assert fired_at([0, 9], rule) is None


def test_a_look_that_finds_nothing_begins_the_count_again() -> None:
    rule = AlertDelay("*", looks=2)
    alert = after_clear(after_finding(None, finding(), rule), START + MINUTE)
    assert (alert.state, alert.over_us, alert.looks) == ("over", START + MINUTE, 0)
    alert = after_finding(alert, finding(at_us=START + 2 * MINUTE), rule)
    assert (alert.state, alert.looks, alert.spells) == ("pending", 1, 2)


def oracle(looks: list[tuple[int, bool]], needed: int) -> str:
    """The state after looks in order of time, each once: firing if the last `needed` of them found it."""
    state, row = "over", 0
    for _, seen in looks:
        row = row + 1 if seen else 0
        state = "over" if not seen else "firing" if row >= needed else "pending"
    return state


@given(
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.integers(1, 3),
    st.lists(st.integers(0, 11), max_size=6),
)
def test_looks_that_come_twice_change_nothing(seen: list[bool], needed: int, again: list[int]) -> None:
    seen[0] = True
    looks, rule = list(enumerate(seen)), AlertDelay("*", looks=needed)
    alert: Alert | None = None

    def look(minute: int, sees: bool) -> None:
        nonlocal alert
        at_us = START + minute * MINUTE
        if sees:
            alert = after_finding(alert, finding(at_us=at_us), rule)
        elif alert is not None:
            alert = after_clear(alert, at_us)

    for minute, sees in looks:
        look(minute, sees)
        for earlier in again:
            if earlier <= minute:
                look(*looks[earlier])
    assert alert is not None
    assert alert.state == oracle(looks, needed)


def test_columns_of_one_table_have_one_group() -> None:
    groups = [group_of(finding(subject)) for subject in ("events.Watch.minute", "events.Watch", "events.Rate.stars")]
    assert groups == ["events.Watch", "events.Watch", "events.Rate"]
    assert group_of(finding("predictions.score")) == group_of(finding("predictions")) == "predictions"


def test_the_source_that_the_evidence_names_is_the_group() -> None:
    assert group_of(finding(evidence={"source": "mobile client", "table": "events.Watch"})) == "mobile client"
    assert group_of(finding(evidence={"source": 3})) == "events.Watch"


def test_the_latest_finding_is_kept_beside_the_first() -> None:
    alert = after_finding(None, finding(), AlertDelay("*"))
    alert = after_finding(alert, finding(at_us=START + HOUR, message="worse"), AlertDelay("*"))
    assert (alert.first.at_us, alert.last.message, alert.fired_us) == (START, "worse", START)
