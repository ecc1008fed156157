"""What a fit may leave behind: arrays, and scores that are the same whenever and with whomever they are asked for."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flyball import EASE, BiasedMF, ImplicitALS, ItemKNN, Popular, Random
from flyball.core import BadInput
from flyball.learning.fit import check_learned
from flyball.models import Floats, Histories, Interactions, Learned, Recommender
from flyball.tasks import BadScores
from flyball.tasks.recommend.offline import check_scores
from flyball.testing import faulty


class Counts(Recommender, frozen=True):
    """Scores by popularity, unless `mode` says otherwise."""

    mode: str = ""

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        return {"counts": np.bincount(data.item_index, minlength=len(data.items)).astype(np.float32)}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        scores = np.tile(learned["counts"], (histories.rows, 1)).astype(np.float32)
        if self.mode == "changes":
            learned["counts"][0] += 1
        if self.mode == "batch":
            scores += np.float32(histories.rows)
        if self.mode == "draws":
            scores += np.random.default_rng().random(scores.shape, np.float32)
        return scores


@pytest.mark.parametrize(
    ("learned", "got"),
    [
        (None, "NoneType"),
        ([np.zeros(3)], "list"),
        ({"counts": [1, 2]}, "list"),
        ({"counts": np.float64(2)}, "float64"),
        ({"counts": np.array([{}, None], dtype=object)}, "dtype object"),
    ],
)
def test_what_fit_returns_must_be_arrays(learned: Any, got: str) -> None:
    with pytest.raises(BadInput, match=rf"what Counts\.fit returns must be .*{got}"):
        check_learned(Counts(), learned)


@pytest.mark.parametrize(
    "model",
    [Counts(), Random(), Popular(), ItemKNN(), BiasedMF(4), ImplicitALS(4), EASE()],
    ids=lambda model: type(model).__name__,
)
def test_models_that_keep_the_contract_pass(model: Recommender) -> None:
    data = faulty.training()
    learned = model.fit(data, 1)
    check_learned(model, learned)
    check_scores(model, learned, data)


@pytest.mark.parametrize("mode", ["batch", "draws"])
def test_scores_that_depend_on_more_than_the_history_are_refused(mode: str) -> None:
    data, model = faulty.training(), Counts(mode)
    with pytest.raises(BadScores, match="the same bits each time and in any batch"):
        check_scores(model, model.fit(data, 1), data)


def test_a_score_cannot_change_what_was_learned() -> None:
    data, model = faulty.training(), Counts("changes")
    learned = model.fit(data, 1)
    with pytest.raises(ValueError, match="read-only"):
        check_scores(model, learned, data)
    assert learned["counts"].flags.writeable
