"""Numbers are microseconds unless declared; what looks like another unit is reported, and how to declare it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.events.home import FORMATS, NOON_US, Home

from flyball.core import BadInput
from flyball.events import Format, Stopped, columns
from flyball.events.timestamps import UNIT_NS, TimeReader, likely_unit

FIRST_US, LAST_US = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 for year in (1980, 2100))
WORDS = {"s": "seconds", "ms": "milliseconds", "ns": "nanoseconds"}
times_us = st.integers(FIRST_US, LAST_US - 1)
others = st.sampled_from(sorted(WORDS))


def reader(unit: str) -> TimeReader:
    return TimeReader(UTC, unit, "")


def written(at_us: int, unit: str) -> int:
    """The time in another unit, not before it."""
    return -(-at_us * 1_000 // UNIT_NS[unit])


@given(times_us, others, st.booleans())
def test_every_time_since_1980_in_another_unit_is_reported_and_read_when_declared(
    at_us: int, unit: str, as_text: bool
) -> None:
    at_us = min(at_us, LAST_US - 1_000_000)
    number = written(at_us, unit)
    value = str(number) if as_text else number
    with pytest.raises(BadInput) as refused:
        reader("").timestamp_us(value)
    assert WORDS[unit] in str(refused.value)
    assert f'formats=fb.columns(unit="{unit}")' in str(refused.value)
    assert reader(unit).timestamp_us(value) == number * UNIT_NS[unit] // 1_000
    assert likely_unit(number) == unit


@given(times_us)
def test_microseconds_since_1980_need_no_declaration(at_us: int) -> None:
    assert reader("").timestamp_us(at_us) == reader("us").timestamp_us(at_us) == at_us


@given(st.integers(0, FIRST_US - 1))
def test_every_time_before_1980_can_be_declared_as_microseconds(at_us: int) -> None:
    assert reader("us").timestamp_us(at_us) == at_us
    if not likely_unit(at_us):
        assert reader("").timestamp_us(at_us) == at_us


def test_another_unit_than_the_declared_one_is_reported() -> None:
    with pytest.raises(BadInput, match=r"in seconds as declared \(this looks like milliseconds, 2026-11-06T"):
        reader("s").timestamp_us(1_793_986_789_000)
    with pytest.raises(BadInput, match=r"in microseconds unless declared \(this looks like seconds, 2026-11-06T"):
        reader("").timestamp_us(1_793_986_789.25)
    with pytest.raises(BadInput, match="whole microseconds"):
        reader("").timestamp_us(0.5)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def lines(unit: str, count: int = 3_000) -> str:
    return "\n".join(
        json.dumps(
            {"at": written(NOON_US - index * 1_000_000, unit), "user": index % 500 + 1, "film": "up", "minute": 3}
        )
        for index in range(count)
    )


@pytest.mark.parametrize("unit", WORDS)
def test_a_file_in_another_unit_stops_after_its_first_lines(home: Home, unit: str) -> None:
    with pytest.raises(Stopped) as stopped:
        home.ingest(lines(unit), "jsonl", stop_early=True)
    assert f'this looks like {WORDS[unit]}, 2022-11-14T12:00:00Z: formats=fb.columns(unit="{unit}")' in str(
        stopped.value
    )
    assert stopped.value.accepted == 0
    assert home.records() == []


@pytest.mark.parametrize("unit", WORDS)
def test_declared_the_same_file_is_ingested(home: Home, unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declared: Format = columns(unit=unit)["jsonl"]
    monkeypatch.setitem(FORMATS, "jsonl", declared)
    report = home.ingest(lines(unit), "jsonl", stop_early=True)
    assert report.accepted == {"watch": 3_000}
    assert max(record.at for record in home.records()) == NOON_US
