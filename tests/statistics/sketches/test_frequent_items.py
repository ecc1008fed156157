"""Frequent items against a counter of everything: what is promised holds after any additions and merges."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.statistics.sketches import FrequentItems

VALUES = st.lists(st.sampled_from("aaaaaabbbcdefghijk"), max_size=120)


@given(st.lists(VALUES, max_size=6), st.integers(1, 8))
def test_counts_are_too_low_by_no_more_than_stated(parts: list[list[str]], size: int) -> None:
    merged, truth = FrequentItems(size=size), Counter[str]()
    for part in parts:
        merged = merged.merge(FrequentItems(size=size).add(Counter(part)))
        truth.update(part)
    assert len(merged.counts) <= size
    assert merged.count == truth.total()
    assert merged.too_low <= truth.total() / (size + 1)
    for value, count in truth.items():
        assert count - merged.too_low <= merged.counts.get(value, 0) <= count


def test_few_values_are_counted_exactly_and_listed_by_count() -> None:
    items = FrequentItems().add({"b": 2, "a": 2}).add({"c": 1, "b": 1})
    assert (items.most(2), items.too_low) == ([("b", 3), ("a", 2)], 0)


def test_what_cannot_be_merged_is_refused() -> None:
    with pytest.raises(BadInput, match="size of frequent items"):
        FrequentItems(size=4).merge(FrequentItems())
    with pytest.raises(BadInput, match="counts must be whole numbers, 1 or more, got 0"):
        FrequentItems().add({"a": 0})
