"""A fitted model of a table as one ONNX file that other programs run."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from flyball.core import Arrays, Refused
from flyball.models.tabular.anomalies import IsolationForest, NearestNeighborAnomaly
from flyball.models.tabular.baselines import Constant, GroupMedian
from flyball.models.tabular.boosted import LightGBM
from flyball.models.tabular.calibration.calibrated import Calibrated
from flyball.models.tabular.calibration.conformalized import Conformal
from flyball.models.tabular.calibration.downsampled import Downsampled
from flyball.models.tabular.estimator_files import need
from flyball.models.tabular.ftrl import FTRL
from flyball.models.tabular.linear import Linear
from flyball.models.tabular.one_vs_rest import OneVsRest
from flyball.models.tabular.onnx import models, wrappers
from flyball.models.tabular.onnx.graph import IR, ML_OPSET, OPSET, Graph, Rows
from flyball.models.tabular.stacking import Stacking
from flyball.models.tabular.table import TableColumn, TabularModel, TargetKind

ONNX_TOLERANCE = 1e-9
"""The largest difference of a prediction of the file from Flyball's, relative for numbers above 1 in size."""

_MODELS: dict[type[TabularModel], Callable[..., str]] = {
    Constant: models.constant,
    FTRL: models.ftrl,
    GroupMedian: models.group_median,
    IsolationForest: models.isolation_forest,
    LightGBM: models.lightgbm,
    Linear: models.linear,
    NearestNeighborAnomaly: models.nearest_neighbor,
}
_WRAPPERS: dict[type[TabularModel], Callable[..., str]] = {
    Calibrated: wrappers.calibrated,
    Conformal: wrappers.conformal,
    Downsampled: wrappers.downsampled,
    OneVsRest: wrappers.one_vs_rest,
    Stacking: wrappers.stacking,
}


def onnx_of(
    model: TabularModel,
    arrays: Arrays,
    columns: tuple[TableColumn, ...],
    vocabularies: Mapping[str, Sequence[str]],
    target: TargetKind,
    about: Mapping[str, str] | None = None,
) -> bytes:
    """A fitted `model` as an ONNX file; the same bytes for the same arguments.

    Inputs have the names of the columns: a number is float64 (rows, 1), NaN for missing; a category is a text (rows,
    1), any unknown one for missing. The output `prediction` is float64 (rows, outputs), within `ONNX_TOLERANCE` of
    `TabularPredictor.predict`; an infinite number counts as missing, as it does in a request. `about`: metadata beside
    the names of the outputs. Needs ONNX opset 18 and `ai.onnx.ml` 5, such as onnxruntime 1.21.

    Raises `Refused` for a model without an ONNX form and for no columns, `MissingExtra` without the package onnx.
    """
    helper, checker = need("onnx.helper", "onnx"), need("onnx.checker", "onnx")
    if not columns:
        raise Refused("a model must have columns to become ONNX, got none: a file without inputs has no rows")
    graph = Graph()
    inputs, rows = _rows(graph, columns, vocabularies)
    double = helper.np_dtype_to_tensor_dtype(np.dtype(np.float64))
    output = "prediction" if "prediction" not in {column.name for column in columns} else "prediction_"
    graph.nodes.append(helper.make_node("Identity", [_write(model, arrays, rows, target)], [output]))
    outputs = [helper.make_tensor_value_info(output, double, ["rows", len(target.outputs)])]
    onnx_model = helper.make_model(
        helper.make_graph(graph.nodes, "flyball", inputs, outputs, initializer=graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR,
        producer_name="flyball",
    )
    helper.set_model_props(
        onnx_model,
        {**(about or {}), "outputs": json.dumps(target.outputs, separators=(",", ":")), "target": target.kind},
    )
    checker.check_model(onnx_model, full_check=True)
    return bytes(onnx_model.SerializeToString(deterministic=True))


def _rows(
    graph: Graph, columns: tuple[TableColumn, ...], vocabularies: Mapping[str, Sequence[str]]
) -> tuple[list[Any], Rows]:
    """The inputs, and the columns made of them."""
    helper = graph.helper
    text, double = helper.np_dtype_to_tensor_dtype(np.dtype(object)), helper.np_dtype_to_tensor_dtype(np.dtype(float))
    inputs = [
        helper.make_tensor_value_info(column.name, double if column.kind == "number" else text, ["rows", 1])
        for column in columns
    ]
    numbers, codes = [], []
    texts = [len(vocabularies[column.name]) for column in columns if column.kind == "category"]
    for column in columns:
        if column.kind == "number":
            infinite = graph.op("IsInf", column.name)
            numbers.append(graph.where(infinite, graph.constant(np.nan), column.name))
        else:
            codes.append(graph.index_among(graph.flat(column.name), list(vocabularies[column.name])))
    count = graph.op("Shape", columns[0].name, start=0, end=1)
    return inputs, Rows(graph, columns, numbers, codes, texts, count)


def _write(model: Any, arrays: Arrays, rows: Rows, target: TargetKind) -> str:
    """Looks a model up by its very class: a subclass may do otherwise."""
    if type(model) in _MODELS:
        return _MODELS[type(model)](model, arrays, rows, target)
    if type(model) in _WRAPPERS:
        return _WRAPPERS[type(model)](model, arrays, rows, target, _write)
    known = ", ".join(sorted(known.__name__ for known in (*_MODELS, *_WRAPPERS)))
    raise Refused(
        f"a model must be one of {known} to become ONNX, got {type(model).__name__}: what another library learned it "
        "can export itself, such as skl2onnx does"
    )
