"""Two columns in each other's place are named with their share; columns that the world moves are not."""

import numpy as np
import polars as pl
import pytest

from flyball.monitoring.profiles.column import ColumnProfile
from flyball.monitoring.profiles.exchanged import exchanges


def drawn(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    return {
        "km": rng.lognormal(0.6, 0.6, rows),
        "amount": rng.lognormal(3, 0.5, rows),
        "rain": rng.exponential(0.5, rows),
        "zone": np.array([f"z{number}" for number in rng.integers(6, size=rows)]),
        "city": np.array([f"c{number}" for number in rng.zipf(2.0, rows) % 5]),
    }


def profiles(columns: dict[str, np.ndarray]) -> dict[str, ColumnProfile]:
    return {name: ColumnProfile.of(pl.Series(values)) for name, values in columns.items()}


def usual(rng: np.random.Generator) -> dict[str, list[ColumnProfile]]:
    windows = [profiles(drawn(rng, 100)) for _ in range(8)]
    return {name: [window[name] for window in windows] for name in windows[0]}


@pytest.mark.parametrize(
    ("pair", "share"),
    [
        *((pair, share) for pair in (("km", "amount"), ("amount", "rain")) for share in (1.0, 0.5, 0.3)),
        *((("zone", "city"), share) for share in (1.0, 0.6)),
    ],
)
def test_columns_in_each_others_place_are_named_with_the_share(pair: tuple[str, str], share: float) -> None:
    rng = np.random.default_rng(1)
    first, second = pair
    for _ in range(5):
        columns = drawn(rng, 400)
        hit = rng.random(400) < share
        columns[first], columns[second] = (
            np.where(hit, columns[second], columns[first]),
            np.where(hit, columns[first], columns[second]),
        )
        (found,) = exchanges(usual(rng), {name: profiles(columns)[name] for name in columns})
        assert set(found.columns) == set(pair)
        assert found.share == pytest.approx(share, abs=0.12)
        assert "are exchanged in" in found.words


def test_columns_that_the_world_moves_are_not_exchanged() -> None:
    rng = np.random.default_rng(2)
    changes = [
        {"km": 2.0, "amount": 2.0},  # customers from farther away, who order more
        {"km": 3.0, "amount": 0.6},
        {"km": 1.5, "rain": 4.0},
        {"amount": 0.3},
        {},
    ]
    for _ in range(10):
        for change in changes:
            columns = drawn(rng, 300)
            for name, factor in change.items():
                columns[name] = columns[name] * factor
            assert exchanges(usual(rng), profiles(columns)) == [], change


def test_columns_of_other_kinds_and_of_alike_values_are_left_out() -> None:
    rng = np.random.default_rng(3)
    same = {name: ColumnProfile.of(pl.Series(rng.normal(0, 1, 200))) for name in ("a", "b")}
    assert exchanges({name: [part] for name, part in same.items()}, same) == []
    mixed = {"a": ColumnProfile.of(pl.Series(["x"] * 50)), "b": ColumnProfile.of(pl.Series([1.0] * 50))}
    assert exchanges({"a": [mixed["a"]], "b": [mixed["b"]]}, {"a": mixed["b"], "b": mixed["a"]}) == []
