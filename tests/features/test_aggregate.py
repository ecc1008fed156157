"""The loops of the offline engine against slices of arrays, at every edge of their blocks."""

import numpy as np
import pytest
from tests.features.offline import START, act, check, row

import flyball as fb
from flyball.features.offline.kernels import aggregate as aggregate
from flyball.features.offline.segments import Blocks
from flyball.testing import feature_logs as logs

LOWEST = -(1 << 62)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 255, 256, 257, 300, 4097])
def test_the_greatest_of_every_stretch(size: int) -> None:
    rng = np.random.default_rng(size)
    values = rng.integers(-1_000_000, 1_000_000, size)
    edges = [edge for edge in range(size + 1) if (edge % 16 in (0, 1, 15) and edge < 64) or edge % 256 in (0, 1, 255)]
    some = [int(edge) for edge in rng.integers(0, size + 1, 12)]
    pairs = [(left, right) for left in {*edges, *some} for right in {*edges, *some, size}]
    left, right = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    blocks, out = Blocks(values), np.empty(len(left), dtype=np.int64)
    nothing = np.empty(0, dtype=np.int64)
    window, order = (left, right, right, nothing, nothing), np.arange(len(left))
    aggregate.greatest(0, len(left), *window, order, values, blocks.upper, blocks.level_starts, LOWEST, out)
    assert out.tolist() == [int(values[a:b].max(initial=LOWEST)) for a, b in pairs]


def test_more_than_64_bits_add_up() -> None:
    large = fb.Entity(
        "user", total=fb.sum(logs.Act, lambda a: a.n, "lifetime"), spread=fb.std(logs.Act, lambda a: a.n, "1h")
    )
    log = [act(START + place, place, n=2**53 - place % 3) for place in range(1_500)]
    check(log, [row(START + step) for step in (1, 1_100, 2_000)], groups=[large])
