"""Boosted trees that rank, stored in LightGBM's text format.

Sources: Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017; lambdarank: Burges,
"From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import ArtifactCorrupt, BadDeclaration, BadInput, Doubles
from flyball.models.combined.forest import Forest, Paths, Walker
from flyball.models.parameters import CheckedParameters


class LambdaMART(msgspec.Struct, metaclass=CheckedParameters, frozen=True):
    """Boosted trees that rank the items of a list; the parameters have LightGBM's names."""

    n_estimators: int = 50
    num_leaves: int = 7
    learning_rate: float = 0.1
    min_data_in_leaf: int = 100
    feature_fraction: float = 0.8
    lambda_l2: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("n_estimators", 1), ("num_leaves", 2), ("min_data_in_leaf", 1)):
            if getattr(self, name) < least:
                raise BadDeclaration(f"LambdaMART's {name}", f"at least {least}", getattr(self, name))
        for name in ("learning_rate", "feature_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise BadDeclaration(f"LambdaMART's {name}", "above 0 and at most 1", getattr(self, name))
        if not self.lambda_l2 >= 0:
            raise BadDeclaration("LambdaMART's lambda_l2", "at least 0", self.lambda_l2)


def grow(
    columns: Doubles,
    labels: NDArray[np.int32],
    lengths: NDArray[np.int64],
    names: Sequence[str],
    plan: LambdaMART,
    cutoff: int,
    seed: int,
) -> NDArray[np.uint8]:
    """Fit trees that rank rows with label 1 above rows with label 0 of the same list; returns LightGBM's text as bytes.

    `columns`: float64 (rows, columns), nan for missing. `lengths`: the rows of each list, in order. `cutoff`: a pair of
    rows counts only if at least one of them is among the first `cutoff` of its list (LightGBM's truncation level).
    The same input and seed give the same bytes at any thread count. Raises `BadInput` if `lengths` do not add up.
    """
    import lightgbm

    if int(lengths.sum()) != len(columns) or len(labels) != len(columns):
        raise BadInput("lists to rank", f"{len(columns)} rows in all", int(lengths.sum()))
    columns_named = [f"c{index}" for index in range(len(names))]  # LightGBM refuses some characters in names
    data = lightgbm.Dataset(
        columns,
        labels,
        group=lengths,
        feature_name=columns_named,
        params={
            "verbosity": -1,
            "max_bin": 63,
            "num_threads": 1,
            "data_random_seed": seed,
            "feature_pre_filter": False,
        },
    )
    settings = {
        "objective": "lambdarank",
        "lambdarank_truncation_level": cutoff,
        "num_leaves": plan.num_leaves,
        "learning_rate": plan.learning_rate,
        "min_data_in_leaf": plan.min_data_in_leaf,
        "feature_fraction": plan.feature_fraction,
        "lambda_l2": plan.lambda_l2,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "num_threads": 1,  # on cores shared with other work, two threads wait for each other and take six times as long
        "verbosity": -1,
        "label_gain": [0, 1],
    }
    return text_of_trees(lightgbm.train(settings, data, num_boost_round=plan.n_estimators))


def text_of_trees(booster: Any) -> NDArray[np.uint8]:
    """The trees of a LightGBM booster, without the training settings, which depend on threads and machine."""
    head, _, _ = booster.model_to_string(num_iteration=-1).partition("\nparameters:")
    return np.frombuffer(f"{head}\n".encode(), dtype=np.uint8)


class Trees:
    """Trees read from the text that `grow` returns. A row gets the same bits in any batch.

    Scores and contributions equal LightGBM's, but LightGBM need not be installed. Raises `ArtifactCorrupt` for anything
    but complete trees with constant leaves.
    """

    def __init__(self, text: NDArray[np.uint8]) -> None:
        try:
            head, trees = _read(text.tobytes().decode())
            self.width = int(head["max_feature_idx"]) + 1
            self._classes = int(head["num_tree_per_iteration"])
            parts = [_packed(tree, self.width) for tree in trees]
        except (KeyError, ValueError, IndexError, UnicodeDecodeError) as error:
            raise ArtifactCorrupt("trees.txt", "a LightGBM model", str(error)) from None
        sizes = [len(part[0].feature) for part in parts]
        self._roots = np.cumsum([0, *sizes])[:-1].astype(np.int32)
        starts = np.cumsum([0, *(len(part[0].bits) for part in parts)])
        forests = [
            forest._replace(children=forest.children + root, words=forest.words + np.int32(start))
            for (forest, _, _), root, start in zip(parts, self._roots, starts[:-1], strict=True)
        ]
        joined = (np.ascontiguousarray(np.concatenate(arrays)) for arrays in zip(*forests, strict=True))
        self._forest = Forest(*joined) if forests else Forest(*_packed({"num_leaves": "1", "leaf_value": "0"}, 1)[0])
        self._counts = np.concatenate([counts for _, counts, _ in parts]) if parts else np.ones(1)
        self._walker = Walker(self._forest, self._roots, np.array([depth for _, _, depth in parts], np.int32))
        self._paths: Paths | None = None

    @property
    def forest(self) -> Forest:
        """The nodes of all trees, one tree after another."""
        return self._forest

    @property
    def roots(self) -> NDArray[np.int32]:
        """The first node of each tree; tree t belongs to class t % `classes`."""
        return self._roots

    @property
    def classes(self) -> int:
        """The number of scores for each row."""
        return self._classes

    def scores(self, columns: Doubles) -> Doubles:
        """One score for each row, float64 (rows,), higher is better; with several classes float64 (rows, classes)."""
        checked = self._checked(columns)
        scores = np.zeros((len(checked), self._classes))
        self._walker.add(checked, scores)
        return scores[:, 0] if self._classes == 1 else scores

    def contributions(self, columns: Doubles) -> Doubles:
        """What each column adds to the score (its Shapley value), float64 (rows, columns + 1); last the base value.

        With several classes, a row holds the contributions of class 0, then those of class 1, and so on.

        Source: Lundberg, Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017.
        """
        checked = self._checked(columns)
        contributions = np.zeros((len(checked), self._classes * (self.width + 1)))
        if self._paths is None:
            self._paths = Paths(self._forest, self._counts, self._roots)
        self._paths.add(checked, contributions)
        return contributions

    def _checked(self, columns: Doubles) -> Doubles:
        if columns.ndim != 2 or columns.shape[1] != self.width:
            raise BadInput("columns of the trees", f"of shape (rows, {self.width})", columns.shape)
        return np.ascontiguousarray(columns, np.float64)


def _read(text: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The settings at the head of LightGBM's text, and those of each tree. Raises `ValueError` for incomplete text."""
    body, end, _ = text.partition("\nend of trees")
    head, *trees = (dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in _parts(body))
    promised = len(head["tree_sizes"].split()) if "tree_sizes" in head else 0
    if not end or len(trees) != promised or any(line == "average_output" for line in body.splitlines()):
        raise ValueError(f"{promised} complete trees whose values are added up, got {len(trees)}")
    return head, trees


def _parts(body: str) -> list[str]:
    return body.split("\nTree=")


def _packed(tree: Mapping[str, str], width: int) -> tuple[Forest, Doubles, int]:
    """(one tree, the training rows of each node, its depth). Raises `ValueError` for anything but a tree."""
    from flyball.models.kernels.trees import CATEGORY, NAN_LEFT, ZERO_MISSING

    def numbers(name: str, kind: Any) -> NDArray[Any]:
        return np.array(tree.get(name, "").split(), dtype=kind)

    leaves = int(tree["num_leaves"])
    inner = leaves - 1
    nodes = inner + leaves
    feature, threshold = np.zeros(nodes, np.int32), np.full(nodes, np.inf)
    kinds, words = np.zeros(nodes, np.uint8), np.zeros((nodes, 2), np.int32)
    children = np.tile(np.arange(nodes, dtype=np.int32)[:, None], (1, 2))
    value = np.append(np.zeros(inner), numbers("leaf_value", np.float64))
    counts = np.append(numbers("internal_count", np.float64), numbers("leaf_count", np.float64))
    bits, bounds = numbers("cat_threshold", np.uint32), numbers("cat_boundaries", np.int32)
    if leaves == 1:
        counts = np.ones(1)
    if tree.get("is_linear", "0") != "0" or len(value) != nodes or len(counts) != nodes or np.isnan(value).any():
        raise ValueError(f"a tree of {leaves} constant leaves")
    if inner:
        feature[:inner], threshold[:inner] = numbers("split_feature", np.int32), numbers("threshold", np.float64)
        decision = numbers("decision_type", np.int64)
        sides = np.column_stack([numbers("left_child", np.int32), numbers("right_child", np.int32)])
        children[:inner] = np.where(sides < 0, inner + ~sides, sides)
        below = np.arange(inner)[:, None]
        each_once = np.array_equal(np.sort(children[:inner], axis=None), np.arange(1, nodes))
        if feature.min() < 0 or feature.max() >= width or (children[:inner] <= below).any() or not each_once:
            raise ValueError("splits of known columns, each above its own two children")
        category, missing = decision & 1 == 1, decision >> 2 & 3
        # A node that does not treat missing values separately treats them as 0.
        nan_left = np.where(missing == 0, threshold[:inner] >= 0, decision & 2 == 2)
        kinds[:inner] = np.where(category, CATEGORY, nan_left * NAN_LEFT + (missing == 1) * ZERO_MISSING)
        of_categories = np.flatnonzero(category)
        which = threshold[of_categories].astype(np.int64)
        words[of_categories] = np.column_stack([bounds[which], bounds[which + 1]])
        if words.min() < 0 or words.max() > len(bits):
            raise ValueError("sets of categories that exist in the text")
    depths = np.zeros(nodes, np.int64)
    for node in range(inner):
        depths[children[node]] = depths[node] + 1
    return Forest(feature, threshold, kinds, children, value, words, bits), counts, int(depths.max())
