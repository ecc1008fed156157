"""AUC of units against its definition, its variance against DeLong's, and many looks without an effect."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.apps.delivery import app as delivery
from flyball.apps.fraud import app as fraud
from flyball.core import BadDeclaration, BadInput, Doubles
from flyball.experiments import CONTROL, AnalysisPlan, ExposedUnits, analyze
from flyball.experiments.prediction_rows import loss_of
from flyball.experiments.ranked import FEWEST_RANKED, placements, ranked_values
from flyball.policy import metric
from flyball.statistics import Sums, anytime, ratio_contrast

AUC = metric.model("auc", within="1s", role="primary")
S = 1_000_000
ARMS = (CONTROL, "candidate")


def pairs_won(scores: Doubles, positive: Any) -> Doubles:
    """(with the label, without): 1 if the first scores above the second, half for a tie: the definition."""
    higher, lower = scores[positive][:, None], scores[~positive][None, :]
    return np.asarray((higher > lower) + 0.5 * (higher == lower))


cases = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=40).filter(
    lambda rows: min(sum(positive for _, positive in rows), sum(not positive for _, positive in rows)) >= 2
)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_the_ratio_is_auc_and_its_variance_that_of_delong(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([float(score) for score, _ in rows]), np.array([positive for _, positive in rows])
    above, below = placements(scores, positive, np.ones(len(rows)))
    won = pairs_won(scores, positive)
    area = won.mean()
    assert above.sum() / below.sum() == pytest.approx(area)
    variance = np.sum((above - area * below) ** 2) / below.sum() ** 2
    positives, negatives = won.shape
    expected = won.mean(axis=1).var() / positives + won.mean(axis=0).var() / negatives
    assert variance == pytest.approx(expected)


def test_a_weight_counts_as_so_many_predictions() -> None:
    rng = np.random.default_rng(3)
    scores, positive, weights = rng.random(50), rng.random(50) < 0.4, rng.integers(1, 5, 50)
    above, below = placements(scores, positive, weights.astype(float))
    each = [np.repeat(column, weights) for column in (scores, positive)]
    many_above, many_below = placements(each[0], each[1], np.ones(int(weights.sum())))
    assert above.sum() / below.sum() == pytest.approx(many_above.sum() / many_below.sum())
    assert above.sum() == pytest.approx(many_above.sum())


class Scored:
    """Predictions as `PredictionRows.scores` gives them."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def scores(self, since_us: int, until_us: int, as_of_us: int) -> pl.DataFrame:
        return self.frame.filter((pl.col("at") >= since_us) & (pl.col("at") < until_us))


def split(count: int, rng: np.random.Generator, candidate_knows: bool) -> tuple[ExposedUnits, Scored]:
    """Units with one prediction each, of which one in ten has the label; scores of control are above by 1 then."""
    positive, candidate = rng.random(count) < 0.1, rng.random(count) < 0.5
    scores = rng.normal(size=count) + (positive & (candidate_knows | ~candidate))
    unit, at = np.arange(count).astype(str), np.arange(count, dtype=np.int64) * S
    arm = np.where(candidate, "candidate", CONTROL)
    frame = pl.DataFrame({"unit": unit, "arm": arm, "stratum": "50 %", "at": at})
    rows = pl.DataFrame({"unit": unit, "at": at, "score": scores, "positive": positive, "weight": np.ones(count)})
    return ExposedUnits(frame, ARMS, {"50 %": {CONTROL: 0.5, "candidate": 0.5}}), Scored(rows)


def analyzed(exposed: ExposedUnits, rows: Any, as_of_us: int, **plan: Any) -> Any:
    values = {"auc": ranked_values(AUC, exposed, rows, as_of_us)}
    return analyze("rel1", exposed, {"auc": AUC}, values, AnalysisPlan(**plan), as_of_us).of("auc")


def test_a_version_whose_scores_belong_to_other_requests_is_worse() -> None:
    exposed, rows = split(8_000, np.random.default_rng(4), candidate_knows=False)
    got = analyzed(exposed, rows, 9_000 * S)
    assert got.verdict == "worse"
    assert got.arm_mean == pytest.approx(0.5, abs=0.04)
    assert got.control == pytest.approx(0.76, abs=0.04), "two normals one apart: Phi(1 / sqrt(2))"
    part = analyzed(exposed, rows, 1_000 * S)
    assert 0 < sum(part.units.values()) < 1_002
    assert sum(part.units.values()) + sum(part.waiting.values()) == 8_000


def test_too_few_of_either_kind_wait() -> None:
    exposed, rows = split(200, np.random.default_rng(5), candidate_knows=True)
    got = analyzed(exposed, rows, 300 * S)
    assert (
        got.missing == f"{FEWEST_RANKED} predictions whose label holds, and as many whose label does not, in each arm"
    )
    assert (got.verdict, sum(got.units.values()), sum(got.waiting.values())) == ("too early", 0, 200)
    nothing = analyzed(exposed, rows, -1)
    assert nothing.verdict == "too early"


def test_what_auc_cannot_be_is_refused() -> None:
    exposed, rows = split(2_000, np.random.default_rng(6), candidate_knows=True)
    with pytest.raises(BadInput, match="method of an analysis of AUC"):
        analyzed(exposed, rows, 3_000 * S, method="group_sequential")
    with pytest.raises(BadDeclaration, match="without before= and winsorize="):
        metric.model("auc", before="1d")
    with pytest.raises(BadDeclaration, match="it is of no single answer"):
        loss_of("auc", fraud.task.about, "chargeback", [0.5], 1.0)
    with pytest.raises(BadDeclaration, match="accuracy, log_loss or brier|it is of no single answer"):
        loss_of("auc", delivery.task.about, "order", [1.0, 2.0, 3.0], 1.0)


def test_many_looks_at_equal_arms_find_a_difference_in_few_of_many_experiments() -> None:
    rng, found, experiments, looks, step = np.random.default_rng(7), 0, 100, 16, 500
    for _ in range(experiments):
        positive, candidate = rng.random(looks * step) < 0.05, rng.random(looks * step) < 0.2
        scores = rng.normal(size=looks * step) + positive
        found += any(_differs(scores[:n], positive[:n], candidate[:n]) for n in range(4 * step, looks * step + 1, step))
    assert found <= 10, "at 5 % the chance of more is below 2 %"


def _differs(scores: Doubles, positive: Any, candidate: Any) -> bool:
    arms = []
    for own in (~candidate, candidate):
        arms.append(Sums.of(np.column_stack(placements(scores[own], positive[own], np.ones(int(own.sum()))))))
    inference = anytime(ratio_contrast(*arms), n_best=2_000, alpha=0.05)
    return not inference.missing and not inference.low <= 0 <= inference.high
