"""A network of a user's own and a pipeline of scikit-learn as ONNX files: fitted in the user's code, served from the
file, under the checks of every model; files that cannot be are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.models.tabular.tables import table_of

import flyball as fb
from flyball.core import BadInput, Refused
from flyball.models import TargetKind
from flyball.models.tabular.estimator_files import OnnxReader
from flyball.testing.tabular_checks import TABULAR_CHECKS, TABULAR_TARGETS, TabularCheck

BINARY, NUMBER = TargetKind("binary"), TargetKind("number")
HIDDEN = 40


class Net:
    """Random hidden units, of which a ridge regression learns a line: a network that a few lines of NumPy train."""

    def __init__(self, classes: bool, seed: int) -> None:
        self.classes, self.rng = classes, np.random.default_rng(seed)

    def fit(self, matrix: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray) -> None:
        self.center, self.scale = matrix.mean(axis=0), np.maximum(matrix.std(axis=0), 1e-6)
        self.weights = self.rng.normal(size=(matrix.shape[1], HIDDEN)) / 3
        hidden = np.tanh((matrix - self.center) / self.scale @ self.weights)
        goal = np.eye(int(labels.max()) + 1)[labels] if self.classes else labels[:, None]
        left = (hidden * sample_weight[:, None]).T
        self.shift = np.average(goal, axis=0, weights=sample_weight)
        self.line = np.linalg.solve(left @ hidden + np.eye(HIDDEN), left @ (goal - self.shift))

    def to_onnx(self) -> bytes:
        constants = {"center": self.center, "scale": self.scale, "weights": self.weights, "line": self.line}
        constants["shift"] = self.shift
        last = "Softmax" if self.classes else "Identity"
        steps = (
            "Sub x center",
            "Div Sub scale",
            "MatMul Div weights",
            "Tanh MatMul",
            "MatMul Tanh line",
            "Add out shift",
        )
        nodes = []
        for step, out in zip(steps, ("Sub", "Div", "MatMul", "Tanh", "out", "sum"), strict=True):
            kind, *inputs = step.split()
            nodes.append(helper.make_node(kind, inputs, [out]))
        nodes.append(helper.make_node(last, ["sum"], ["answer"]))
        return model_bytes(nodes, len(self.center), self.line.shape[1], constants)


def model_bytes(nodes: list[Any], width: int, outputs: int, constants: dict[str, np.ndarray], **about: Any) -> bytes:
    kind = about.get("kind", TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, about.get("shape", ["rows", width]))],
        [helper.make_tensor_value_info("answer", kind, ["rows", outputs])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString(deterministic=True))


class Network(fb.Estimator, frozen=True):
    """As a user writes one."""

    def build(self, target: TargetKind, seed: int) -> Any:
        return Net(target.kind != "number", seed)


class Converted:
    """A pipeline of scikit-learn which its converter writes."""

    def __init__(self, seed: int) -> None:
        self.pipeline = make_pipeline(StandardScaler(), LogisticRegression(random_state=seed))

    def fit(self, matrix: np.ndarray, labels: np.ndarray) -> None:
        self.pipeline.fit(matrix, labels)
        self.first = matrix[:1]

    def to_onnx(self) -> bytes:
        return bytes(to_onnx(self.pipeline, self.first, options={"zipmap": False}).SerializeToString())


class Pipeline(fb.Estimator, frozen=True):
    def build(self, target: TargetKind, seed: int) -> Any:
        return Converted(seed)


CASES = [(Network, kind) for kind in ("number", "binary", "multiclass")]
CASES += [(Pipeline, kind) for kind in ("binary", "multiclass")]


@pytest.mark.parametrize("check", TABULAR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("model", "kind"), CASES)
def test_it_passes_the_checks_of_every_model(model: Any, kind: str, check: TabularCheck, tmp_path: Path) -> None:
    check(model(), TABULAR_TARGETS[kind], tmp_path)


def test_the_file_answers_as_the_pipeline_itself_does() -> None:
    rng = np.random.default_rng(3)
    table = table_of(300, target=(rng.random(300) < 0.4).astype(float))
    model = Pipeline()
    learned = model.fit(table, BINARY, 5)
    assert learned.arrays.keys() >= {"onnx", "classes"}
    own = Converted(5)
    matrix = np.hstack([np.where(np.isnan(table.numbers), learned.arrays["fill"], table.numbers), *hot(table)])
    own.fit(matrix, table.target.astype(int))
    predicted = model.open(learned.arrays, {}, table.columns, BINARY).predict(table.numbers, table.categories)
    assert predicted[:, 0] == pytest.approx(own.pipeline.predict_proba(matrix)[:, 1], abs=1e-5)


def hot(table: Any) -> list[np.ndarray]:
    """A column for each text, the frequent ones first."""
    columns = []
    for index in range(table.categories.shape[1]):
        codes = table.categories[:, index]
        order = np.argsort(-np.bincount(codes[codes >= 0]), kind="stable")
        columns.append((codes[:, None] == order).astype(float))
    return columns


def test_what_it_learned_is_more_than_the_mean() -> None:
    table = table_of(400, target=line(table_of(400)))
    opened = Network().open(Network().fit(table, NUMBER, 1).arrays, {}, table.columns, NUMBER)
    left = opened.predict(table.numbers, table.categories)[:, 0] - table.target
    assert left.var() < 0.2 * table.target.var()


def line(table: Any) -> np.ndarray:
    return np.nan_to_num(table.numbers[:, 0], nan=2.0) + 2.0 * (table.categories[:, 0] == 1)


def softmax() -> list[Any]:
    return [helper.make_node("Softmax", ["x"], ["answer"])]


def outside() -> bytes:
    model = onnx.load_from_string(
        model_bytes([helper.make_node("Add", ["x", "shift"], ["answer"])], 3, 3, {"shift": np.ones(3)})
    )
    (shift,) = model.graph.initializer
    shift.ClearField("raw_data")
    shift.data_location = TensorProto.EXTERNAL
    shift.external_data.add(key="location", value="/etc/hostname")
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("file", "error", "words"),
    [
        (b"no model", BadInput, "ONNX file of an estimator must be a model"),
        (b"", BadInput, "must be one that onnxruntime can run"),
        (outside(), Refused, "must hold all its numbers, got some stored in other files"),
        (model_bytes([helper.make_node("Secret", ["x"], ["answer"], domain="my.own")], 3, 3, {}), BadInput, "can run"),
        (model_bytes(softmax(), 4, 4, {}), BadInput, r"shape \(any rows, 3\), got .*4"),
        (model_bytes(softmax(), 3, 3, {}, shape=[1, 3]), BadInput, "any rows"),
        (model_bytes(softmax(), 3, 3, {}, kind=TensorProto.FLOAT16), BadInput, "float32 or float64"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_are_refused(file: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        OnnxReader(np.frombuffer(file, np.uint8), 3, 3)


def test_an_output_of_another_shape_is_refused_when_it_is_learned() -> None:
    class Wrong(Net):
        def to_onnx(self) -> bytes:
            return model_bytes(softmax(), len(self.center), len(self.center), {})

    class WrongNetwork(fb.Estimator, frozen=True):
        def build(self, target: TargetKind, seed: int) -> Any:
            return Wrong(False, seed)

    with pytest.raises(
        BadInput, match=r"last output of an estimator's ONNX file must be of shape \(1, 1\), got \(1, 10\)"
    ):
        WrongNetwork().fit(table_of(50), NUMBER, 1)


def test_what_is_no_file_is_refused_when_it_is_learned() -> None:
    class Texts(Net):
        def to_onnx(self) -> Any:
            return "model.onnx"

    class TextsNetwork(fb.Estimator, frozen=True):
        def build(self, target: TargetKind, seed: int) -> Any:
            return Texts(False, seed)

    with pytest.raises(BadInput, match="what Texts.to_onnx returns must be the bytes of an ONNX file, got 'str'"):
        TextsNetwork().fit(table_of(50), NUMBER, 1)
