"""Serializes fitted estimators of other libraries to bytes that can be loaded without running code from them.

Formats: skops for scikit-learn, which builds only types that were named beforehand; XGBoost's own binary format; and
ONNX for estimators that convert themselves.
"""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import ArtifactCorrupt, BadInput, Doubles, MissingExtra, Refused

SKOPS, XGBOOST, ONNX = "skops", "xgboost", "onnx"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_NUMBERED = re.compile(r'"__id__": (\d+)|"(\d+)\.(\w+)"')


def need(module: str, extra: str) -> Any:
    """An optional package; raises `MissingExtra` with the line that installs it."""
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(module, extra) from None


def format_of(estimator: Any) -> str:
    """The format of a fitted estimator: "onnx" if it has `to_onnx`, "xgboost" if it has a booster, else "skops"."""
    if hasattr(estimator, "to_onnx"):
        return ONNX
    return XGBOOST if hasattr(estimator, "get_booster") else SKOPS


def to_bytes(estimator: Any) -> NDArray[np.uint8]:
    """The fitted estimator as bytes; the same fit gives the same bytes."""
    if format_of(estimator) == ONNX:
        onnx_model = estimator.to_onnx()
        if not isinstance(onnx_model, bytes):
            raise BadInput(
                f"what {type(estimator).__name__}.to_onnx returns",
                "the bytes of an ONNX file",
                type(onnx_model).__name__,
            )
        return np.frombuffer(onnx_model, np.uint8)
    if format_of(estimator) == XGBOOST:
        return np.frombuffer(bytes(estimator.get_booster().save_raw("ubj")), np.uint8)
    return np.frombuffer(_without_addresses(need("skops.io", "sklearn").dumps(estimator)), np.uint8)


def check_trusted(data: NDArray[np.uint8], trusted: Sequence[str]) -> list[str]:
    """The types in a skops file that skops does not trust by default, all of them in `trusted`.

    Raises `Refused`, naming them, if some are not in `trusted`; `ArtifactCorrupt` for what is no such file.
    """
    try:
        unknown: list[str] = need("skops.io", "sklearn").get_untrusted_types(data=data.tobytes())
    except (zipfile.BadZipFile, KeyError, ValueError):  # of no archive, of one without a schema, of one that is no JSON
        raise ArtifactCorrupt("of an estimator", "a file that skops wrote", f"{len(data):,} bytes of another") from None
    strange = sorted(set(unknown) - set(trusted))
    if strange:
        raise Refused(
            f"the file of an estimator must contain trusted types only, got {', '.join(strange)}: review what they do, "
            f"then name them, fb.Estimator(..., trusted={tuple(strange)!r}), or use another estimator"
        )
    return unknown


class SklearnReader:
    """Predicts with a scikit-learn estimator: float64 (rows, values), with classes their probabilities."""

    def __init__(self, data: NDArray[np.uint8], trusted: Sequence[str], classes: bool) -> None:
        known = check_trusted(data, trusted)
        estimator = need("skops.io", "sklearn").loads(data.tobytes(), trusted=known)
        self._predict = estimator.predict_proba if classes else estimator.predict
        self._threads = need("threadpoolctl", "sklearn").ThreadpoolController()

    def predict(self, matrix: Doubles) -> Doubles:
        with self._threads.limit(limits=1):
            return np.asarray(self._predict(matrix), np.float64).reshape(len(matrix), -1)


class XGBoostReader:
    """Predicts with an XGBoost model, as `SklearnReader`. A single probability becomes those of both classes."""

    def __init__(self, data: NDArray[np.uint8], classes: bool) -> None:
        self._booster = need("xgboost", "xgboost").Booster({"nthread": 1})
        self._booster.load_model(bytearray(data.tobytes()))
        self._classes = classes

    def predict(self, matrix: Doubles) -> Doubles:
        values = np.asarray(self._booster.inplace_predict(matrix), np.float64).reshape(len(matrix), -1)
        return np.hstack([1.0 - values, values]) if self._classes and values.shape[1] == 1 else values


class OnnxReader:
    """Predicts with an ONNX file: its last output for its only input, float32 or float64 (rows, `width`).

    With classes the output is (rows, classes); with two classes it may be the probability of the second, (rows, 1) or
    (rows,). Runs on one thread. Raises `BadInput` for a file of another kind, `Refused` for a file that would read
    other files.
    """

    def __init__(self, data: NDArray[np.uint8], width: int, classes: int) -> None:
        file = data.tobytes()
        _check_alone(file)
        runtime = need("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # no log: failures are raised
        try:
            self._session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base class
            raise BadInput("ONNX file of an estimator", "one that onnxruntime can run", str(error)) from None
        self._classes = classes
        inputs, output = self._session.get_inputs(), self._session.get_outputs()[-1]
        self._input, self._output = inputs[0].name, output.name
        self._dtype = _INPUTS.get(inputs[0].type)
        shape = list(inputs[0].shape)
        fits = (
            len(shape) == 2 and not isinstance(shape[0], int) and not (isinstance(shape[1], int) and shape[1] != width)
        )
        if len(inputs) != 1 or self._dtype is None or not fits:
            must = f"one, float32 or float64 of shape (any rows, {width})"
            raise BadInput("input of an estimator's ONNX file", must, [(i.name, i.type, i.shape) for i in inputs])
        if not output.type.startswith("tensor("):
            raise BadInput("last output of an estimator's ONNX file", "a tensor (of skl2onnx: zipmap off)", output.type)

    def predict(self, matrix: Doubles) -> Doubles:
        widest = float(np.finfo(self._dtype).max)
        rows = np.clip(matrix, -widest, widest).astype(self._dtype)
        values = np.asarray(self._session.run([self._output], {self._input: rows})[0], np.float64)
        outputs = values.reshape(len(matrix), -1) if values.shape[:1] == (len(matrix),) else np.empty((0, 0))
        if self._classes == 2 and outputs.shape[1] == 1:
            outputs = np.hstack([1.0 - outputs, outputs])
        if outputs.shape != (len(matrix), self._classes or 1):
            must = f"of shape ({len(matrix)}, {self._classes or 1})"
            raise BadInput("last output of an estimator's ONNX file", must, values.shape)
        return outputs


_INPUTS: dict[str, Any] = {"tensor(float)": np.float32, "tensor(double)": np.float64}


def _check_alone(file: bytes) -> None:
    """Raises `BadInput` if `file` is not an ONNX file, `Refused` if its numbers are stored in other files."""
    onnx, decode_error = need("onnx", "onnx"), need("google.protobuf.message", "onnx").DecodeError
    try:
        model = onnx.load_model_from_string(file)
    except decode_error as error:
        raise BadInput("ONNX file of an estimator", "a model", str(error)) from None
    outside = onnx.TensorProto.EXTERNAL
    waiting: list[Any] = [model.graph, *model.functions]
    while waiting:
        part = waiting.pop()
        tensors = list(getattr(part, "initializer", []))
        for attribute in (attribute for node in part.node for attribute in node.attribute):
            tensors += [attribute.t, *attribute.tensors]
            waiting += [attribute.g, *attribute.graphs]
        if any(tensor.data_location == outside for tensor in tensors):
            raise Refused("the ONNX file of an estimator must hold all its numbers, got some stored in other files")


def _without_addresses(data: bytes) -> bytes:
    """A skops file with memory addresses replaced by consecutive numbers, and without the time of writing."""
    source = zipfile.ZipFile(io.BytesIO(data))
    schema = source.read("schema.json").decode()
    numbers: dict[str, int] = {}

    def renumbered(match: re.Match[str]) -> str:
        address = match[1] or match[2]
        number = numbers.setdefault(address, len(numbers) + 1)
        return f'"__id__": {number}' if match[1] else f'"{number}.{match[3]}"'

    schema = _NUMBERED.sub(renumbered, schema)
    json.loads(schema)
    files = {
        f"{numbers.get(stem, stem)}{dot}{ending}": source.read(name)
        for name in source.namelist()
        if name != "schema.json"
        for stem, dot, ending in [name.partition(".")]
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as written:
        for name in sorted(files):
            written.writestr(zipfile.ZipInfo(name, _EPOCH), files[name])
        written.writestr(zipfile.ZipInfo("schema.json", _EPOCH), schema)
    return target.getvalue()
