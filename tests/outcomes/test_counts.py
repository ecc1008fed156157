"""Counts of responses: sums of them are again counts, and what is taken back is gone."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flyball.core import new_id
from flyball.outcomes import Prediction
from flyball.outcomes.counts import BOUNDS_US, LabelCounts, VersionCounts, decode_counts, encode_counts

numbers = st.integers(0, 10**20)  # squares of millionths are larger than 64 bits hold
label_counts = st.builds(LabelCounts, *[numbers] * len(LabelCounts.__struct_fields__))
names = st.sampled_from(["a", "b", "c"])
version_counts = st.builds(
    VersionCounts,
    numbers,
    numbers,
    numbers,
    st.dictionaries(names, numbers),
    st.dictionaries(names, numbers),
    st.dictionaries(st.integers(0, 58), numbers),
    st.dictionaries(names, label_counts),
)


def predicted(**fields: Any) -> Prediction:
    known = {"items": [], "scores": [], "sources": [], "version": "v1", "level": "champion", "arm": "champion"}
    rest = {"at_us": 5, "key": "7", "request_type": "r", "request": {}, "propensity": 1.0, "offsets": ()}
    return Prediction(id=new_id(5, random.Random(1)), **{**known, **rest, **fields})


@given(label_counts, label_counts)
def test_what_is_taken_back_is_gone(counts: LabelCounts, other: LabelCounts) -> None:
    def values(counts: LabelCounts) -> list[int]:
        return [getattr(counts, field) for field in counts.__struct_fields__]

    before, added = values(counts), values(other)
    counts.add(other)
    assert values(counts) == [one + more for one, more in zip(before, added, strict=True)]
    counts.add(other, -1)
    assert values(counts) == before


@given(st.lists(version_counts, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_sums_do_not_depend_on_order_and_survive_the_file(parts: list[VersionCounts], rng: random.Random) -> None:
    def summed(parts: list[VersionCounts]) -> VersionCounts:
        total = VersionCounts()
        for part in parts:
            total.add(decode_counts(encode_counts(part)))
        return total

    total = summed(parts)
    assert summed(rng.sample(parts, len(parts))) == total
    assert total.responses == sum(part.responses for part in parts)
    for name in "abc":
        assert total.levels.get(name, 0) == sum(part.levels.get(name, 0) for part in parts)
        assert total.arms.get(name, 0) == sum(part.arms.get(name, 0) for part in parts)
        in_parts = [part.labels[name] for part in parts if name in part.labels]
        assert total.labels.get(name, LabelCounts()).n == sum(counts.n for counts in in_parts)


def test_a_response_counts_by_what_it_held_and_who_made_it() -> None:
    shown = {"items": ["a", "b"], "scores": [1.0, 0.0]}
    cases = [  # filled, modeled
        (predicted(**shown, sources=["popular", "model"]), 1, 1),
        (predicted(**shown, sources=["popular", "cold_start"], level="popular"), 1, 0),
        (predicted(), 0, 0),
        (predicted(values=[0.5]), 1, 1),
        (predicted(values=[0.5], version="", arm="challenger"), 1, 0),
        (predicted(decision="approve"), 1, 0),
        (predicted(values=[0.5], level="previous"), 1, 1),
        (predicted(values=[0.5], level="precomputed"), 1, 0),
        (predicted(**shown, sources=["model", "model"], level="precomputed"), 1, 0),
    ]
    total = VersionCounts()
    for prediction, filled, modeled in cases:
        counts = VersionCounts()
        counts.answer(prediction)
        assert (counts.responses, counts.filled, counts.modeled) == (1, filled, modeled)
        assert (counts.levels, counts.arms) == ({prediction.level: 1}, {prediction.arm: 1})
        total.answer(prediction)
    assert (total.responses, total.filled, total.modeled) == (9, 8, 3)
    assert total.levels == {"champion": 5, "popular": 1, "previous": 1, "precomputed": 2}
    assert total.arms == {"champion": 8, "challenger": 1}


def test_a_latency_lies_in_the_bucket_whose_upper_bound_it_does_not_exceed() -> None:
    counts = VersionCounts()
    for took_us in (0, BOUNDS_US[0], BOUNDS_US[0] + 1, BOUNDS_US[-1], BOUNDS_US[-1] + 1):
        counts.answer(predicted(took_us=took_us))
    assert counts.latency == {0: 2, 1: 1, len(BOUNDS_US) - 1: 1, len(BOUNDS_US): 1}
