"""Each model as ONNX operators, from the arrays of its artifact."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, Doubles, Refused
from flyball.models.combined.trees import Trees
from flyball.models.tabular.anomalies import IsolationForest, NearestNeighborAnomaly
from flyball.models.tabular.baselines import Constant, GroupMedian
from flyball.models.tabular.boosted import LightGBM
from flyball.models.tabular.ftrl import FTRL, WIDEST, mean_and_scale
from flyball.models.tabular.linear import Linear
from flyball.models.tabular.onnx.graph import Graph, Rows, Walk
from flyball.models.tabular.table import TargetKind


def constant(model: Constant, arrays: Arrays, rows: Rows, target: TargetKind) -> str:
    return rows.every(arrays["constant"])


def linear(model: Linear, arrays: Arrays, rows: Rows, target: TargetKind) -> str:
    return line(arrays, rows, target)


def line(arrays: Arrays, rows: Rows, target: TargetKind) -> str:
    """A linear model, column by column in the order of `LinearPredictor`."""
    graph, coefficients, first = rows.graph, arrays["coefficients"], len(arrays["mean"])
    values = rows.every(arrays["base"])
    for kind, index in rows.in_order():
        if kind == "number":
            center, scale = graph.constant(arrays["mean"][index]), graph.constant(arrays["scale"][index])
            standard = graph.divided(graph.minus(rows.numbers[index], center), scale)
            known = graph.where(graph.op("IsNaN", standard), graph.constant(0.0), standard)
            values = graph.add(values, graph.times(known, graph.constant(coefficients[None, :, index])))
            continue
        slots = arrays[f"slot_{index}"]
        width = int(slots.max(initial=-1)) + 1
        of_text = np.where(slots[:, None] >= 0, coefficients[:, first : first + width].T[np.maximum(slots, 0)], 0.0)
        if width:
            values = graph.add(values, graph.row_of(_and_unknown(of_text), rows.codes[index]))
        first += width
    return _one_against_rest(graph, values, target)


def ftrl(model: FTRL, arrays: Arrays, rows: Rows, target: TargetKind) -> str:
    """The base, then the coefficients of each column's slots, in the order of `FTRLPredictor`."""
    graph, coefficients, (mean, scale) = rows.graph, model.coefficients(arrays), mean_and_scale(arrays)
    values = rows.every(coefficients[:, -1])
    for column, (kind, index) in enumerate(rows.in_order()):
        own = coefficients[:, arrays[f"slots_{column}"]].T
        if kind == "category":
            values = graph.add(values, graph.row_of(_and_unknown(own), rows.codes[index]))
            continue
        deviations = graph.divided(
            graph.minus(rows.numbers[index], graph.constant(mean[index])), graph.constant(scale[index])
        )
        low, high = graph.constant(-WIDEST), graph.constant(WIDEST)
        inside = graph.at_most(graph.at_least(deviations, low), high)
        part = graph.times(inside, graph.constant(own[None, 0]))
        missing = graph.op("IsNaN", deviations)
        values = graph.add(values, graph.where(missing, graph.constant(own[None, 1]), part))
    return _one_against_rest(graph, values, target)


def lightgbm(model: LightGBM, arrays: Arrays, rows: Rows, target: TargetKind) -> str:
    graph, columns = rows.graph, list(rows.numbers)
    for index, codes in enumerate(rows.codes):
        if f"means_{index}" in arrays:
            columns.append(graph.row_of(arrays[f"means_{index}"], codes))
        else:
            missing = graph.op("Less", graph.standing(codes), graph.constant(0, np.int64))
            columns.append(graph.where(missing, graph.constant(np.nan), graph.number(codes)))
    matrix = graph.joined(columns)
    sets = sum(name.startswith("trees_") for name in arrays)
    margin = graph.joined([_trees(Trees(arrays[f"trees_{index}"]), matrix, rows) for index in range(sets)])
    if target.kind == "binary":
        return graph.logistic(margin)
    return graph.softmax(margin) if target.kind == "multiclass" else graph.ascending(margin, sets)


def group_median(model: GroupMedian, arrays: Arrays, rows: Rows, target: TargetKind) -> str:
    """The median of the most specific known group, from no column to all of them."""
    graph = rows.graph
    names = {kind: [column.name for column in rows.columns if column.kind == kind] for kind in ("number", "category")}
    values, key = rows.every(arrays["all"]), ""
    for depth, name in enumerate(model.by, start=1):
        if name in names["number"]:
            seen = arrays[f"values_{depth - 1}"]
            codes, size = graph.index_among(rows.numbers[names["number"].index(name)], seen), len(seen) + 1
        else:
            index = names["category"].index(name)
            codes, size = rows.codes[index], rows.texts[index] + 1
        code = graph.add(codes, graph.constant(1, np.int64))
        key = graph.add(graph.times(key, graph.constant(size, np.int64)), code) if key else code
        known, usual = arrays[f"keys_{depth}"], arrays[f"usual_{depth}"]
        if len(known):
            group = graph.index_among(key, known)
            hit = graph.op("GreaterOrEqual", graph.standing(group), graph.constant(0, np.int64))
            values = graph.where(hit, graph.row_of(usual, group), values)
    return values


def isolation_forest(model: IsolationForest, arrays: Arrays, rows: Rows, target: TargetKind) -> str:
    graph, nodes = rows.graph, len(arrays["feature"])
    walk = Walk(
        arrays["feature"],
        arrays["threshold"],
        np.zeros(nodes, bool),
        arrays["children"],
        arrays["value"],
        arrays["roots"],
        [None] * nodes,
    )
    depths = graph.walk(graph.joined(_ordinary(arrays, rows)), walk)
    power = -1.0 / len(arrays["roots"]) * (1.0 / float(arrays["expected"][0]))
    return graph.op("Pow", graph.constant(2.0), graph.times(depths, graph.constant(power)))


def nearest_neighbor(model: NearestNeighborAnomaly, arrays: Arrays, rows: Rows, target: TargetKind) -> str:
    graph, known = rows.graph, arrays["known"]
    squares = ""
    for index, column in enumerate(_ordinary(arrays, rows)):
        scaled = graph.divided(column, graph.constant(arrays["scale"][index]))
        gap = graph.minus(graph.constant(known[None, :, index]), scaled)
        squares = graph.add(squares, graph.times(gap, gap)) if squares else graph.times(gap, gap)
    near = min(model.k, len(known))
    distance = graph.op("Sqrt", graph.column(graph.ascending(squares, len(known)), near - 1))
    distances = arrays["distances"]
    rank = graph.rank_among(distance, np.append(distances, np.inf))
    return graph.divided(graph.add(rank, graph.constant(0.5)), graph.constant(len(distances) + 1.0))


def _trees(trees: Trees, matrix: str, rows: Rows) -> str:
    """The scores of LightGBM trees. Raises `Refused` for trees that treat 0 as missing."""
    from flyball.models.kernels.trees import CATEGORY, NAN_LEFT, ZERO_MISSING

    if not len(trees.roots):
        return rows.every(np.zeros(trees.classes))
    forest = trees.forest
    if (forest.kind & ZERO_MISSING).any():
        raise Refused("trees must keep 0 and missing apart to become ONNX, got some for which 0 is missing")
    walk = Walk(
        forest.feature,
        forest.threshold,
        forest.kind == NAN_LEFT,
        forest.children,
        forest.value,
        trees.roots,
        [
            _members(forest.bits[first:last]) if kind & CATEGORY else None
            for kind, (first, last) in zip(forest.kind.tolist(), forest.words.tolist(), strict=True)
        ],
        trees.classes,
    )
    return rows.graph.walk(matrix, walk)


def _members(bits: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The categories of a set of bits."""
    return np.flatnonzero(np.unpackbits(bits.astype("<u4").view(np.uint8), bitorder="little"))


def _one_against_rest(graph: Graph, margin: str, target: TargetKind) -> str:
    if target.kind == "binary":
        return graph.logistic(margin)
    return graph.shares(graph.logistic(margin)) if target.kind == "multiclass" else margin


def _and_unknown(of_text: Doubles) -> Doubles:
    """The rows of known texts and a last row of zeros for unknown ones."""
    return np.vstack([of_text, np.zeros((1, of_text.shape[1]))])


def _ordinary(arrays: Mapping[str, NDArray[Any]], rows: Rows) -> list[str]:
    """The input columns of the anomaly models: missing values are replaced, and all are clipped to ±1e150."""
    graph = rows.graph
    columns = [
        graph.where(graph.op("IsNaN", number), graph.constant(arrays["medians"][index]), number)
        for index, number in enumerate(rows.numbers)
    ]
    columns += [graph.row_of(arrays[f"often_{index}"][:, None], codes) for index, codes in enumerate(rows.codes)]
    low, high = graph.constant(-1e150), graph.constant(1e150)
    return [graph.at_most(graph.at_least(column, low), high) for column in columns]
