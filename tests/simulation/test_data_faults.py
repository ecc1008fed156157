"""Faults of data: lines before the fault pass, and what becomes of those after it."""

import json

import numpy as np
import pytest

from flyball.simulation.data_faults import FAULTS, HOUR_US, FaultyWire

LINES = [
    json.dumps({"type": "order", "at": 5, "shop": f"s{number}", "km": 2.5, "items": 3}).encode() for number in range(40)
]
RATED = [b"2026-03-02T10:00,7,GET /rate/film=5", b"2026-03-02T10:00,7,GET /data/m/film/3.mpg"]


def wire(name: str | None, begin_us: int = 10 * HOUR_US) -> FaultyWire:
    return FaultyWire(None if name is None else FAULTS[name], begin_us, np.random.default_rng(1))


@pytest.mark.parametrize("name", [None, *FAULTS])
def test_before_the_fault_all_lines_pass_as_they_are(name: str | None) -> None:
    passing = wire(name)
    assert passing.passed("jsonl", LINES, 10 * HOUR_US) == LINES
    assert passing.struck == 0


def test_half_of_the_lines_are_lost() -> None:
    losing = wire("data-loss")
    passed = losing.passed("jsonl", LINES, 11 * HOUR_US)
    assert 10 <= len(passed) <= 30
    assert losing.struck == 40


def test_an_outage_ends() -> None:
    out = wire("outage")
    assert [len(out.passed("jsonl", LINES, hour * HOUR_US)) for hour in (10, 11, 22, 23)] == [40, 0, 0, 40]


def test_late_lines_come_in_their_order_twelve_hours_later() -> None:
    late = wire("slow-source")
    assert late.passed("jsonl", LINES[:20], 11 * HOUR_US) == []
    assert late.passed("jsonl", LINES[20:], 12 * HOUR_US) == []
    assert late.passed("csv", [], 23 * HOUR_US) == []
    assert late.passed("jsonl", [], 23 * HOUR_US) == LINES[:20]
    assert late.passed("jsonl", [], 24 * HOUR_US) == LINES[20:]


def test_numbers_change_their_unit_and_ratings_are_stuck() -> None:
    changed = wire("unit-change").passed("jsonl", LINES, 11 * HOUR_US)
    assert [json.loads(line)["km"] for line in changed] == [250.0] * 40
    assert {json.loads(line)["items"] for line in changed} == {3}
    assert wire("unit-change").passed("movielog", RATED, 11 * HOUR_US) == [RATED[0].replace(b"=5", b"=1"), RATED[1]]


def test_numbers_are_missing_in_half_of_the_lines() -> None:
    values = [json.loads(line)["km"] for line in wire("missing-values").passed("jsonl", LINES, 11 * HOUR_US)]
    assert 10 <= values.count(None) <= 30
    assert set(values) == {None, 2.5}
