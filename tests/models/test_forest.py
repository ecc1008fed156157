"""Forests made up node by node, against a walk and Shapley values written down from their definitions."""

from itertools import combinations
from math import factorial, isnan

import numpy as np
import pytest

from flyball.core import Doubles
from flyball.models.combined.forest import Forest, Paths, Walker

NAN_LEFT, ZERO_MISSING, CATEGORY = 1, 2, 4
WIDTH, DEPTH, TREES = 4, 4, 6
CATEGORIES = 70
"""Of the last column: sets of them take three words."""


def made_up(seed: int) -> tuple[Forest, Doubles, np.ndarray, np.ndarray]:
    """(the forest, the training rows of each node, the roots, the depths): trees of any shape, one of a leaf alone."""
    rng = np.random.default_rng(seed)
    nodes: list[tuple[int, float, int, tuple[int, int], float, tuple[int, int]]] = []
    counts: list[float] = []
    words: list[int] = []

    def grow(depth: int, rows: float) -> tuple[int, int]:
        place = len(nodes)
        nodes.append((0, 0.0, 0, (place, place), float(rng.normal()), (0, 0)))
        counts.append(rows)
        if depth == 0 or rng.random() < 0.2:
            return place, 0
        feature = int(rng.integers(WIDTH))
        kind, own = int(rng.integers(4)), (0, 0)
        if feature == WIDTH - 1:
            own = len(words), len(words) + 1 + int(rng.integers(3))
            words.extend(int(word) for word in rng.integers(0, 2**32, own[1] - own[0]))
            kind = CATEGORY
        left_rows = float(rng.integers(1, 10))
        (left, left_depth), (right, right_depth) = grow(depth - 1, left_rows), grow(depth - 1, rows)
        counts[place] = counts[left] + counts[right]
        nodes[place] = (feature, float(np.round(rng.normal(), 1)), kind, (left, right), 0.0, own)
        return place, 1 + max(left_depth, right_depth)

    grown = [grow(DEPTH if tree else 0, float(rng.integers(1, 10))) for tree in range(TREES)]
    feature, threshold, kind, children, value, spans = zip(*nodes, strict=True)
    forest = Forest(
        np.array(feature, np.int32),
        np.array(threshold),
        np.array(kind, np.uint8),
        np.array(children, np.int32),
        np.array(value),
        np.array(spans, np.int32),
        np.array(words, np.uint32),
    )
    roots, depths = (np.array(numbers, np.int32) for numbers in zip(*grown, strict=True))
    return forest, np.array(counts), roots, depths


def some_rows(seed: int) -> Doubles:
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(40, WIDTH)), 1)
    rows[:, WIDTH - 1] = rng.integers(-1, CATEGORIES + 40, 40)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    rows[rng.random(rows.shape) < 0.1] = 0.0
    return rows


def next_node(forest: Forest, node: int, x: float) -> int:
    left, right = (int(child) for child in forest.children[node])
    kind = int(forest.kind[node])
    if kind & CATEGORY:
        first, end = forest.words[node]
        known = not isnan(x) and 0 <= x < 32 * (end - first)
        return left if known and int(forest.bits[first + int(x) // 32]) >> int(x) % 32 & 1 else right
    if isnan(x) or (kind & ZERO_MISSING and x == 0):
        return left if kind & NAN_LEFT else right
    return left if x <= forest.threshold[node] else right


def expected(forest: Forest, counts: Doubles, node: int, row: Doubles, known: frozenset[int]) -> float:
    """The value of a tree below `node` where only the columns `known` are: others by the share of training rows."""
    left, right = (int(child) for child in forest.children[node])
    if left == node:
        return float(forest.value[node])
    feature = int(forest.feature[node])
    if feature in known:
        return expected(forest, counts, next_node(forest, node, row[feature]), row, known)
    below = [counts[child] * expected(forest, counts, child, row, known) for child in (left, right)]
    return float(sum(below) / (counts[left] + counts[right]))


def shapley(forest: Forest, counts: Doubles, root: int, row: Doubles) -> list[float]:
    """The Shapley value of each column by all subsets of the others, then the value when nothing is known."""
    values = []
    for column in range(WIDTH):
        others = [other for other in range(WIDTH) if other != column]
        value = 0.0
        for size in range(WIDTH):
            weight = factorial(size) * factorial(WIDTH - size - 1) / factorial(WIDTH)
            for subset in combinations(others, size):
                without, with_it = frozenset(subset), frozenset((*subset, column))
                gained = [expected(forest, counts, root, row, known) for known in (with_it, without)]
                value += weight * (gained[0] - gained[1])
        values.append(value)
    return [*values, expected(forest, counts, root, row, frozenset())]


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("seed", range(6))
def test_a_row_gets_the_leaves_that_it_reaches_one_by_one(seed: int, classes: int) -> None:
    forest, counts, roots, depths = made_up(seed)
    rows = some_rows(seed + 100)
    scores = np.zeros((len(rows), classes))
    Walker(forest, roots, depths).add(rows, scores)
    every = frozenset(range(WIDTH))
    reached = np.zeros_like(scores)
    for number, row in enumerate(rows):
        for tree, root in enumerate(roots):
            reached[number, tree % classes] += expected(forest, counts, int(root), row, every)
    assert scores == pytest.approx(reached, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_contributions_are_shapley_values_over_all_subsets_of_columns(seed: int) -> None:
    forest, counts, roots, _ = made_up(seed)
    rows = some_rows(seed + 100)[:8]
    added = np.zeros((len(rows), WIDTH + 1))
    Paths(forest, counts, roots).add(rows, added)
    defined = [np.sum([shapley(forest, counts, int(root), row) for root in roots], axis=0) for row in rows]
    assert added == pytest.approx(np.array(defined), abs=1e-9)


def test_no_rows_get_no_scores() -> None:
    forest, _, roots, depths = made_up(1)
    scores = np.zeros((0, 1))
    Walker(forest, roots, depths).add(np.zeros((0, WIDTH)), scores)
    assert scores.shape == (0, 1)
