"""A/A experiments looked at after every batch, at reduced size; `benchmarks/experiments.py` runs 2,000 of each."""

import numpy as np
import pytest
from scipy import stats

from flyball.statistics import (
    BURN_IN,
    bet,
    plan_bounded_difference,
    plan_looks,
    rate_difference_log_e,
    sequence_r2,
    sequence_reach,
)

EXPERIMENTS, LOOKS, BATCH, ALPHA = 300, 30, 100, 0.05
LIMIT = int(stats.binom.ppf(0.999, EXPERIMENTS, ALPHA))
UNITS = 2 * LOOKS * BATCH
KINDS = ("2 %", "20 %", "heavy")


def draw(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Values of two equal arms, shape (experiments, looks, batch, 2)."""
    shape = (EXPERIMENTS, LOOKS, BATCH, 2)
    if kind == "heavy":
        return np.minimum(rng.lognormal(0.0, 1.16, shape), 60.0)
    return (rng.random(shape) < (0.02 if kind == "2 %" else 0.2)).astype(float)


@pytest.fixture(scope="module", params=KINDS)
def experiments(request: pytest.FixtureRequest) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """The kind, its values, and z-scores and standard errors at every look."""
    values = draw(request.param, np.random.default_rng([7, KINDS.index(request.param)]))
    counts = np.arange(1, LOOKS + 1) * BATCH
    sums, squares = values.sum(axis=2).cumsum(axis=1), (values**2).sum(axis=2).cumsum(axis=1)
    means = sums / counts[:, None]
    variances = (squares / counts[:, None] - means**2) * (counts / (counts - 1))[:, None]
    ses = np.sqrt(np.maximum(variances.sum(axis=2), 1e-12) / counts)
    return request.param, values, means[..., 1] - means[..., 0], ses


def errors(finds: np.ndarray) -> int:
    return int(finds.any(axis=1).sum())


def test_asymptotic_sequences(experiments: tuple[str, np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, _, effects, ses = experiments
    counts = np.arange(1, LOOKS + 1) * BATCH
    reach = sequence_reach(ses, 2 * counts, ALPHA, sequence_r2(ALPHA, UNITS))
    assert errors((np.abs(effects) > reach) & (counts >= BURN_IN)) <= LIMIT
    assert errors(np.abs(effects) > 1.96 * ses) > 2 * LIMIT  # the fixed test, looked at as often


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_group_sequential_plans(experiments: tuple[str, np.ndarray, np.ndarray, np.ndarray], spending: str) -> None:
    _, _, effects, ses = experiments
    plan = plan_looks(UNITS, 15, ALPHA, spending)
    assert errors((np.abs(effects) / ses)[:, 1::2] > np.array(plan.bounds)) <= LIMIT


def test_sequences_of_rates(experiments: tuple[str, np.ndarray, np.ndarray, np.ndarray]) -> None:
    kind, values, _, _ = experiments
    if kind == "heavy":
        return
    sums = values.sum(axis=2).cumsum(axis=1)
    counts = np.arange(1, LOOKS + 1) * BATCH
    log_e = rate_difference_log_e(sums[..., 0], counts, sums[..., 1], counts, 0.0, UNITS, ALPHA)
    assert errors(log_e >= -np.log(ALPHA)) <= LIMIT


def test_betting_sequences(experiments: tuple[str, np.ndarray, np.ndarray, np.ndarray]) -> None:
    kind, values, _, _ = experiments
    high, sd, center = {"2 %": (1.0, 0.14, 0.02), "20 %": (1.0, 0.4, 0.2), "heavy": (60.0, 3.1, 2.0)}[kind]
    plan = plan_bounded_difference(0.0, high, UNITS, sd, center, candidates=3)
    zero = plan.plan.candidates.index(0.0)
    stakes, weights = np.array(plan.plan.stakes), np.array(plan.plan.weights)
    signed = plan.values(np.broadcast_to([False, True], values.shape), values)
    logs = np.stack([np.log1p(stake * signed).sum(axis=(2, 3)).cumsum(axis=1) for stake in stakes])
    mixed = np.tensordot(weights, np.exp(logs), axes=1)
    assert errors(mixed >= 1 / ALPHA) <= LIMIT
    last = plan.plan
    assert bet(last, signed[0].ravel()).logs[:, zero] == pytest.approx(logs[:, 0, -1])
