"""Who answered when: by the entries of an audit trail, and from when on windows are compared."""

from pathlib import Path

from flyball.monitoring.watch.answering import (
    AnsweringChange,
    answering_changes,
    usual_answers_since,
    usual_events_since,
)
from flyball.registry import AuditEntry, Registry, add_entry

DAY, DAY_US = 10, 86_400_000_000
FIRST, SECOND = AnsweringChange(100, "v1 became the champion", True), AnsweringChange(200, "v2 became it", True)
STEP = AnsweringChange(150, "advance of release rel2", False)


def test_changes_are_read_from_the_audit_trail(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    for at_us, action, subject in (
        (5, "promote", "v1"),
        (6, "accept_shift", "a53a7dafd967"),
        (7, "advance release", "rel2"),
        (8, "arrange", "a1"),
        (9, "rollback", "v1"),
    ):
        add_entry(registry, AuditEntry(at_us=at_us, by="test", action=action, subject=subject, reason="because"))
    assert [(change.at_us, change.words, change.reigns) for change in answering_changes(registry)] == [
        (5, "v1 became the champion", True),
        (7, "advance of release rel2", False),
        (8, "the arrangement became a1", False),
        (9, "v1 became the champion again", True),
    ]


def test_answers_are_compared_with_a_week_of_their_champion_and_never_with_a_default() -> None:
    changes = [FIRST, STEP, SECOND]
    known = list(range(0, 400, DAY))
    assert usual_answers_since(changes, 100, known) == 0  # before any champion
    assert usual_answers_since(changes, 130, [at for at in known if at < 120]) == 100
    assert usual_answers_since(changes, 230, [at for at in known if at < 220]) == 100  # two windows of the second
    assert usual_answers_since(changes, 280, [at for at in known if at < 270]) == 200  # seven of them
    assert usual_answers_since([], 280, known) == 0


def test_events_are_compared_with_those_since_the_first_champion_if_a_default_answered() -> None:
    first, second = (AnsweringChange(day * DAY_US, "it became the champion", True) for day in (10, 20))
    changes, now_us = [first, second], 30 * DAY_US
    assert usual_events_since(changes, now_us, answers_us=[9 * DAY_US, 15 * DAY_US]) == 10 * DAY_US
    assert usual_events_since(changes, now_us, answers_us=[9 * DAY_US + 1]) == 0  # until the service had learned
    assert usual_events_since(changes, now_us, answers_us=[15 * DAY_US]) == 0  # nothing was answered before it
    assert usual_events_since(changes, 9 * DAY_US, answers_us=[DAY_US]) == 0
