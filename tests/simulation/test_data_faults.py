"""Faults of data: lines before the fault pass, and what becomes of those after it."""

import json

import numpy as np
import pytest

from flyball.simulation.data_faults import FAULTS, HOUR_US, SOURCES, FaultyWire, by_source, faults_of

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


def test_one_of_two_sources_falls_silent() -> None:
    lines = [f"{number}".encode() for number in range(400)]
    north, south = by_source(lines).values()
    assert sorted(north + south) == sorted(lines)
    assert 150 <= len(south) <= 250
    assert wire("silent-source").passed("jsonl", lines, 11 * HOUR_US) == north
    assert [name for name, fault in FAULTS.items() if fault.divided] == ["silent-source"]
    assert len(SOURCES) == 2


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


def test_times_are_three_hours_earlier_in_half_of_the_lines() -> None:
    at_us = 1_767_571_200_000_000
    lines = [json.dumps({"type": "order", "at": at_us, "order": number}).encode() for number in range(40)]
    moved = [json.loads(line)["at"] - at_us for line in wire("moved-times").passed("jsonl", lines, 11 * HOUR_US)]
    assert set(moved) == {0, -3 * HOUR_US}
    assert 10 <= moved.count(0) <= 30
    rated = set(wire("moved-times").passed("movielog", RATED[:1] * 40, 11 * HOUR_US))
    assert rated == {RATED[0], RATED[0].replace(b"T10:00", b"T07:00:00")}
    broken = [b"2026x03-02T10:00,7,GET /rate/film=5"] * 40
    assert wire("moved-times").passed("movielog", broken, 11 * HOUR_US) == broken


def test_half_of_the_lines_come_again_under_new_ids() -> None:
    lines = [json.dumps({"type": "order", "at": 5, "order": number, "km": 2.5}).encode() for number in range(40)]
    sent = [json.loads(line) for line in wire("sent-twice").passed("jsonl", lines, 11 * HOUR_US)]
    assert 50 <= len(sent) <= 70
    assert len({fields["order"] for fields in sent}) == len(sent)
    assert len({fields["order"] % 2**40 for fields in sent}) == 40
    rated = set(wire("sent-twice").passed("movielog", RATED[:1] * 40, 11 * HOUR_US))
    assert rated == {RATED[0], RATED[0].replace(b"T10:00", b"T10:00:01")}


def test_two_fractions_of_a_line_are_exchanged() -> None:
    lines = [
        b'{"type": "order", "km": 2.5, "items": 3, "amount": 20.0, "rain": 0.5}',
        b'{"type": "accepted", "order": 1}',
    ]
    exchanged, same = wire("exchanged-columns").passed("jsonl", lines, 11 * HOUR_US)
    assert json.loads(exchanged) == {"type": "order", "km": 20.0, "items": 3, "amount": 2.5, "rain": 0.5}
    assert json.loads(same) == json.loads(lines[1])
    assert wire("exchanged-columns").passed("movielog", RATED, 11 * HOUR_US) == RATED


def test_faults_that_a_line_cannot_have_are_left_out() -> None:
    assert set(FAULTS) - set(faults_of(1)) == {"exchanged-columns"}
    assert faults_of(2) == FAULTS
