"""The segment in which a change is planted is named; a change of all rows, and chance, have none."""

import numpy as np
import polars as pl
import pytest

from flyball.monitoring import ColumnProfile, Finding
from flyball.monitoring.findings.one_segment import (
    Divisions,
    SegmentRows,
    changed_segment,
    named_before,
    segment_columns,
    with_segment,
)

SHIFT = Finding("shift", "events.order.price", 10, 9, "low", "prices changed")
REGIONS = ("north", "south", "east", "west")


def orders(rng: np.random.Generator, rows: int, factor: float = 1.0, only: str = "") -> pl.DataFrame:
    region = rng.choice(REGIONS, rows, p=[0.2, 0.3, 0.3, 0.2])
    price = rng.lognormal(3, 0.5, rows) * np.where((region == only) | (only == "all"), factor, 1.0)
    return pl.DataFrame({"region": region, "card": rng.random(rows) < 0.5, "price": price})


def divisions(now: pl.DataFrame, usual: pl.DataFrame) -> Divisions:
    return {
        name: {
            str(value): SegmentRows(
                *(ColumnProfile.of(part.filter(pl.col(name) == value)["price"]) for part in (now, usual))
            )
            for value in usual[name].unique(maintain_order=True)
        }
        for name in ("region", "card")
    }


@pytest.mark.parametrize("factor", [-1.0, 2.0])
@pytest.mark.parametrize("region", REGIONS)
def test_the_segment_of_a_planted_change_is_named(factor: float, region: str) -> None:
    rng = np.random.default_rng(1)
    segment = changed_segment(SHIFT, divisions(orders(rng, 400, factor, region), orders(rng, 3_000)), 0.05)
    assert segment is not None
    assert segment.name == f"region={region}"
    assert segment.others < 0.2 < segment.distance
    named = with_segment(SHIFT, segment)
    assert named.evidence["segment"] == segment.name
    assert f"prices changed; it is where region is {region}: " in named.message
    assert named_before(SHIFT, named).message == f"prices changed; it is where region is {region}"


def test_a_change_of_all_rows_and_none_are_in_no_segment() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        usual = orders(rng, 3_000)
        assert changed_segment(SHIFT, divisions(orders(rng, 400, 2.0, "all"), usual), 0.05) is None
        assert changed_segment(SHIFT, divisions(orders(rng, 400), usual), 0.05) is None


def test_few_rows_and_other_monitors_say_nothing() -> None:
    rng = np.random.default_rng(3)
    few = divisions(orders(rng, 30, 100.0, "north"), orders(rng, 3_000))
    assert changed_segment(SHIFT, few, 0.05) is None
    of_kind = Finding("kind", "events.order.price", 10, 9, "low", "kind")
    assert changed_segment(of_kind, divisions(orders(rng, 400, 9.0, "north"), orders(rng, 3_000)), 0.05) is None
    assert segment_columns(["card", "region"], ["region"]) == ["region", "card"]
