"""What a search goes by: the figure of a report, with the sign of errors turned."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.evaluation.test_judge import Mind, Stars, Steps, world

from flyball.core import BadDeclaration, BadInput
from flyball.evaluation import Space, Trying, search
from flyball.models import Recommender

__all__ = ["world"]  # a fixture


def trying(world: SimpleNamespace, metric: str, **further: Any) -> Trying:
    return Trying(
        world.task, world.train, world.cases, metric, lambda model, data: model.fit(data, 3), Steps(), **further
    )


def test_a_perfect_model_gets_one_and_a_spoiled_one_less(world: SimpleNamespace) -> None:
    judge = trying(world, "ndcg@5").judge()
    assert judge(Mind(), 1.0) == pytest.approx(1.0)
    assert judge(Mind(noise=50.0), 1.0) < 0.5


@pytest.mark.parametrize(("metric", "error"), [("rmse", 2.0**0.5), ("mae", 1.0)])
def test_of_errors_less_is_better_and_they_are_shown_as_they_are(
    metric: str, error: float, world: SimpleNamespace
) -> None:
    tried = trying(world, metric)
    judge = tried.judge()
    assert judge(Stars(value=3.0), 1.0) == pytest.approx(-1.0)
    assert judge(Stars(value=4.0), 1.0) == pytest.approx(-error)
    assert tried.plain(judge(Stars(value=4.0), 1.0)) == pytest.approx(error)
    assert tried.plain(None) is None
    found = search([Space("stars", Stars(value=5.0), {"value": (5.0, 4.0, 3.0)})], judge, budget=3)
    assert found.best["stars"] != Stars(value=5.0)
    assert tried.plain(judge(found.best["stars"], 1.0)) == pytest.approx(1.0)
    with pytest.raises(BadInput, match="model of ratings"):
        judge(Mind(), 1.0)


def test_a_share_of_the_users_is_what_is_learned_from(world: SimpleNamespace) -> None:
    rows = []

    def fit(model: Recommender, data: Any) -> Any:
        rows.append(len(data.user_index))
        return model.fit(data, 3)

    tried = Trying(world.task, world.train, world.cases, "ndcg@5", fit, Steps(), seed=4)
    for share in (0.25, 1.0):
        tried.judge()(Mind(), share)
    assert 15 < rows[0] < 45
    assert rows[1] == len(world.train.user_index)


def test_a_metric_that_no_report_has_is_refused(world: SimpleNamespace) -> None:
    with pytest.raises(BadDeclaration, match="ndcg"):
        trying(world, "beauty@5").judge()
