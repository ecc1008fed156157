"""The loops that lay events out by key and time, each against a line of plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.features.offline import threads
from flyball.features.offline.kernels import sort as sort
from flyball.features.offline.segments import by_code
from flyball.features.online.kernels.tiles import stable_order

KEYS = 4
SEEDS = range(6)


def ints(size: int) -> np.ndarray:
    return np.full(size, -99, dtype=np.int64)


class Laid:
    """Random segments: of several sizes, one of them empty; few different values, so that equals are neighbors."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        sizes = rng.permutation([0, 1, 6, 11])
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.count = int(self.starts[-1])
        self.values = rng.integers(-4, 5, self.count)
        self.segments = [range(a, b) for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]
        self.of = {i: segment for segment in self.segments for i in segment}

    def sorted(self) -> np.ndarray:
        parts = [np.sort(self.values[segment.start : segment.stop]) for segment in self.segments]
        return np.concatenate(parts)


@pytest.mark.parametrize("seed", SEEDS)
def test_events_lie_by_key_in_the_order_they_came(seed: int) -> None:
    codes = np.random.default_rng(seed).integers(-1, KEYS, 30).astype(np.int32)
    starts, places = by_code(codes, KEYS)
    order = [i for key in range(KEYS) for i in range(30) if codes[i] == key]
    assert places.tolist() == [order.index(i) if codes[i] >= 0 else -1 for i in range(30)]
    assert starts.tolist() == [int(((codes >= 0) & (codes < key)).sum()) for key in range(KEYS + 1)]


@pytest.mark.parametrize("seed", SEEDS)
def test_events_lie_the_same_on_several_threads(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(seed).integers(-1, KEYS, 30).astype(np.int32)
    alone = by_code(codes, KEYS)
    monkeypatch.setattr(threads, "FEWEST_ROWS", 5)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 3)
    for mine, theirs in zip(by_code(codes, KEYS), alone, strict=True):
        assert mine.tolist() == theirs.tolist()


def test_whole_numbers_are_looked_up() -> None:
    wanted, out = np.array([2, 3, 4, 6, 7, -(2**63), 2**63 - 1]), ints(9)
    sort.looked_up(1, wanted, 3, 6, np.array([5, 6, -1, 8]), out)
    assert out.tolist() == [-99, -1, 5, 6, 8, -1, -1, -1, -99]


@pytest.mark.parametrize("seed", SEEDS)
def test_prefix_sums_are_of_what_lies_before_in_the_segment(seed: int) -> None:
    laid = Laid(seed)
    out = ints(laid.count + KEYS)
    for part in ((0, 1), (1, KEYS)):
        sort.prefix_sums(*part, laid.starts, laid.values, out)
    for c, segment in enumerate(laid.segments):
        for end in range(segment.start, segment.stop + 1):
            assert out[end + c] == sum(laid.values[segment.start : end])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_extremes_run_to_and_from_each_event(seed: int) -> None:
    laid = Laid(seed)
    highest, lowest = ints(laid.count), ints(laid.count)
    sort.running_extremes(laid.starts, laid.values, highest, lowest)
    assert highest.tolist() == [max(laid.values[of.start : i + 1]) for i, of in laid.of.items()]
    assert lowest.tolist() == [min(laid.values[i : of.stop]) for i, of in laid.of.items()]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_at_least_is_found(seed: int) -> None:
    laid = Laid(seed)
    rising = laid.sorted()
    asked = [(c, wanted) for c in range(KEYS) for wanted in range(-6, 7)]
    codes, wanted = (np.array(column, dtype=np.int64) for column in zip(*asked, strict=True))
    out = ints(len(asked))
    sort.first_at_least(0, len(asked), laid.starts, rising, codes, wanted, out)
    assert out.tolist() == [
        next((i for i in laid.segments[c] if rising[i] >= least), laid.segments[c].stop) for c, least in asked
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_since_the_start_of_each_span_is_found(seed: int) -> None:
    laid = Laid(seed)
    rising, spans, tiles = laid.sorted(), np.array([0, 2, 2, 5]), np.array([0, 0, 3, 2])
    asked = [(c, end) for c in range(KEYS) for end in range(-6, 9)]
    codes, ends = (np.array(column, dtype=np.int64) for column in zip(*asked, strict=True))
    out = np.full((4, len(asked)), -99)
    sort.first_since(1, len(asked), laid.starts, rising, codes, ends, spans, tiles, out)
    for span, tile, found in zip(spans, tiles, out, strict=True):
        starts = [(end - span) // (tile or 1) * (tile or 1) for _, end in asked]
        must = [
            next((i for i in laid.segments[c] if rising[i] >= start), laid.segments[c].stop)
            for (c, _), start in zip(asked, starts, strict=True)
        ]
        assert found.tolist() == [-99, *must[1:]]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_value_before_is_of_the_same_key(seed: int) -> None:
    laid = Laid(seed)
    values, out = laid.values + 4, ints(laid.count)
    sort.previous_same(laid.starts, values, 9, out)
    assert out.tolist() == [
        max((j for j in range(of.start, i) if values[j] == values[i]), default=-1) for i, of in laid.of.items()
    ]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("tile", [1, 2, 3])
def test_a_tile_ends_at_the_first_event_of_a_later_one(seed: int, tile: int) -> None:
    laid = Laid(seed)
    at, out = laid.sorted(), ints(laid.count)
    sort.ends_of_tiles(laid.starts, at, tile, out)
    assert out.tolist() == [
        next((j for j in range(i, of.stop) if at[j] // tile > at[i] // tile), of.stop) for i, of in laid.of.items()
    ]


def test_values_are_laid_in_their_places() -> None:
    out = ints(4)
    sort.scatter(1, np.array([7, 8, 9]), np.array([3, 2, -1, 0]), out)
    assert out.tolist() == [9, -99, 7, -99]


@given(st.lists(st.integers(-3, 3) | st.integers(-(2**62), 2**62), max_size=200))
def test_the_order_of_online_values_is_stable(values: list[int]) -> None:
    order = stable_order(np.array(values, dtype=np.int64))
    assert order.tolist() == sorted(range(len(values)), key=values.__getitem__)
