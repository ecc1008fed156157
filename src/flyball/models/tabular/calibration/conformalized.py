"""A model of quantiles whose outer two are moved so that the interval between them has the declared coverage."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, BadInput, Doubles
from flyball.models.tabular.baselines import Constant
from flyball.models.tabular.calibration.adaptive import adapted_margin
from flyball.models.tabular.calibration.conformal import conformity_scores, fewest_examples, group_margins
from flyball.models.tabular.calibration.window import check_wrapped, open_base, split_newest, with_base
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TabularPredictor,
    TargetKind,
    TrainingTable,
)


class Conformal(TabularModel, frozen=True):
    """Conformalized quantile regression (Romano et al. 2019): the interval of `model` covers `level` of the outcomes.

    The quantiles (1 - level) / 2 and (1 + level) / 2 must be among the predicted ones. They are moved outward or inward
    by a margin that is computed on the newest `share` of the examples by time. With `groups`, columns of categories
    such as ("shop",), each combination has its own margin; unknown combinations and those with too few examples use
    the margin of all examples. The coverage is guaranteed for outcomes distributed like those of this window; `refit`,
    which fits the model again on all examples, gives up the guarantee. For distributions that shift, `adapt`, such as
    0.02, processes the window in order of time, and widens or narrows intervals that recently missed too often or too
    rarely (adaptive conformal inference, Gibbs and Candès 2021).
    """

    kind: ClassVar[str] = "conformal"
    predicts: ClassVar[tuple[str, ...]] = ("quantiles",)

    model: TabularModel = Constant()
    level: float = 0.8
    groups: tuple[str, ...] = ()
    share: float = 0.2
    refit: bool = False
    adapt: float = 0.0

    def __post_init__(self) -> None:
        check_wrapped("conformal(...)", self.model, self.share)
        if not 0 < self.level < 1:
            raise BadDeclaration("level of conformal(...)", "between 0 and 1", self.level)
        if not self.adapt >= 0:
            raise BadDeclaration("adapt of conformal(...)", "0, or a rate such as 0.02", self.adapt)
        if isinstance(self.groups, str):
            raise BadDeclaration("groups of conformal(...)", 'names of columns, such as ("shop",)', self.groups)

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        """The arrays of the model, `margins` float64 (groups + 1,) and `codes` int32 (groups, columns), ascending.

        The last margin is that of all examples. Raises `BadInput` for an unknown column or too few examples.
        """
        low, high = ends_of(target.quantiles, self.level)
        group_columns = _columns_of(table.category_names, self.groups)
        older, newest = split_newest(table, self.share)
        counted = int((newest.weight > 0).sum())
        if counted < fewest_examples(self.level):
            must = f"{fewest_examples(self.level)} or more for a level of {self.level:g}"
            raise BadInput("examples in the window of conformal(...)", must, counted)
        base = self.model.fit(older, target, seed)
        predictor = self.model.open(base.arrays, base.texts, table.columns, target)
        predicted = np.sort(predictor.predict(newest.numbers, newest.categories), axis=1)
        scores = conformity_scores(predicted[:, low], predicted[:, high], newest.target)
        codes, group_of = np.unique(newest.categories[:, group_columns], axis=0, return_inverse=True)
        group_of = group_of.reshape(-1)
        groups = len(codes) if group_columns else 0
        margins = group_margins(scores, group_of, groups, self.level, newest.weight)
        if self.adapt:
            self._adapt(margins, scores, group_of)
        if self.refit:
            base = self.model.fit(table, target, seed)
        arrays: Arrays = {"margins": margins, "codes": codes[:groups].astype(np.int32)}
        return with_base(arrays, {}, base, f"conformalized on the newest {len(newest)} of {len(table)} examples")

    def _adapt(self, margins: Doubles, scores: Doubles, group_of: NDArray[np.int64]) -> None:
        """Replace the margin of all examples, and of each group with enough examples, by the adapted one."""
        fewest = 2 * fewest_examples(self.level)
        if len(scores) >= fewest:
            margins[-1] = adapted_margin(scores, self.level, self.adapt)
        for group in range(len(margins) - 1):
            own = scores[group_of == group]
            margins[group] = adapted_margin(own, self.level, self.adapt) if len(own) >= fewest else margins[-1]

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "ConformalPredictor":
        """The conformalized predictor. Raises what `open` of the model raises."""
        names = [column.name for column in columns if column.kind == "category"]
        return ConformalPredictor(
            open_base(self.model, arrays, texts, columns, target),
            ends_of(target.quantiles, self.level),
            _columns_of(names, self.groups),
            {tuple(codes): number for number, codes in enumerate(arrays["codes"].tolist())},
            arrays["margins"],
        )


class ConformalPredictor:
    """Predicts conformalized quantiles.

    `ends`: the indexes of the two outputs that are moved. `group_columns`: the category columns that form a group.
    `groups`: {category codes: index of the group}. `margins`: float64 (groups + 1,).
    """

    def __init__(
        self,
        base: TabularPredictor,
        ends: tuple[int, int],
        group_columns: list[int],
        groups: Mapping[tuple[int, ...], int],
        margins: Doubles,
    ) -> None:
        self._base, self._ends, self._group_columns = base, ends, group_columns
        self._groups, self._margins = groups, margins

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """The quantiles, ascending: inner ones stay between the two moved ones, outer ones outside of them."""
        adjusted = np.sort(self._base.predict(numbers, categories), axis=1)
        margins = self._margins_of(categories, len(adjusted))
        left, right = self._ends
        low, high = adjusted[:, left] - margins, adjusted[:, right] + margins
        middle = (low + high) / 2
        crossed = low > high  # both moved inward past each other
        low, high = np.where(crossed, middle, low), np.where(crossed, middle, high)
        for output in range(adjusted.shape[1]):
            if output < left:
                adjusted[:, output] = np.minimum(adjusted[:, output], low)
            elif output > right:
                adjusted[:, output] = np.maximum(adjusted[:, output], high)
            else:
                adjusted[:, output] = np.clip(adjusted[:, output], low, high)
        adjusted[:, left], adjusted[:, right] = low, high
        return adjusted

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """The contributions of the model; the margin of a moved quantile is added to the base."""
        added = self._base.contributions(numbers, categories).copy()
        added[:, :, -1] += self.predict(numbers, categories) - added.sum(axis=2)
        return added

    def _margins_of(self, categories: NDArray[np.int32], rows: int) -> Doubles:
        unknown = len(self._margins) - 1
        if not self._groups:
            return np.full(rows, self._margins[unknown])
        keys = categories[:, self._group_columns].tolist()
        return self._margins[[self._groups.get(tuple(key), unknown) for key in keys]]


def conformal(
    model: TabularModel,
    level: float = 0.8,
    groups: tuple[str, ...] = (),
    share: float = 0.2,
    refit: bool = False,
    adapt: float = 0.0,
) -> Conformal:
    """`model` with an interval that covers `level`, see `Conformal`. Raises `BadDeclaration`.

    >>> conformal(Constant(), level=0.9, groups=("shop",)).groups
    ('shop',)
    """
    return Conformal(model, level, groups, share, refit, adapt)


def ends_of(quantiles: tuple[float, ...], level: float) -> tuple[int, int]:
    """The indexes of the quantiles that bound an interval of `level`. Raises `BadDeclaration` for a missing one."""
    ends = []
    for end in ((1 - level) / 2, (1 + level) / 2):
        near = [index for index, quantile in enumerate(quantiles) if abs(quantile - end) < 1e-9]
        if not near:
            known = ", ".join(f"{quantile:g}" for quantile in quantiles)
            raise BadDeclaration(f"quantiles for conformal(level={level:g})", f"with {end:g} among them", known)
        ends.append(near[0])
    return ends[0], ends[1]


def _columns_of(names: list[str], groups: tuple[str, ...]) -> list[int]:
    for name in groups:
        if name not in names:
            known = ", ".join(names) or "there is none"
            raise BadInput("groups of conformal(...)", f"columns of categories ({known})", name)
    return [names.index(name) for name in groups]
