"""Training keeps all positives and a share of the negatives; the probabilities mean what they would have meant."""

from typing import Any

import numpy as np
import pytest
from tests.models.tabular.calibration.planted import BINARY, COLUMNS, Distorted, clicks, table_of

from flyball.core import BadDeclaration
from flyball.models.tabular.baselines import Constant
from flyball.models.tabular.calibration.downsampled import downsampled


def test_the_share_of_positives_comes_back() -> None:
    """The constant model says the share of positives of what it was trained on, four times too high."""
    table, _ = clicks(40_000, 0)
    model = downsampled(Constant(), rate=0.1)
    fitted = model.fit(table, BINARY, 0)
    predictor = model.open(fitted.arrays, fitted.texts, COLUMNS, BINARY)
    share = float(table.target.mean())
    assert predictor.predict(table.numbers[:1], table.categories[:1])[0, 0] == pytest.approx(share, abs=0.01)
    assert float(fitted.arrays["base_constant"][0]) > 2 * share


def test_all_positives_and_the_declared_share_of_negatives_are_kept_by_the_seed() -> None:
    table, _ = clicks(40_000, 1)
    model, positives = downsampled(Distorted(), rate=0.1), float(table.target.sum())
    kept = [model.fit(table, BINARY, seed).arrays for seed in (7, 7, 8)]
    assert [float(one["base_positives"][0]) for one in kept] == [positives] * 3
    rows = [int(one["base_rows"][0]) for one in kept]
    assert rows[0] == rows[1] != rows[2]
    negatives = len(table) - positives
    assert abs(rows[0] - positives - 0.1 * negatives) < 4 * (0.09 * negatives) ** 0.5
    whole = downsampled(Distorted(), rate=1.0).fit(table, BINARY, 0)
    assert int(whole.arrays["base_rows"][0]) == 40_000


def test_contributions_add_up_and_bits_stay() -> None:
    table, _ = clicks(300, 2)
    model = downsampled(Distorted(), rate=0.2)
    fitted = model.fit(table, BINARY, 0)
    predictor = model.open(fitted.arrays, fitted.texts, COLUMNS, BINARY)
    found = predictor.predict(table.numbers, table.categories)[:, 0]
    added = predictor.contributions(table.numbers, table.categories)[:, 0].sum(axis=1)
    assert added == pytest.approx(np.log(found / (1 - found)), abs=1e-9)
    single = [predictor.predict(table.numbers[row : row + 1], table.categories[:1])[0, 0] for row in range(300)]
    assert single == found.tolist()


def test_no_positives_and_nothing_kept() -> None:
    table = table_of(np.arange(5.0), np.zeros(5))
    fitted = downsampled(Distorted(), rate=1e-9).fit(table, BINARY, 0)
    assert int(fitted.arrays["base_rows"][0]) == 5  # nothing would be left: trained on all


@pytest.mark.parametrize("rate", [0.0, -1.0, 1.5, float("nan")])
def test_the_rate_is_a_share(rate: Any) -> None:
    with pytest.raises(BadDeclaration, match=r"rate of downsampled\(...\) must be the share of the negatives to keep"):
        downsampled(Distorted(), rate)
