"""Anomaly detection: how different a row is from the others, learned without labels.

Sources: Liu, Ting, Zhou, "Isolation Forest", ICDM 2008; Ramaswamy, Rastogi, Shim, "Efficient Algorithms for Mining
Outliers from Large Data Sets", SIGMOD 2000.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, Doubles
from flyball.models.combined.forest import Forest, Paths, Walker
from flyball.models.tabular.table import TableColumn, TabularFit, TabularModel, TargetKind, TrainingTable, log_odds


class IsolationForest(TabularModel, frozen=True):
    """Isolation forest: a row that few random splits separate from the others is an anomaly.

    Each of `trees` trees splits `sample` rows at random; the score is 2 ** -(mean depth of the row / expected depth),
    from 0 to 1. It becomes a probability only by `calibrated`. Labels and weights are not used. A missing number counts
    as the median; a category counts as the logarithm of how often it occurred in training.
    """

    kind: ClassVar[str] = "isolation_forest"
    predicts: ClassVar[tuple[str, ...]] = ("binary",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"trees": (50, 100, 200), "sample": (64, 256, 1024)}

    trees: int = 100
    sample: int = 256

    def __post_init__(self) -> None:
        if self.trees < 1 or self.sample < 2:
            raise BadDeclaration("IsolationForest's trees and sample", "from 1 and from 2", (self.trees, self.sample))

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        measures = _measures(table)
        rows = _ordinary(measures, table.numbers, table.categories)
        rng = np.random.default_rng(seed)
        size = min(self.sample, len(rows))
        grown = [_isolate(rows[rng.choice(len(rows), size, replace=False)], rng) for _ in range(self.trees)]
        roots = np.cumsum([0, *(len(tree[0]) for tree in grown)])[:-1].astype(np.int32)
        feature, threshold, children, value, counts = (
            np.concatenate([tree[part] + (root if part == 2 else 0) for tree, root in zip(grown, roots, strict=True)])
            for part in range(5)
        )
        arrays = {
            "feature": feature.astype(np.int32),
            "threshold": threshold,
            "children": np.ascontiguousarray(children, np.int32),
            "value": value,
            "counts": counts,
            "roots": roots,
            "depths": np.array([tree[5] for tree in grown], np.int32),
            "expected": np.array([expected_depth(size)]),
        }
        return TabularFit({**measures, **arrays}, note="labels are not used")

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "IsolationPredictor":
        return IsolationPredictor(arrays, columns)


class IsolationPredictor:
    """Scores rows by their depth in the trees of an isolation forest."""

    def __init__(self, arrays: Arrays, columns: tuple[TableColumn, ...]) -> None:
        self._paths: Paths | None = None
        self._arrays, self._positions = arrays, _positions(columns)
        nodes, trees = len(arrays["feature"]), len(arrays["roots"])
        self._forest = Forest(
            arrays["feature"],
            arrays["threshold"],
            np.zeros(nodes, np.uint8),
            arrays["children"],
            arrays["value"],
            np.zeros((nodes, 2), np.int32),
            np.zeros(0, np.uint32),
        )
        self._walker, self._count = Walker(self._forest, arrays["roots"], arrays["depths"]), float(trees)
        self._scale = 1.0 / float(arrays["expected"][0])

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        rows = _ordinary(self._arrays, numbers, categories)
        depths = np.zeros((len(rows), 1))
        self._walker.add(rows, depths)
        scores: Doubles = np.exp2(-depths / self._count * self._scale)
        return scores

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """The score's log odds, divided among the columns in proportion to how much each shortens the row's path."""
        rows = _ordinary(self._arrays, numbers, categories)
        added = np.zeros((len(rows), rows.shape[1] + 1))
        if self._paths is None:
            self._paths = Paths(self._forest, self._arrays["counts"], self._arrays["roots"])
        self._paths.add(rows, added)
        start = log_odds(np.exp2(-added[:, -1] / self._count * self._scale))
        return _in_proportion(added[:, :-1], start, log_odds(self.predict(numbers, categories)[:, 0]), self._positions)


class NearestNeighborAnomaly(TabularModel, frozen=True):
    """k-nearest-neighbor distance: a row far from its `k`-th nearest training row is an anomaly.

    The score, between 0 and 1, is the share of training rows that are nearer to their own `k`-th neighbor. It becomes a
    probability only by `calibrated`. Training rows are a sample of at most `sample`; columns are divided by their
    standard deviation. Labels and weights are not used. Missing numbers and categories count as in `IsolationForest`.
    """

    kind: ClassVar[str] = "nearest_neighbor_anomaly"
    predicts: ClassVar[tuple[str, ...]] = ("binary",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"k": (1, 5, 10, 20, 50)}

    k: int = 10
    sample: int = 2_000

    def __post_init__(self) -> None:
        if self.k < 1 or self.sample <= self.k:
            raise BadDeclaration("NearestNeighborAnomaly's k and sample", "from 1 and above k", (self.k, self.sample))

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        measures = _measures(table)
        rows = _ordinary(measures, table.numbers, table.categories)
        drawn = np.random.default_rng(seed).choice(len(rows), min(self.sample, len(rows)), replace=False)
        deviation = rows.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        known = rows[np.sort(drawn)] / scale
        own = [_squares(known, row, self.k + 1)[0] for row in known]  # the nearest is the row itself
        return TabularFit(
            {**measures, "scale": scale, "known": known, "distances": np.sort(np.sqrt(own))},
            note="labels are not used",
        )

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "NeighborPredictor":
        return NeighborPredictor(self.k, arrays, columns)


class NeighborPredictor:
    """Scores rows by their distance to the training rows."""

    def __init__(self, k: int, arrays: Arrays, columns: tuple[TableColumn, ...]) -> None:
        self._k, self._arrays, self._positions = k, arrays, _positions(columns)

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        squares, _ = self._nearest(numbers, categories)
        return self._shares(np.sqrt(squares))[:, None]

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """The score's log odds, divided among the columns in proportion to their squared distance to the k-th row."""
        squares, parts = self._nearest(numbers, categories)
        nothing = log_odds(self._shares(np.zeros(len(parts))))
        return _in_proportion(parts, nothing, log_odds(self._shares(np.sqrt(squares))), self._positions)

    def _shares(self, distances: Doubles) -> Doubles:
        known = self._arrays["distances"]
        shares: Doubles = (np.searchsorted(known, distances) + 0.5) / (len(known) + 1)
        return shares

    def _nearest(self, numbers: Doubles, categories: NDArray[np.int32]) -> tuple[Doubles, Doubles]:
        rows = _ordinary(self._arrays, numbers, categories) / self._arrays["scale"]
        squares_parts = [_squares(self._arrays["known"], row, self._k) for row in rows]
        parts = np.array([part for _, part in squares_parts]).reshape(rows.shape)
        return np.array([square for square, _ in squares_parts], np.float64), parts


def expected_depth(rows: int) -> float:
    """The expected depth of a leaf in a random tree of `rows` rows; 1 for one row or none, because it is a divisor.

    >>> expected_depth(2), round(expected_depth(256), 3)
    (1.0, 10.249)
    """
    return _unsplit_depth(rows) if rows > 1 else 1.0


def _unsplit_depth(rows: int) -> float:
    """The expected further depth of `rows` rows in one leaf, with the exact harmonic number, not its approximation."""
    if rows <= 1:
        return 0.0
    harmonic = float((1.0 / np.arange(1, rows)).sum())
    return 2.0 * harmonic - 2.0 * (rows - 1) / rows


def _isolate(rows: Doubles, rng: np.random.Generator) -> tuple[Any, Any, Any, Any, Any, int]:
    """A random tree: (feature, threshold, children, value, rows of each node, depth).

    Both children of a leaf are the leaf itself; its value is the expected depth of its rows.
    """
    limit = int(np.ceil(np.log2(max(len(rows), 2))))
    feature, threshold, children, value, counts = [0], [np.inf], [[0, 0]], [0.0], [len(rows)]
    waiting, deepest = [(0, np.arange(len(rows)), 0)], 0
    while waiting:
        node, members, depth = waiting.pop()
        low, high = rows[members].min(axis=0), rows[members].max(axis=0)
        splittable = np.flatnonzero(high > low)
        deepest = max(deepest, depth)
        if depth >= limit or not len(splittable):
            value[node] = (depth + _unsplit_depth(len(members))) if len(rows) > 1 else 1.0
            continue
        column = int(rng.choice(splittable))
        cut = min(rng.uniform(low[column], high[column]), float(np.nextafter(high[column], low[column])))
        feature[node], threshold[node] = column, cut
        children[node] = [len(feature), len(feature) + 1]
        left = rows[members, column] <= cut
        for side in (members[left], members[~left]):
            here = len(feature)
            feature.append(0)
            threshold.append(np.inf)
            children.append([here, here])
            value.append(0.0)
            counts.append(len(side))
            waiting.append((here, side, depth + 1))
    return (
        np.array(feature),
        np.array(threshold),
        np.array(children),
        np.array(value),
        np.array(counts, np.float64),
        deepest,
    )


def _squares(known: Doubles, row: Doubles, k: int) -> tuple[float, Doubles]:
    """(squared distance to the k-th nearest row, or the farthest if there are fewer; the part of each column)."""
    total = np.zeros(len(known))
    for column in range(known.shape[1]):  # in a fixed order, for the same bits
        total += (known[:, column] - row[column]) ** 2
    nearest = np.argsort(total, kind="stable")[min(k, len(known)) - 1]
    parts: Doubles = (known[nearest] - row) ** 2
    return float(total[nearest]), parts


def _measures(table: TrainingTable) -> dict[str, NDArray[Any]]:
    """The median of each number column (0 without values), and for each category column the logarithm of how often
    each text occurred, with unknown texts last."""
    medians = np.zeros(table.numbers.shape[1])
    for index in range(len(medians)):
        known_values = table.numbers[:, index][~np.isnan(table.numbers[:, index])]
        medians[index] = np.median(known_values) if len(known_values) else 0.0
    measures: dict[str, NDArray[Any]] = {"medians": medians}
    for index, name in enumerate(table.category_names):
        codes = table.categories[:, index]
        seen = np.bincount(np.where(codes < 0, len(table.vocabularies[name]), codes))
        measures[f"often_{index}"] = np.log1p(np.pad(seen, (0, len(table.vocabularies[name]) + 1 - len(seen))))
    return measures


def _ordinary(measures: Mapping[str, NDArray[Any]], numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
    """Numbers, then categories, as float64 (rows, columns) without missing values; absolute values at most 1e150."""
    filled = np.where(np.isnan(numbers), measures["medians"], numbers)
    often = [measures[f"often_{index}"][categories[:, index]][:, None] for index in range(categories.shape[1])]
    return np.ascontiguousarray(np.clip(np.hstack([filled, *often]), -1e150, 1e150))


def _positions(columns: tuple[TableColumn, ...]) -> list[int]:
    """For each column of `_ordinary`, its position among the table's columns."""
    return [index for kind in ("number", "category") for index, column in enumerate(columns) if column.kind == kind]


def _in_proportion(parts: Doubles, start: Doubles, end: Doubles, positions: list[int]) -> Doubles:
    """float64 (rows, 1, columns + 1): `end` - `start` divided among columns in proportion to `parts`; then `start`."""
    total = np.zeros(len(parts))
    for column in range(parts.shape[1]):
        total += parts[:, column]
    moved = np.abs(total) > 1e-9 * np.maximum(np.abs(parts).max(axis=1, initial=0.0), 1e-9)
    factor = np.where(moved, (end - start) / np.where(moved, total, 1.0), 0.0)
    contributions = np.zeros((len(parts), 1, len(positions) + 1))
    for index, position in enumerate(positions):
        contributions[:, 0, position] = parts[:, index] * factor
    contributions[:, 0, -1] = np.where(moved, start, end)
    return contributions
