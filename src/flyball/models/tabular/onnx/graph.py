"""A graph of ONNX operators over float64, built value by value, and the columns of a table in it.

Source: the operators of opset 18 and of `ai.onnx.ml` 5, https://onnx.ai/onnx/operators/.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles
from flyball.models.tabular.estimator_files import need
from flyball.models.tabular.table import TableColumn

OPSET, ML_OPSET, IR = 18, 5, 10
_ML = "ai.onnx.ml"
_AT_MOST, _AMONG = 0, 6
"""Codes of the split modes of a `TreeEnsemble` node."""


class Walk(NamedTuple):
    """Trees whose prediction is the sum of the leaves that a row reaches; the children of a leaf are itself.

    `members`: of a node that splits by categories those that go left, else None. Numbers go left up to `threshold`,
    missing ones where `missing_left` says so. Tree t belongs to output t % `outputs`.
    """

    feature: NDArray[Any]
    threshold: Doubles
    missing_left: NDArray[Any]
    children: NDArray[Any]
    value: Doubles
    roots: NDArray[Any]
    members: Sequence[NDArray[Any] | None]
    outputs: int = 1


class Graph:
    """Nodes and constants; a value is identified by its name, and one value for each row has shape (rows, 1)."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: dict[tuple[Any, ...], str] = {}
        self.helper, self._arrays = need("onnx.helper", "onnx"), need("onnx.numpy_helper", "onnx")

    def constant(self, values: Any, dtype: Any = np.float64) -> str:
        """The name of a constant array; equal arrays are stored once."""
        array = np.ascontiguousarray(values, dtype).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"#constant{len(self.constants)}"
            self.constants.append(self._arrays.from_array(array, self._known[key]))
        return self._known[key]

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output; returns its name."""
        output = f"#{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def ml(self, kind: str, value: str, **attributes: Any) -> str:
        """Add an operator of `ai.onnx.ml`; arrays among the attributes become tensors."""
        tensors = {
            name: self._arrays.from_array(attribute, name) if isinstance(attribute, np.ndarray) else attribute
            for name, attribute in attributes.items()
        }
        return self.op(kind, value, domain=_ML, **tensors)

    def add(self, left: str, right: str) -> str:
        return self.op("Add", left, right)

    def times(self, left: str, right: str) -> str:
        return self.op("Mul", left, right)

    def divided(self, left: str, right: str) -> str:
        return self.op("Div", left, right)

    def minus(self, left: str, right: str) -> str:
        return self.op("Sub", left, right)

    def where(self, condition: str, yes: str, no: str) -> str:
        return self.op("Where", condition, yes, no)

    def at_least(self, value: str, least: str) -> str:
        return self.op("Max", value, least)

    def at_most(self, value: str, most: str) -> str:
        return self.op("Min", value, most)

    def joined(self, values: Sequence[str]) -> str:
        """Columns concatenated side by side."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=1)

    def column(self, value: str, index: int) -> str:
        """One column of several, (rows, 1)."""
        return self.op("Gather", value, self.constant([index], np.int64), axis=1)

    def row_of(self, table: Any, codes: str) -> str:
        """The row of `table` (texts, columns) for each code (rows,); code -1 gives the last row."""
        return self.op("Gather", self.constant(table), codes, axis=0)

    def total(self, value: str) -> str:
        """The sum of each row, (rows, 1)."""
        return self.op("ReduceSum", value, self.constant([1], np.int64), keepdims=1)

    def ascending(self, value: str, columns: int) -> str:
        """Each row sorted."""
        if columns == 1:
            return value
        output = f"#{len(self.nodes)}"
        inputs = [value, self.constant([columns], np.int64)]
        self.nodes.append(
            self.helper.make_node("TopK", inputs, [output, f"{output}places"], axis=1, largest=0, sorted=1)
        )
        return output

    def logistic(self, margin: str) -> str:
        """As `table.logistic`."""
        unit, small = self.constant(1.0), self.op("Exp", self.op("Neg", self.op("Abs", margin)))
        high = self.op("GreaterOrEqual", margin, self.constant(0.0))
        return self.divided(self.where(high, unit, small), self.add(unit, small))

    def shares(self, values: str) -> str:
        """Each row divided by its sum."""
        return self.divided(values, self.at_least(self.total(values), self.constant(1e-300)))

    def softmax(self, margin: str) -> str:
        highest = self.op("ReduceMax", margin, self.constant([1], np.int64), keepdims=1)
        powers = self.op("Exp", self.minus(margin, highest))
        return self.divided(powers, self.total(powers))

    def logs(self, probability: str, edge: float) -> tuple[str, str]:
        """log p and log(1 - p), with the probability clipped to `edge` from 0 and 1."""
        inside = self.at_most(self.at_least(probability, self.constant(edge)), self.constant(1.0 - edge))
        return self.op("Log", inside), self.op("Log", self.minus(self.constant(1.0), inside))

    def log_odds(self, probability: str, edge: float) -> str:
        happens, not_ = self.logs(probability, edge)
        return self.minus(happens, not_)

    def index_among(self, values: str, known: Any) -> str:
        """The index of each value in `known`, int64 (rows,), -1 for none.

        `values`: texts or int64 (rows,), or float64 (rows, 1).
        """
        indexes = np.arange(len(known))
        if not len(known):
            return self.op("Expand", self.constant([-1], np.int64), self.op("Shape", values, end=1))
        kind = np.asarray(known).dtype.kind
        if kind in "iU":
            keys = {"keys_strings": list(known)} if kind == "U" else {"keys_int64s": [int(key) for key in known]}
            return self.ml("LabelEncoder", values, **keys, values_int64s=indexes.tolist(), default_int64=-1)
        index = self.ml(
            "LabelEncoder",
            values,
            keys_tensor=np.asarray(known, np.float64),
            values_tensor=indexes.astype(np.float64),
            default_tensor=np.array([-1.0]),
        )
        return self.flat(self.op("Cast", index, to=self.helper.np_dtype_to_tensor_dtype(np.dtype(np.int64))))

    def flat(self, value: str) -> str:
        """(rows, 1) as (rows,)."""
        return self.op("Reshape", value, self.constant([-1], np.int64))

    def standing(self, value: str) -> str:
        """(rows,) as (rows, 1)."""
        return self.op("Reshape", value, self.constant([-1, 1], np.int64))

    def number(self, codes: str) -> str:
        """int64 codes (rows,) as float64 (rows, 1)."""
        double = self.helper.np_dtype_to_tensor_dtype(np.dtype(np.float64))
        return self.standing(self.op("Cast", codes, to=double))

    def rank_among(self, value: str, ascending: Doubles) -> str:
        """How many of `ascending` are below each value, at most all but one, float64 (rows, 1): a binary search."""
        nodes = max(2 * len(ascending) - 1, 1)
        feature, threshold = np.zeros(nodes, np.int64), np.zeros(nodes)
        children, value_of = np.tile(np.arange(nodes)[:, None], (1, 2)), np.zeros(nodes)
        waiting, used = [(0, 0, len(ascending) - 1)], 1
        while waiting:
            node, first, last = waiting.pop()
            if first == last:
                value_of[node] = first
                continue
            middle = (first + last) // 2
            threshold[node], children[node] = ascending[middle], (used, used + 1)
            waiting += [(used, first, middle), (used + 1, middle + 1, last)]
            used += 2
        never = np.zeros(nodes, bool)
        walk = Walk(feature, threshold, never, children, value_of, np.zeros(1, np.int64), [None] * nodes)
        return self.walk(value, walk)

    def walk(self, matrix: str, trees: Walk) -> str:
        """The sums of the leaves that each row reaches, float64 (rows, outputs)."""
        return self.ml("TreeEnsemble", matrix, **_tree_attributes(trees))


class Rows(NamedTuple):
    """The input columns of a model.

    `numbers`: float64 (rows, 1) each, NaN for missing. `codes`: int64 (rows,) each, -1 for unknown. `texts`: the number
    of texts of each category. `row_count`: int64 (1,).
    """

    graph: Graph
    columns: tuple[TableColumn, ...]
    numbers: Sequence[str]
    codes: Sequence[str]
    texts: Sequence[int]
    row_count: str

    def every(self, values: Doubles) -> str:
        """The same `values` (outputs,) for every row."""
        shape = self.graph.op("Concat", self.row_count, self.graph.constant([len(values)], np.int64), axis=0)
        return self.graph.op("Expand", self.graph.constant(values.reshape(1, -1)), shape)

    def in_order(self) -> list[tuple[str, int]]:
        """(kind, index among the columns of its kind) of each column."""
        kinds = [column.kind for column in self.columns]
        return [(kind, kinds[:index].count(kind)) for index, kind in enumerate(kinds)]


def _tree_attributes(trees: Walk) -> dict[str, Any]:
    """The attributes of a `TreeEnsemble`, which numbers inner nodes and leaves separately.

    A tree of one leaf becomes a split with a copy of this leaf on each side.
    """
    own = np.arange(len(trees.feature))
    leaf = trees.children[:, 0] == own
    inner = ~leaf | np.isin(own, trees.roots)
    nodes, lone = own[inner], own[leaf & inner]
    leaves = np.concatenate([own[leaf], lone])
    node_number, leaf_number = np.cumsum(inner) - 1, np.cumsum(leaf) - 1
    tree_of = np.searchsorted(trees.roots, own, side="right") - 1
    sides = trees.children[nodes]
    ends = leaf[sides]
    numbers = np.where(ends, leaf_number[sides], node_number[sides])
    numbers[np.isin(nodes, lone), 1] = int(leaf.sum()) + np.arange(len(lone))
    numbers, order = _numbered_apart(numbers, ends, len(leaves))
    leaves = leaves[order]
    members = [trees.members[node] for node in nodes.tolist()]
    among = [np.append(part, np.nan) for part in members if part is not None]
    attributes: dict[str, Any] = {
        "n_targets": trees.outputs,
        "aggregate_function": 1,
        "post_transform": 0,
        "tree_roots": node_number[trees.roots].tolist(),
        "nodes_featureids": trees.feature[nodes].astype(np.int64).tolist(),
        "nodes_modes": np.array([_AT_MOST if part is None else _AMONG for part in members], np.uint8),
        "nodes_splits": np.ascontiguousarray(trees.threshold[nodes]),
        "nodes_missing_value_tracks_true": trees.missing_left[nodes].astype(np.int64).tolist(),
        "nodes_truenodeids": numbers[:, 0].tolist(),
        "nodes_trueleafs": ends[:, 0].astype(int).tolist(),
        "nodes_falsenodeids": numbers[:, 1].tolist(),
        "nodes_falseleafs": ends[:, 1].astype(int).tolist(),
        "leaf_targetids": (tree_of[leaves] % trees.outputs).tolist(),
        "leaf_weights": np.ascontiguousarray(trees.value[leaves]),
    }
    if among:
        attributes["membership_values"] = np.concatenate(among).astype(np.float64)
    return attributes


def _numbered_apart(
    numbers: NDArray[Any], ends: NDArray[np.bool_], leaves: int
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """(numbers, order of the leaves): leaves are rotated until no node has a leaf and an inner node of equal number.

    onnxruntime before 1.24 treats two such children as one and returns wrong sums. A suitable rotation exists: each
    node with a leaf and an inner node excludes at most one, and a tree has fewer such nodes than leaves.
    """
    mixed = ends[:, 0] != ends[:, 1]

    def turned(turn: int) -> NDArray[Any]:
        return np.where(ends, (numbers + turn) % leaves, numbers)

    def apart(tried: NDArray[Any]) -> bool:
        return not (mixed & (tried[:, 0] == tried[:, 1])).any()

    turn = next(turn for turn in range(leaves) if apart(turned(turn)))
    return turned(turn), (np.arange(leaves) - turn) % leaves
