"""Boosted trees over numbers and categories, for a number, quantiles, a probability or classes.

Sources: Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017; ordered target
encoding: Prokhorenkova et al., "CatBoost: unbiased boosting with categorical features", NeurIPS 2018, section 3.2;
contributions: Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
Nature Machine Intelligence 2020.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, Doubles
from flyball.models.combined.trees import Trees, text_of_trees
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TargetKind,
    TrainingTable,
    logistic,
)

_OBJECTIVES = {"number": "regression", "quantiles": "quantile", "binary": "binary", "multiclass": "multiclass"}


class LightGBM(TabularModel, frozen=True):
    """Boosted trees; the parameters have LightGBM's names.

    Numbers are used as they are; missing ones go to the side that was better in training. A category column with at
    most `most` texts is split by LightGBM. One with more texts is replaced by the mean target of the text (with several
    classes, the share of each), shrunk to the overall mean, which counts as `prior` examples. In training this mean
    covers earlier rows only, so that no row's value contains its own target. Each quantile has its own trees; quantiles
    that cross are sorted. Fitting is single-threaded: the same table and seed give the same bytes on any machine.
    """

    kind: ClassVar[str] = "lightgbm"
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "n_estimators": (100, 200, 400, 800),
        "num_leaves": (7, 15, 31, 63),
        "learning_rate": (0.03, 0.05, 0.1),
        "min_data_in_leaf": (10, 20, 50, 100),
        "lambda_l2": (0.0, 1.0, 10.0),
    }

    n_estimators: int = 200
    num_leaves: int = 15
    learning_rate: float = 0.05
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.8
    lambda_l2: float = 1.0
    most: int = 64
    prior: float = 20.0

    def __post_init__(self) -> None:
        for name, least in (("n_estimators", 1), ("num_leaves", 2), ("min_data_in_leaf", 1), ("most", 0)):
            if getattr(self, name) < least:
                raise BadDeclaration(f"LightGBM's {name}", f"at least {least}", getattr(self, name))
        for name in ("learning_rate", "feature_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise BadDeclaration(f"LightGBM's {name}", "above 0 and at most 1", getattr(self, name))
        for name in ("lambda_l2", "prior"):
            if not getattr(self, name) >= 0:
                raise BadDeclaration(f"LightGBM's {name}", "at least 0", getattr(self, name))

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        names = table.category_names
        encoded = [index for index, name in enumerate(names) if len(table.vocabularies[name]) > self.most]
        labels, arrays = _labels(table, target), dict[str, NDArray[Any]]()
        before = dict[int, Doubles]()
        for category in encoded:
            codes = table.categories[:, category]
            texts = len(table.vocabularies[names[category]])
            before[category] = means_before(codes, labels, table.weight, self.prior)
            arrays[f"means_{category}"] = means_of(codes, texts, labels, table.weight, self.prior)
        matrix, split, _ = _matrix(table.numbers, table.categories, before)
        for index, settings in enumerate(self._settings(target, seed)):
            arrays[f"trees_{index}"] = self._grow(matrix, split, table, settings)
        return TabularFit(arrays)

    def update(self, learned: TabularFit, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        """What was `learned`, with a tenth as many trees more, fitted to what it leaves of the new rows of `table`.

        The trees before them, and the mean targets of texts, stay as they are; texts keep their codes, new ones come
        behind and are treated like unknown ones by what was learned before. So the artifact grows, and what changed is
        followed on the new rows alone: fit on everything from time to time.
        """
        codes, vocabularies = _continued_codes(learned, table)
        arrays, before = dict[str, NDArray[Any]](), dict[int, Doubles]()
        for index in range(codes.shape[1]):
            means = learned.arrays.get(f"means_{index}")
            if means is not None:
                added = len(vocabularies[f"vocabulary_{index}"]) - (len(means) - 1)
                arrays[f"means_{index}"] = np.concatenate([means[:-1], np.repeat(means[-1:], added + 1, axis=0)])
                before[index] = arrays[f"means_{index}"][codes[:, index]]
        matrix, split, _ = _matrix(table.numbers, codes, before)
        for index, settings in enumerate(self._settings(target, seed)):
            trees = learned.arrays[f"trees_{index}"]
            arrays[f"trees_{index}"] = self._grow(matrix, split, table, settings, trees) if len(table) else trees
        return TabularFit(arrays, vocabularies)

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "BoostedPredictor":
        return BoostedPredictor(arrays, columns, target)

    def _settings(self, target: TargetKind, seed: int) -> list[dict[str, Any]]:
        """LightGBM's parameters for each set of trees."""
        common = {
            "objective": _OBJECTIVES[target.kind],
            "num_leaves": self.num_leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction": self.feature_fraction,
            "lambda_l2": self.lambda_l2,
            "deterministic": True,
            "force_row_wise": True,
            "seed": seed,
            "num_threads": 1,
            "verbosity": -1,
        }
        if target.kind == "quantiles":
            return [{**common, "alpha": quantile} for quantile in target.quantiles]
        return [{**common, "num_class": len(target.classes)} if target.kind == "multiclass" else common]

    def _grow(
        self,
        matrix: Doubles,
        split: list[int],
        table: TrainingTable,
        settings: Mapping[str, Any],
        start: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """The trees as text; where they `start` from others, these and a tenth as many."""
        import lightgbm

        data = lightgbm.Dataset(
            matrix,
            table.target,
            weight=table.weight,
            feature_name=[f"c{index}" for index in range(matrix.shape[1])],
            categorical_feature=split,
            params={
                "verbosity": -1,
                "num_threads": 1,
                "data_random_seed": settings["seed"],
                "feature_pre_filter": False,
                "max_cat_to_onehot": 4,
            },
        )
        if start is None:
            return text_of_trees(lightgbm.train(dict(settings), data, num_boost_round=self.n_estimators))
        rounds, others = max(1, self.n_estimators // 10), lightgbm.Booster(model_str=start.tobytes().decode())
        return text_of_trees(lightgbm.train(dict(settings), data, num_boost_round=rounds, init_model=others))


class BoostedPredictor:
    """Predicts with fitted trees."""

    def __init__(self, arrays: Arrays, columns: Sequence[TableColumn], target: TargetKind) -> None:
        sets = sum(name.startswith("trees_") for name in arrays)
        self._trees = [Trees(arrays[f"trees_{index}"]) for index in range(sets)]
        self._target, self._width = target, len(columns)
        self._number_columns, self._category_columns = (
            [index for index, column in enumerate(columns) if column.kind == kind] for kind in ("number", "category")
        )
        self._means = {
            index: arrays[f"means_{index}"]
            for index in range(len(self._category_columns))
            if f"means_{index}" in arrays
        }

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        matrix, _ = self._matrix(numbers, categories)
        margin = self._margins(matrix)
        if self._target.kind == "binary":
            return logistic(margin)
        if self._target.kind == "multiclass":
            powers = np.exp(margin - margin.max(axis=1, keepdims=True))
            shares: Doubles = powers / powers.sum(axis=1, keepdims=True)
            return shares
        return np.sort(margin, axis=1) if margin.shape[1] > 1 else margin  # quantiles that cross are sorted

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        matrix, sources = self._matrix(numbers, categories)
        width = matrix.shape[1] + 1
        classes = len(self._target.outputs) // len(self._trees)
        parts = [trees.contributions(matrix).reshape(len(numbers), classes, width) for trees in self._trees]
        per_column = np.concatenate(parts, axis=1)
        added = np.zeros((len(numbers), per_column.shape[1], self._width + 1))
        for index, source in enumerate(sources):
            added[:, :, source] += per_column[:, :, index]
        added[:, :, -1] = per_column[:, :, -1]
        if self._target.kind == "quantiles":
            order = np.argsort(self._margins(matrix), axis=1, kind="stable")
            added = np.take_along_axis(added, order[:, :, None], axis=1)
        return added

    def _margins(self, matrix: Doubles) -> Doubles:
        """The scores of every set of trees, float64 (rows, outputs)."""
        scores = [trees.scores(matrix).reshape(len(matrix), trees.classes) for trees in self._trees]
        return scores[0] if len(scores) == 1 else np.concatenate(scores, axis=1)

    def _matrix(self, numbers: Doubles, categories: NDArray[np.int32]) -> tuple[Doubles, list[int]]:
        """(the columns that the trees read; for each of them its column in the table)."""
        means = {category: of_text[categories[:, category]] for category, of_text in self._means.items()}
        matrix, _, categories_of = _matrix(numbers, categories, means)
        return matrix, [*self._number_columns, *(self._category_columns[category] for category in categories_of)]


def _continued_codes(learned: TabularFit, table: TrainingTable) -> tuple[NDArray[np.int32], dict[str, list[str]]]:
    """(the codes of categories as they were learned, those of new texts behind; {"vocabulary_N": texts by code})."""
    codes, vocabularies = table.categories.copy(), dict[str, list[str]]()
    for index, name in enumerate(table.category_names):
        own = table.vocabularies[name]
        code_of = {text: code for code, text in enumerate(learned.texts.get(f"vocabulary_{index}", own))}
        continued = np.array([*(code_of.setdefault(text, len(code_of)) for text in own), -1], np.int32)
        codes[:, index] = continued[table.categories[:, index]]
        vocabularies[f"vocabulary_{index}"] = list(code_of)
    return codes, vocabularies


def means_before(codes: NDArray[np.int32], labels: Doubles, weight: Doubles, prior: float) -> Doubles:
    """float64 (rows, labels): the weighted mean label of the earlier rows with the same code; 0 for the first row.

    It is shrunk to the mean of all earlier rows, which counts as `prior` rows. `labels`: float64 (rows, labels). Code
    -1 is treated like the code of a text.
    """
    weighted = weight[:, None] * labels
    sums, counts = np.cumsum(weighted, axis=0) - weighted, (np.cumsum(weight) - weight)[:, None]
    overall = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=codes[order][:1] - 1))
    lengths = np.diff(first, append=len(order))
    own_sums, own_counts = np.empty_like(sums), np.empty_like(counts)
    for values, own in ((weighted, own_sums), (weight[:, None], own_counts)):
        running = np.cumsum(values[order], axis=0) - values[order]
        own[order] = running - np.repeat(running[first], lengths, axis=0)
    divisor = own_counts + prior
    return np.divide(own_sums + prior * overall, divisor, out=overall.copy(), where=divisor > 0)


def means_of(codes: NDArray[np.int32], texts: int, labels: Doubles, weight: Doubles, prior: float) -> Doubles:
    """float64 (texts + 1, labels): the shrunken mean label of each code; the last row is for unknown texts, -1."""
    overall = np.average(labels, axis=0, weights=weight)
    sums, counts = np.zeros((texts + 1, labels.shape[1])), np.zeros((texts + 1, 1))
    np.add.at(sums, codes, weight[:, None] * labels)
    np.add.at(counts, codes, weight[:, None])
    divisor = counts + prior
    means: Doubles = np.divide(sums + prior * overall, divisor, out=np.tile(overall, (texts + 1, 1)), where=divisor > 0)
    return means


def _labels(table: TrainingTable, target: TargetKind) -> Doubles:
    """The labels that encode categories, float64: the target (rows, 1), or 1 or 0 for each class (rows, classes)."""
    if target.kind == "multiclass":
        return np.asarray(table.target[:, None] == np.arange(len(target.classes)), np.float64)
    return table.target[:, None]


def _matrix(
    numbers: Doubles, categories: NDArray[np.int32], means: Mapping[int, Doubles]
) -> tuple[Doubles, list[int], list[int]]:
    """(numbers, then categories as codes or means; which columns are codes; the category column of each column)."""
    parts, split, categories_of, width = [numbers], list[int](), list[int](), numbers.shape[1]
    for index in range(categories.shape[1]):
        if index in means:
            columns = means[index]
        else:
            columns = np.where(categories[:, index] < 0, np.nan, categories[:, index])[:, None]
            split.append(width)
        parts.append(columns)
        categories_of += [index] * columns.shape[1]
        width += columns.shape[1]
    matrix = np.concatenate(parts, axis=1) if len(parts) > 1 else numbers
    return np.ascontiguousarray(matrix), split, categories_of
