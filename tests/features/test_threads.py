"""Loops over parts of their rows on several threads: every row once, and the values of one thread."""

import numpy as np
import pytest
from tests.features.offline import START, act, check, row

from flyball.features.offline import segments, threads
from flyball.testing import feature_logs as logs


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "FEWEST_ROWS", 5)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 8)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("rows", "parts"), [(0, 1), (1, 1), (9, 1), (10, 2), (14, 2), (15, 3), (20, 4), (23, 4), (999, 4)]
)
def test_every_row_is_in_one_part(rows: int, parts: int) -> None:
    found: list[tuple[int, int, str]] = []
    threads.over_rows(lambda first, last, name: found.append((first, last, name)), rows, "given")
    assert len(found) == parts
    assert sorted(i for first, last, _ in found for i in range(first, last)) == list(range(rows))
    assert {name for _, _, name in found} == {"given"}


@pytest.mark.usefixtures("few")
def test_a_failing_part_fails_the_whole() -> None:
    def kernel(first: int, last: int) -> None:
        if first:
            raise ValueError("a later part")

    with pytest.raises(ValueError, match="a later part"):
        threads.over_rows(kernel, 20)


@pytest.mark.usefixtures("few")
def test_parts_change_no_value() -> None:
    tile = logs.TILE
    log = [
        act(
            START + (place * 7) % 30 * tile // 3,
            place,
            known_at=START + place * tile // 3,
            user=1 + place % 3,
            n=place * 31 % 11,
            x=place % 5 / 4,
            t="abc"[place % 3],
            ok=place % 2 == 0,
        )
        for place in range(60)
    ]
    rows = [row(START + step * tile // 2, user=1 + step % 3) for step in range(27)]
    rows += [row(START + step * tile, (step * 6, 0, 0), user=1 + step % 3) for step in range(1, 11)]
    check(log, rows)


def test_places_of_64_bits_change_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "index_type", lambda count: np.int64)
    log = [act(START + place % 7, place, n=place * 31 % 11, x=place % 5 / 4, t="abc"[place % 3]) for place in range(20)]
    check(log, [row(START + step) for step in (0, 3, 9)])
