"""Events ordered by key hold what was there, and a range of keys is read by itself."""

from pathlib import Path

import polars as pl
import pytest

from flyball.features.offline.sorted_events import read_range, sort_calls, sort_events, within

KEYS = [None, "9", "10", "b", "a", "10", None, "é", "aa"]


@pytest.fixture
def ordered(tmp_path: Path) -> list[str]:
    """The files of events with these keys, at most two events in each."""
    frame = pl.DataFrame({"user": KEYS, "n": range(len(KEYS))})
    sources = []
    for number, start in enumerate(range(0, len(KEYS), 5)):
        sources.append(str(tmp_path / f"{number}.parquet"))
        frame[start : start + 5].write_parquet(sources[-1])
    calls = sort_calls(sources, "user", tmp_path / "ordered", 2)
    assert [sort_events(call) for call in calls] == [2, 2, 1, 2, 2]
    return [call.out for call in calls]


@pytest.mark.parametrize(
    ("low", "high"), [(None, None), (None, "10"), ("10", "9"), ("9", "aa"), ("aa", None), ("b", "c"), ("x", "y")]
)
def test_ranges_hold_what_the_whole_holds(ordered: list[str], low: str | None, high: str | None) -> None:
    whole = pl.DataFrame({"user": KEYS, "n": range(len(KEYS))})
    expected = whole.filter(within("user", low, high))["n"].to_list()
    assert sorted(read_range(ordered, low, high)["n"].to_list()) == expected


def test_the_order_within_a_key_stays(ordered: list[str]) -> None:
    assert read_range(ordered, "10", "11")["n"].to_list() == [2, 5]


def test_whole_numbers_are_ordered_by_their_text(tmp_path: Path) -> None:
    pl.DataFrame({"user": [9, 10, 101, 2]}).write_parquet(tmp_path / "a.parquet")
    calls = sort_calls([str(tmp_path / "a.parquet")], "user", tmp_path / "ordered", 10)
    for call in calls:
        sort_events(call)
    assert read_range([call.out for call in calls], "10", "2")["user"].to_list() == [10, 101]
