"""The popularity penalty: its formula, its laws, and what lists become by it."""

import math
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from tests.tasks.conftest import ask, make_task
from tests.tasks.lists import Given, film_world, history_of, pipeline_of

from flyball.tasks import RecommendPipeline
from flyball.tasks.recommend.about import arranged
from flyball.tasks.recommend.popularity_penalty import SPREAD_RANK, penalized


class OneForAll(Given, frozen=True):
    """The same scores for all users."""

    personal: ClassVar[bool] = False


def naive(row: list[float], support: list[int], penalty: float) -> list[float]:
    finite = sorted((score for score in row if math.isfinite(score)), reverse=True)
    spread = finite[0] - finite[min(SPREAD_RANK, len(finite)) - 1]
    most = math.log(1 + max(support))
    return [
        score - penalty * spread * math.log(1 + users) / most if math.isfinite(score) else score
        for score, users in zip(row, support, strict=True)
    ]


@pytest.mark.parametrize(("items", "penalty"), [(7, 0.5), (400, 1.0), (101, 2.0)])
def test_the_penalty_is_spread_times_popularity(items: int, penalty: float) -> None:
    rng = np.random.default_rng(items)
    scores = rng.normal(size=(3, items)).astype(np.float32)
    scores[0, :2] = -np.inf
    support = rng.integers(0, 1_000, items).astype(np.int32)
    found = penalized(scores, support, penalty)
    for row, expected in zip(found, scores.tolist(), strict=True):
        assert row.tolist() == pytest.approx(naive(expected, support.tolist(), penalty), rel=1e-4, abs=1e-4)


def test_a_row_has_the_same_bits_in_any_batch_and_without_a_penalty_nothing_changes() -> None:
    rng = np.random.default_rng(2)
    scores, support = rng.normal(size=(5, 300)).astype(np.float32), rng.integers(0, 50, 300).astype(np.int32)
    together = penalized(scores, support, 0.7)
    assert all(np.array_equal(penalized(scores[row : row + 1], support, 0.7)[0], together[row]) for row in range(5))
    assert penalized(scores, support, 0.0) is scores
    assert penalized(scores, np.zeros(300, np.int32), 0.7) is scores


def test_rows_without_two_scores_stay() -> None:
    scores = np.array([[-np.inf, 1.0, -np.inf], [-np.inf] * 3], np.float32)
    assert np.array_equal(penalized(scores, np.array([1, 5, 2], np.int32), 1.0), scores)


def test_lists_show_what_fewer_users_have_the_larger_it_is(films: SimpleNamespace) -> None:
    """Of 40 items the first four have three users each, the others one."""
    data, catalog, rows = film_world()
    shown = []
    for penalty in (0.0, 0.3, 2.0):
        pipeline = pipeline_of(films.task(popularity_penalty=penalty, cold_start_slots=0), data, rows, catalog)
        (response,) = pipeline.answer([ask(pipeline.task, "u", 10)], [history_of("u", [])])
        assert {item.source for item in response.items} == {"model"}
        shown.append([item.item for item in response.items])
    assert shown[0] == data.items[:10]
    popular = [sum(item in data.items[:4] for item in names) for names in shown]
    assert popular[0] == 4 >= popular[1] > popular[2] == 0 or popular == [4, 0, 0]
    assert shown[2] == data.items[4:14], "among items of as many users the order of the model stays"


def test_a_list_that_is_the_same_for_all_keeps_its_order(films: SimpleNamespace) -> None:
    data, catalog, rows = film_world()
    shown = []
    for penalty in (0.0, 2.0):
        personal = pipeline_of(films.task(popularity_penalty=penalty), data, rows, catalog)
        general = RecommendPipeline(personal.task, personal.fitted, OneForAll(), catalog)
        shown.append(general.answer([ask(general.task, "u", 10)], [history_of("u", [])]))
    assert shown[0] == shown[1]
    assert {item.source for item in shown[0][0].items} == {"general"}


def test_it_is_part_of_the_arrangement() -> None:
    task = make_task(popularity_penalty=0.4)
    assert task.about.arrangement["popularity_penalty"] == 0.4
    assert arranged(task, {"max_per": None, "cold_start_slots": 1}).popularity_penalty == 0.0
    assert "popularity_penalty" not in make_task().about.arrangement
