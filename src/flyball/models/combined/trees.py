"""Boosted trees that rank, kept in LightGBM's own text format.

Sources: Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017; lambdarank: Burges,
"From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import ArtifactCorrupt, BadDeclaration, BadInput, Doubles
from flyball.models.parameters import CheckedParameters


class LambdaMART(msgspec.Struct, metaclass=CheckedParameters, frozen=True):
    """Boosted trees that put a list in order; parameters by LightGBM's names."""

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
    """Trees that put rows with label 1 above rows with label 0 of the same list; the model's text as bytes.

    `columns`: float64 (rows, columns), nan for missing. `lengths`: rows of each list, in order. `cutoff`: how many
    ranks of a list the pairs compared must touch. Same input and
    seed: same bytes, at any thread count.
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
        "num_threads": 1,  # two that share cores with other work wait for each other and take six times as long
        "verbosity": -1,
        "label_gain": [0, 1],
    }
    return text_of_trees(lightgbm.train(settings, data, num_boost_round=plan.n_estimators))


def text_of_trees(booster: Any) -> NDArray[np.uint8]:
    """The trees of a LightGBM booster without the list of training settings, which names threads and machine."""
    head, _, _ = booster.model_to_string(num_iteration=-1).partition("\nparameters:")
    return np.frombuffer(f"{head}\n".encode(), dtype=np.uint8)


class Trees:
    """Trees ready to score, made from the text of `grow`. A row has the same bits in any batch."""

    def __init__(self, text: NDArray[np.uint8]) -> None:
        import lightgbm

        try:
            self._booster = lightgbm.Booster(model_str=text.tobytes().decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
            raise ArtifactCorrupt("trees.txt", "a LightGBM model", str(error)) from None
        self.width = int(self._booster.num_feature())

    def scores(self, columns: Doubles) -> Doubles:
        """One score a row, float64 (rows,), higher is better; of trees of several classes float64 (rows, classes)."""
        found: Any = self._booster.predict(self._checked(columns), raw_score=True, num_threads=1)
        return np.asarray(found, np.float64)

    def contributions(self, columns: Doubles) -> Doubles:
        """What each column adds to the score, float64 (rows, columns + 1); the last is what a row starts from.

        Of trees of several classes those of each follow one another in a row.

        Source: Lundberg, Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017.
        """
        found: Any = self._booster.predict(self._checked(columns), pred_contrib=True, num_threads=1)
        return np.asarray(found, np.float64)

    def _checked(self, columns: Doubles) -> Doubles:
        if columns.ndim != 2 or columns.shape[1] != self.width:
            raise BadInput("columns of the trees", f"of shape (rows, {self.width})", columns.shape)
        return np.ascontiguousarray(columns, np.float64)
