"""Accepted shifts: a lasting change is over once accepted, is looked at again, and a later change is found."""

from pathlib import Path

import pytest
from tests.monitoring.watch.shops import DAY_US, HOUR_US, START_US, shop

from flyball.core import NotFound, Refused
from flyball.monitoring import (
    Finding,
    accepted_shifts,
    list_incidents,
    note_accepted,
    note_undone,
    read_state,
    watch_folder,
)
from flyball.monitoring.watch.accepted import reference_starts
from flyball.operations import accept_finding, look_and_record
from flyball.runtime import Runtime

SHIFT_HOUR, AGAIN_HOUR, DAYS = 22 * 24, 34 * 24, 36


def dearer(hour: int, event: dict[str, object]) -> dict[str, object]:
    """Prices are doubled for good, and doubled again twelve days later."""
    factor = 1 + (hour >= SHIFT_HOUR) + 2 * (hour >= AGAIN_HOUR)
    return {**event, "price": event["price"] * factor}  # type: ignore[operator]


def until(runtime: Runtime, day: float) -> None:
    """It is this day; the shop is made with all its days, so the clock is set back first."""
    runtime.clock._now_us = START_US + int(day * DAY_US) + 300_000_000  # type: ignore[attr-defined]


def test_an_accepted_shift_is_over_and_the_next_one_is_found(tmp_path: Path) -> None:
    runtime = shop(tmp_path, DAYS, dearer)
    folder = watch_folder(runtime)
    until(runtime, 20)
    look_and_record(runtime)
    until(runtime, 25)
    look_and_record(runtime)
    (finding,) = read_state(folder).findings
    assert finding.subject == "events.buy.price"
    accepted = accept_finding(runtime, finding.fingerprint, "ann", "we raised our prices")
    assert (accepted.restarts, accepted.by) == ("events.buy.price", "ann")
    assert abs(accepted.since_us - START_US - SHIFT_HOUR * HOUR_US) <= DAY_US
    assert read_state(folder).findings == ()
    (row,) = list_incidents(runtime.registry, runtime.clock.now_us()).incidents
    assert row.holding == 0
    until(runtime, 33.9)
    assert [latest for latest in look_and_record(runtime) if latest.decision.new] == []
    until(runtime, DAYS)
    new = [finding for latest in look_and_record(runtime) for finding in latest.decision.findings]
    assert {finding.subject for finding in new} == {"events.buy.price"}
    assert min(finding.at_us for finding in new) > START_US + AGAIN_HOUR * HOUR_US


def test_what_does_not_hold_or_compares_with_no_past_is_refused(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 1)
    look_and_record(runtime)
    with pytest.raises(NotFound, match="flyball findings list"):
        accept_finding(runtime, "a43e62158982", "ann", "why")
    stalled = Finding("consumer", "consumers.state", 2, 1, "high", "it stands still", "own")
    with pytest.raises(
        Refused, match="must be of one of shift, missing, .* got consumer: it is over when its cause is"
    ):
        note_accepted(runtime.registry, stalled, "ann", "why", 3)
    moved = Finding("shift-daily", "events.buy.price", 2, 1, "low", "it moved")
    with pytest.raises(Refused, match="a reason must be given"):
        note_accepted(runtime.registry, moved, "ann", " ", 3)
    with pytest.raises(NotFound):
        note_undone(runtime.registry, moved.fingerprint, "ann", "why", 3)


def test_what_is_accepted_and_undone_stays_in_the_audit_trail(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 1)
    moved = Finding("shift-daily", "events.buy.price", 20, 10, "low", "it moved")
    sliced = Finding("performance", "bought.shop=a", 20, 15, "low", "it is worse")
    for finding in (moved, sliced):
        note_accepted(runtime.registry, finding, "ann", "for good", 30)
    assert reference_starts(accepted_shifts(runtime.registry)) == {"events.buy.price": 10, "bought": 15}
    note_undone(runtime.registry, moved.fingerprint, "bo", "it was a mistake", 40)
    assert [shift.monitor for shift in accepted_shifts(runtime.registry)] == ["performance"]
    trail = [(entry.action, entry.by, entry.reason) for entry in runtime.registry.audit()]
    assert trail == [
        ("accept_shift", "ann", "for good"),
        ("accept_shift", "ann", "for good"),
        ("undo_accept_shift", "bo", "it was a mistake"),
    ]


def test_an_accepted_column_is_not_looked_at_for_a_week_unless_that_is_undone(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 27, lambda hour, event: dearer(min(hour, AGAIN_HOUR - 1), event))
    until(runtime, 20)
    look_and_record(runtime)
    until(runtime, 24)
    look_and_record(runtime)
    (finding,) = read_state(watch_folder(runtime)).findings
    accept_finding(runtime, finding.fingerprint, "ann", "we raised our prices")
    until(runtime, 25)
    look_and_record(runtime)
    assert finding.fingerprint not in read_state(watch_folder(runtime)).monitors
    note_undone(runtime.registry, finding.fingerprint, "ann", "we did not", runtime.clock.now_us())
    until(runtime, 26)
    look_and_record(runtime)
    assert finding.fingerprint in read_state(watch_folder(runtime)).monitors
