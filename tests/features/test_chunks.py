"""Columns in chunks are read as they are, and give what the same column in one chunk gives."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from tests.features.offline import START, act, row

from flyball.features import point_in_time
from flyball.features.offline import chunks as pieces
from flyball.features.offline import threads
from flyball.features.offline.chunks import Chunks
from flyball.testing import feature_logs as logs


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "FEWEST_IN_CHUNK", 1)
    monkeypatch.setattr(threads, "FEWEST_ROWS", 4)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 2)


def chunked(frame: pl.DataFrame, *edges: int) -> pl.DataFrame:
    cuts = [0, *edges, frame.height]
    parts = [frame[first:last] for first, last in pairwise(cuts)]
    return pl.concat(parts, rechunk=False)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("edges", [(), (3,), (1, 2, 13), (8, 16)])
def test_every_value_is_in_one_piece(edges: tuple[int, ...]) -> None:
    column = chunked(pl.DataFrame({"x": np.arange(20) * 2}), *edges)["x"]
    assert column.n_chunks() == len(edges) + 1
    found = Chunks(column)
    assert [start + i for start, piece in found.parts for i in range(len(piece))] == list(range(20))
    assert [int(x) for _, piece in found.parts for x in piece] == column.to_list() == found.whole.tolist()
    assert len(found) == 20
    assert any(len(piece) < 20 for _, piece in found.parts)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("edges", [(), (1,), (2,), (1, 2)])
def test_the_least_step_is_found_on_every_side_of_a_cut(edges: tuple[int, ...]) -> None:
    for values in ([5, 9, 7], [5, 3, 4], [1, 1, 2], [4, 8, 11]):
        found = Chunks(chunked(pl.DataFrame({"x": values}), *edges)["x"])
        assert found.least_step() == min(b - a for a, b in pairwise(values))


def test_a_column_without_values_is_one_empty_piece() -> None:
    for column in (
        pl.Series([], dtype=pl.Int64),
        np.empty(0, dtype=np.int64),
        pl.DataFrame(schema={"x": pl.Int64})["x"],
    ):
        assert [(start, len(piece)) for start, piece in Chunks(column).parts] == [(0, 0)]


def test_many_short_chunks_are_put_together() -> None:
    column = chunked(pl.DataFrame({"x": range(9)}), *range(1, 9))["x"]
    assert column.n_chunks() == 9
    assert [(start, piece.tolist()) for start, piece in Chunks(column).parts] == [(0, list(range(9)))]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("order", [1, -1, 7])
def test_chunks_change_no_value(order: int) -> None:
    tile = logs.TILE
    log = [
        act(
            START + (place * order) % 30 * tile // 3,
            place,
            known_at=START + place * tile // 3,
            user=1 + place % 3,
            n=place * 31 % 11,
            x=place % 5 / 4,
            t="abc"[place % 3],
            ok=place % 2 == 0,
        )
        for place in range(30)
    ]
    rows = logs.rows_frame([row(START + step * tile // 2, user=1 + step % 3) for step in range(27)])
    frames = logs.frames_of(log)
    parts = {name: chunked(frame, 3, 4, 17) if frame.height else frame for name, frame in frames.items()}
    whole = point_in_time(logs.GROUPS, frames, rows)
    assert whole.equals(point_in_time(logs.GROUPS, parts, chunked(rows, 5)))
