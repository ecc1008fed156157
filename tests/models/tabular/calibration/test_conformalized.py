"""The wrapped interval covers within binomial error on planted data, for all and for each group."""

from typing import Any

import msgspec
import numpy as np
import pytest
from tests.models.tabular.calibration.planted import COLUMNS, QUANTILES, Narrow, table_of

from flyball.core import BadDeclaration, BadInput
from flyball.models.tabular.calibration.conformalized import conformal, ends_of
from flyball.models.tabular.table import TargetKind

SCALE = np.array([1.0, 5.0])


def deliveries(rows: int, seed: int) -> Any:
    """Two shops, one as steady as the other is not."""
    rng = np.random.default_rng(seed)
    x, shop = rng.random(rows), rng.integers(0, 2, rows)
    return table_of(x, 10 * x + rng.normal(0, SCALE[shop]), shop)


def opened(model: Any, table: Any, target: TargetKind = QUANTILES) -> Any:
    fitted = model.fit(table, target, 0)
    return model.open(fitted.arrays, fitted.texts, COLUMNS, target)


def covered(predictor: Any, table: Any) -> Any:
    found = predictor.predict(table.numbers, table.categories)
    return (found[:, 0] <= table.target) & (table.target <= found[:, -1])


@pytest.mark.parametrize("width", [0.1, 40.0])
def test_intervals_cover_for_all_and_for_each_shop(width: float) -> None:
    table, fresh = deliveries(20_000, 0), deliveries(20_000, 1)
    alike, by_shop = (opened(conformal(Narrow(width), 0.8, groups), table) for groups in ((), ("shop",)))
    shop = fresh.categories[:, 0]
    error = 4 * (0.16 / 20_000 + 0.16 / 4_000) ** 0.5
    assert abs(covered(alike, fresh).mean() - 0.8) < error
    for number in (0, 1):
        inside = shop == number
        group_error = 4 * (0.16 / inside.sum() + 0.16 / 2_000) ** 0.5
        assert abs(covered(by_shop, fresh)[inside].mean() - 0.8) < group_error
        assert abs(covered(alike, fresh)[inside].mean() - 0.8) > 0.1
    assert abs(covered(opened(Narrow(width), table), fresh).mean() - (0.04 if width == 0.1 else 1.0)) < 0.05


def test_an_unknown_group_moves_as_all_do() -> None:
    predictor = opened(conformal(Narrow(), 0.8, ("shop",)), deliveries(5_000, 2))
    alike = opened(conformal(Narrow(), 0.8), deliveries(5_000, 2))
    for unknown in (2, -1):
        row = np.array([[unknown]], np.int32)
        assert predictor.predict(np.ones((1, 1)), row).tolist() == alike.predict(np.ones((1, 1)), row).tolist()


def test_quantiles_ascend_and_those_beyond_stay_beyond() -> None:
    target = TargetKind("quantiles", quantiles=(0.05, 0.1, 0.3, 0.5, 0.9, 0.99))
    for width in (0.1, 300.0):
        table = deliveries(4_000, 3)
        found = opened(conformal(Narrow(width), 0.8), table, target).predict(table.numbers, table.categories)
        assert (np.diff(found, axis=1) >= 0).all()
    certain = table_of(np.arange(50.0), 10 * np.arange(50.0))  # both ends move inward until they meet
    found = opened(conformal(Narrow(5.0), 0.8), certain).predict(certain.numbers, certain.categories)
    assert found[:, 0] == pytest.approx(certain.target)
    assert found[:, 2] == pytest.approx(certain.target)


def test_the_margin_is_of_the_newest_rows_and_the_model_of_the_others() -> None:
    table = deliveries(1_000, 4)
    wild = table.target.copy()
    wild[:800] += 1_000
    model = conformal(Narrow(), 0.8)
    fitted = model.fit(msgspec.structs.replace(table, target=wild), QUANTILES, 0)
    assert fitted.arrays["margins"][0] < 20
    assert fitted.arrays["base_rows"].tolist() == [800]
    assert fitted.note == "conformalized on the newest 200 of 1000 examples"
    assert conformal(Narrow(), refit=True).fit(table, QUANTILES, 0).arrays["base_rows"].tolist() == [1_000]


def test_in_a_world_that_grows_wilder_adapted_intervals_keep_their_coverage() -> None:
    """The spread trebles over the table and stays so afterwards: a fixed margin is that of the window's middle."""
    fixed, adapted = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x, spread = rng.random(6_000), np.linspace(0.5, 4.0, 6_000) ** 2
        table = table_of(x, 10 * x + rng.normal(0, spread))
        fresh_x = rng.random(2_000)
        fresh = table_of(fresh_x, 10 * fresh_x + rng.normal(0, 16.0, 2_000))
        fixed.append(covered(opened(conformal(Narrow(), 0.8, share=0.3), table), fresh).mean())
        adapted.append(covered(opened(conformal(Narrow(), 0.8, share=0.3, adapt=0.02), table), fresh).mean())
    assert abs(np.mean(adapted) - 0.8) < 0.5 * abs(np.mean(fixed) - 0.8)
    assert np.mean(fixed) < 0.77


def test_in_a_world_that_stays_adapting_costs_little() -> None:
    fresh = deliveries(20_000, 1)
    shares = [
        covered(opened(conformal(Narrow(), 0.8, ("shop",), adapt=0.01), deliveries(10_000, seed)), fresh).mean()
        for seed in range(10, 30)
    ]
    assert abs(np.mean(shares) - 0.8) < 0.02  # four standard errors
    assert max(abs(share - 0.8) for share in shares) < 0.08


def test_contributions_add_up_and_bits_stay() -> None:
    table = deliveries(500, 5)
    predictor = opened(conformal(Narrow(), 0.8, ("shop",)), table)
    found = predictor.predict(table.numbers, table.categories)
    assert predictor.contributions(table.numbers, table.categories).sum(axis=2) == pytest.approx(found)
    single = [predictor.predict(table.numbers[n : n + 1], table.categories[n : n + 1])[0].tolist() for n in range(500)]
    assert single == found.tolist()


def test_what_cannot_be_conformalized_is_refused_with_the_correction() -> None:
    table = deliveries(100, 6)
    with pytest.raises(BadDeclaration, match=r"quantiles for conformal\(level=0.9\) must be with 0.05 among them"):
        conformal(Narrow(), 0.9).fit(table, QUANTILES, 0)
    with pytest.raises(
        BadInput, match=r"groups of conformal\(...\) must be columns of categories \(shop\), got 'zone'"
    ):
        conformal(Narrow(), groups=("zone",)).fit(table, QUANTILES, 0)
    with pytest.raises(BadInput, match=r"window of conformal\(...\) must be 4 or more for a level of 0.8, got 2"):
        conformal(Narrow()).fit(deliveries(10, 7), QUANTILES, 0)
    with pytest.raises(BadDeclaration, match=r"level of conformal\(...\) must be between 0 and 1, got 80"):
        conformal(Narrow(), 80.0)
    with pytest.raises(BadDeclaration, match=r"adapt of conformal\(...\) must be 0, or a rate such as 0.02, got -1"):
        conformal(Narrow(), adapt=-1.0)
    with pytest.raises(BadDeclaration, match=r"groups of conformal\(...\) must be names of columns, .* got 'shop'"):
        conformal(Narrow(), groups="shop")  # type: ignore[arg-type]
    unweighted = msgspec.structs.replace(table, weight=np.zeros(100))
    with pytest.raises(BadInput, match=r"window of conformal\(...\) must be 4 or more for a level of 0.8, got 0"):
        conformal(Narrow()).fit(unweighted, QUANTILES, 0)


def test_the_ends_are_found_whatever_the_rounding() -> None:
    assert ends_of((0.05, 0.1, 0.5, 0.9, 0.95), 0.8) == (1, 3)
    assert ends_of((0.05, 0.1, 0.5, 0.9, 0.95), 0.9) == (0, 4)
