"""A sample of a log has its events as lines, and its halves drop half of the users or items, wholly."""

from pathlib import Path

import msgspec
import pytest
from tests.capacity.logs import filled

from flyball.capacity import take_sample
from flyball.capacity.sample import LEAST
from flyball.core import Refused


def test_a_sample_counts_users_items_and_days(tmp_path: Path) -> None:
    sample = take_sample(filled(tmp_path, 4_000), "a log")
    assert (sample.users, sample.items, len(sample.events)) == (100, 80, 4_080)
    assert sample.days == pytest.approx(4, abs=0.2)
    line = msgspec.json.decode(next(event.line for event in sample.events if event.user == "1"))
    assert {name: line[name] for name in ("type", "user", "minute")} == {"type": "watch", "user": 1, "minute": 0}


def test_a_half_keeps_all_events_of_who_stays(tmp_path: Path) -> None:
    sample = take_sample(filled(tmp_path, 4_000), "a log")
    users, items = sample.part(True, False), sample.part(False, True)
    assert 30 < users.users < 70
    assert 20 < items.items < 60
    kept = {event.user for event in users.events}
    assert [event for event in sample.events if event.user in kept] == list(users.events)
    stays = {event.item for event in items.events}
    assert [event for event in sample.events if event.item in stays] == list(items.events)
    both = sample.part(True, True)
    assert {event.user for event in both.events} <= kept
    assert both.items == items.items


def test_the_first_events_are_taken(tmp_path: Path) -> None:
    assert len(take_sample(filled(tmp_path, 4_000), "a log", most=3_000).events) == 3_000


def test_too_few_events_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=rf"the log must hold {LEAST:,} events to measure with, got 180 in a log"):
        take_sample(filled(tmp_path, 100), "a log")
