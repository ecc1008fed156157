"""What a search maximizes: a metric of the report, with the sign of errors turned."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from tests.evaluation.planted import Mind, Stars, Steps, make_world

from flyball.core import BadDeclaration, BadInput
from flyball.evaluation import Objective, Space, search
from flyball.models import Artifact
from flyball.tasks.recommend.training_data import training_data


@pytest.fixture
def world() -> SimpleNamespace:
    return make_world()


def objective(world: SimpleNamespace, metric: str, **further: Any) -> Objective:
    return Objective(world.task, world.evaluation, metric, trainer(world), Steps(), **further)


def trainer(world: SimpleNamespace) -> Callable[[Any, float], Artifact]:
    """Fits on a share of the world's training data, as learning does."""
    offline, whole = world.task.offline(), training_data(world.train)

    def train(model: Any, share: float) -> Artifact:
        data = offline.share(whole, share, 4)
        trained = offline.train(model, data, NoPast(), 3)
        items = list(trained.texts["items"])
        return Artifact({}, dict(trained.arrays), items, {item: number for number, item in enumerate(items)})

    return train


class NoPast:
    """No model here looks at the past."""


def test_a_perfect_model_gets_one_and_a_spoiled_one_less(world: SimpleNamespace) -> None:
    score = objective(world, "ndcg@5").score()
    assert score(Mind(), 1.0) == pytest.approx(1.0)
    assert score(Mind(noise=50.0), 1.0) < 0.5


@pytest.mark.parametrize(("metric", "error"), [("rmse", 2.0**0.5), ("mae", 1.0)])
def test_of_errors_less_is_better_and_they_are_shown_as_they_are(
    metric: str, error: float, world: SimpleNamespace
) -> None:
    chosen = objective(world, metric)
    score = chosen.score()
    assert score(Stars(value=3.0), 1.0) == pytest.approx(-1.0)
    assert score(Stars(value=4.0), 1.0) == pytest.approx(-error)
    assert chosen.plain(score(Stars(value=4.0), 1.0)) == pytest.approx(error)
    assert chosen.plain(None) is None
    found = search([Space("stars", Stars(value=5.0), {"value": (5.0, 4.0, 3.0)})], score, budget=3)
    assert found.best["stars"] != Stars(value=5.0)
    assert chosen.plain(score(found.best["stars"], 1.0)) == pytest.approx(1.0)
    with pytest.raises(BadInput, match=f"{metric} of Mind must be a metric that the model has"):
        score(Mind(), 1.0)


def test_a_share_of_the_users_is_what_is_learned_from(world: SimpleNamespace) -> None:
    rows = []

    class Counting(Mind, frozen=True):
        def fit(self, data: Any, seed: int) -> Any:
            rows.append(len(data.user_index))
            return super().fit(data, seed)

    chosen = objective(world, "ndcg@5")
    for share in (0.25, 1.0):
        chosen.score()(Counting(), share)
    assert 15 < rows[0] < 45
    assert rows[1] == len(world.train.user_index)


def test_a_metric_that_no_report_has_is_refused(world: SimpleNamespace) -> None:
    with pytest.raises(BadDeclaration, match="ndcg"):
        objective(world, "beauty@5").score()
