"""Signatures estimate the share of common elements, and similar sets are found as by comparing all pairs."""

import numpy as np

from flyball.statistics import minhash_signatures, most_similar_sets


def signatures_of(sets: list[list[int]]) -> np.ndarray:
    numbers = np.repeat(np.arange(len(sets)), [len(each) for each in sets])
    return minhash_signatures(numbers, np.array([element for each in sets for element in each], np.int64), len(sets))


def test_agreement_estimates_the_jaccard_index() -> None:
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(200):
        common, own = rng.integers(1, 60), rng.integers(0, 60, 2)
        pool = rng.choice(10_000, common + own.sum(), replace=False)
        one, two = pool[: common + own[0]], np.r_[pool[:common], pool[common + own[0] :]]
        first, second = signatures_of([one.tolist(), two.tolist()])
        errors.append((first == second).mean() - common / len(pool))
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.09


def test_near_copies_are_found_among_many_sets() -> None:
    rng = np.random.default_rng(2)
    sets = [rng.choice(2_000, 40, replace=False).tolist() for _ in range(1_500)]
    sets += [[*each[:36], *rng.choice(2_000, 4).tolist()] for each in sets[:50]]
    best, agree = most_similar_sets(signatures_of(sets))
    assert (best[1_500:] == np.arange(50)).mean() >= 0.98
    assert (best[:50] == np.arange(1_500, 1_550)).mean() >= 0.98
    assert (agree[1_500:] >= 16).mean() >= 0.98


def test_sets_without_elements_have_no_partner() -> None:
    best, _ = most_similar_sets(minhash_signatures(np.array([1, 1]), np.array([3, 4]), 4))
    assert best.tolist() == [-1, -1, -1, -1]
    assert most_similar_sets(minhash_signatures(np.zeros(0, np.int64), np.zeros(0, np.int64), 0))[0].shape == (0,)
