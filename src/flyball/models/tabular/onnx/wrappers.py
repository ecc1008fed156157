"""Models that wrap other models, as ONNX operators."""

from collections.abc import Callable
from typing import Any

import numpy as np

from flyball.core import Arrays, Doubles
from flyball.models.tabular.calibration.calibrated import Calibrated
from flyball.models.tabular.calibration.conformalized import Conformal, ends_of
from flyball.models.tabular.calibration.downsampled import Downsampled
from flyball.models.tabular.calibration.window import BASE
from flyball.models.tabular.one_vs_rest import OneVsRest
from flyball.models.tabular.onnx.graph import Graph, Rows
from flyball.models.tabular.onnx.models import line
from flyball.models.tabular.stacking import EDGE, Stacking, inputs_of
from flyball.models.tabular.table import TargetKind

Write = Callable[[Any, Arrays, Rows, TargetKind], str]
"""Writes a model: (model, arrays, rows, target) to the name of its predictions, float64 (rows, outputs)."""


def calibrated(model: Calibrated, arrays: Arrays, rows: Rows, target: TargetKind, write: Write) -> str:
    graph, predicted = rows.graph, write(model.model, _under(BASE, arrays), rows, target)
    edge = 1 / (float(arrays["seen"][0]) + 2) if model.method == "isotonic" else 0.0
    columns = []
    for output in range(len(target.outputs)):
        probability = graph.column(predicted, output)
        if model.method == "isotonic":
            mapped = _interpolated(graph, probability, arrays[f"knots_{output}"], arrays[f"heights_{output}"])
        else:
            a, b, c = arrays["coefficients"][output].tolist()
            happens, not_ = graph.logs(probability, 1e-15)
            link = graph.minus(graph.times(happens, graph.constant(a)), graph.times(not_, graph.constant(b)))
            mapped = graph.logistic(graph.add(link, graph.constant(c)))
        columns.append(graph.at_most(graph.at_least(mapped, graph.constant(edge)), graph.constant(1 - edge)))
    mapped = graph.joined(columns)
    if target.kind != "multiclass":
        return mapped
    some = graph.op("Greater", graph.total(mapped), graph.constant(0.0))
    return graph.where(some, graph.shares(mapped), predicted)


def downsampled(model: Downsampled, arrays: Arrays, rows: Rows, target: TargetKind, write: Write) -> str:
    graph, kept = rows.graph, write(model.model, _under(BASE, arrays), rows, target)
    happens = graph.times(kept, graph.constant(model.rate))
    return graph.divided(happens, graph.add(happens, graph.minus(graph.constant(1.0), kept)))


def conformal(model: Conformal, arrays: Arrays, rows: Rows, target: TargetKind, write: Write) -> str:
    graph, outputs = rows.graph, len(target.outputs)
    quantiles = graph.ascending(write(model.model, _under(BASE, arrays), rows, target), outputs)
    left, right = ends_of(target.quantiles, model.level)
    margins = _margins(model, arrays, rows)
    columns = [graph.column(quantiles, output) for output in range(outputs)]
    low, high = graph.minus(columns[left], margins), graph.add(columns[right], margins)
    middle = graph.divided(graph.add(low, high), graph.constant(2.0))
    crossed = graph.op("Greater", low, high)
    low, high = graph.where(crossed, middle, low), graph.where(crossed, middle, high)
    for output in range(outputs):
        if output < left:
            columns[output] = graph.at_most(columns[output], low)
        elif output > right:
            columns[output] = graph.at_least(columns[output], high)
        else:
            columns[output] = graph.at_most(graph.at_least(columns[output], low), high)
    columns[left], columns[right] = low, high
    return graph.joined(columns)


def one_vs_rest(model: OneVsRest, arrays: Arrays, rows: Rows, target: TargetKind, write: Write) -> str:
    own = [_under(f"label_{label}_", arrays) for label in range(len(target.classes))]
    return rows.graph.joined([write(model.model, learned, rows, TargetKind("binary")) for learned in own])


def stacking(model: Stacking, arrays: Arrays, rows: Rows, target: TargetKind, write: Write) -> str:
    graph, inputs = rows.graph, inputs_of(len(model.models), target)
    predicted = graph.joined(
        [write(part, _under(f"model_{index}_", arrays), rows, target) for index, part in enumerate(model.models)]
    )
    margins = predicted if target.kind == "number" else graph.log_odds(predicted, EDGE)
    columns = [graph.column(margins, index) for index in range(len(inputs))]
    return line(_under("line_0_", arrays), Rows(graph, inputs, columns, [], [], rows.row_count), target)


def _under(start: str, arrays: Arrays) -> Arrays:
    """The arrays of an inner model, with the prefix `start` removed."""
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def _interpolated(graph: Graph, value: str, knots: Doubles, heights: Doubles) -> str:
    """Linear interpolation, as by the kernel `interpolate`."""
    if len(knots) == 1:
        return graph.add(graph.times(value, graph.constant(0.0)), graph.constant(heights[0]))
    inside = graph.at_most(graph.at_least(value, graph.constant(knots[0])), graph.constant(knots[-1]))
    after = graph.at_least(graph.rank_among(inside, knots), graph.constant(1.0))
    knot = graph.flat(graph.op("Cast", after, to=7))  # 7 is int64: onnx.TensorProto.INT64
    spans = np.column_stack([knots[:-1], np.diff(knots), heights[:-1], np.diff(heights)])
    of_knot = graph.row_of(np.vstack([np.zeros((1, 4)), spans]), knot)
    start, width, low, rise = (graph.column(of_knot, index) for index in range(4))
    share = graph.divided(graph.minus(inside, start), width)
    return graph.add(low, graph.times(share, rise))


def _margins(model: Conformal, arrays: Arrays, rows: Rows) -> str:
    """The margin of the group of each row, (rows, 1)."""
    graph, margins, codes = rows.graph, arrays["margins"], arrays["codes"]
    if not len(codes):
        return rows.every(margins[-1:])
    names = [column.name for column in rows.columns if column.kind == "category"]
    key, keys = "", np.zeros(len(codes), np.int64)
    for position, name in enumerate(model.groups):
        index = names.index(name)
        size = rows.texts[index] + 1
        code = graph.add(rows.codes[index], graph.constant(1, np.int64))
        key = graph.add(graph.times(key, graph.constant(size, np.int64)), code) if key else code
        keys = keys * size + codes[:, position] + 1
    return graph.row_of(margins[:, None], graph.index_among(key, keys))
