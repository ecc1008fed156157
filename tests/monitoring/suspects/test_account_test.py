"""The test of all accounts against ranks of a planted outlier, and Pearson's statistic against a loop."""

import numpy as np
import pytest

from flyball.monitoring.suspects.account_test import FEWEST, AccountTest, divergence


def account_test(scores: list[float], tested: list[bool] | None = None) -> AccountTest:
    values = np.array(scores)
    chosen = np.ones(len(values), bool) if tested is None else np.array(tested)
    return AccountTest("x", values, chosen, 0.01, lambda row: f"row {row}")


def test_an_outlier_has_the_smallest_p_and_others_none_that_counts() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 1, 400)
    scores[7] = 12.0
    p = account_test(scores.tolist()).p_values(np.full(400, 20))
    assert int(p.argmin()) == 7
    assert p[7] < 1e-4
    assert np.delete(p, 7).min() > 1e-4


def test_who_is_not_tested_has_p_1_and_so_have_all_of_a_few() -> None:
    tested = [True] * 50 + [False] * 3
    p = account_test([*range(50), 1e9, 1e9, 1e9], tested).p_values(np.full(53, 9))
    assert p[50:].tolist() == [1.0] * 3
    assert account_test([1.0, 2.0, 3.0, 99.0]).p_values(np.full(4, 9)).tolist() == [1.0] * 4


def naive_divergence(counts: np.ndarray) -> list[float]:
    """By the definition: Pearson's statistic of each row, over its mean under the median row's overdispersion."""
    shares = counts.sum(axis=0) / counts.sum()
    degrees = sum(share > 0 for share in shares) - 1
    squares = []
    for row in counts:
        expected = row.sum() * shares
        squares.append(sum((o - e) ** 2 / e for o, e in zip(row, expected, strict=True) if e > 0))
    spread = max(
        0.0,
        float(
            np.median(
                [
                    (square / degrees - 1) / (row.sum() - 1)
                    for square, row in zip(squares, counts, strict=True)
                    if row.sum() >= FEWEST
                ]
            )
        ),
    )
    return [
        float(np.log(max(square / (1 + max(row.sum() - 1, 0) * spread), 0.1)))
        for square, row in zip(squares, counts, strict=True)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_divergence_is_pearsons_over_what_accounts_usually_differ_by(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(30, rng.dirichlet([4.0, 2.0, 1.0]), 60).astype(float)
    counts[5] = [0, 0, 40]
    counts[6] = [1, 0, 1]
    assert np.allclose(divergence(counts), naive_divergence(counts))
    assert int(divergence(counts).argmax()) == 5
