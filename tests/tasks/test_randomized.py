"""The randomized slice: the declared share of requests, drawn uniformly, and nothing else changes."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.tasks.conftest import ask, make_task
from tests.tasks.lists import film_world, history_of, pipeline_of

from flyball.tasks import RANDOMIZED, RankedItem, RecommendPipeline
from flyball.tasks.recommend.about import arranged
from flyball.tasks.recommend.cold_start import first_slot
from flyball.tasks.recommend.randomized import in_slice

SHARE = 0.2


def shown_by(pipeline: RecommendPipeline, id: str, k: int = 5, **fields: Any) -> tuple[RankedItem, ...]:
    (response,) = pipeline.answer([ask(pipeline.task, "u", k, id=id, **fields)], [history_of("u", ["i05"])])
    return response.items


def test_the_share_of_requests_is_the_declared_one() -> None:
    task, n = make_task(), 40_000
    for share in (0.01, 0.2):
        count = sum(in_slice(ask(task, "u", 5, id=f"{number:026d}"), share) for number in range(n))
        assert abs(count - n * share) < 4.5 * (n * share * (1 - share)) ** 0.5
    assert not in_slice(ask(task, "u", 5, id="1"), 0.0)
    assert not in_slice(ask(task, "u", 5), 0.5), "a request without an id is made up, for warming or precomputing"


def test_every_item_that_may_be_shown_is_as_likely_at_each_place(films: SimpleNamespace) -> None:
    data, catalog, rows = film_world()
    pipeline = pipeline_of(films.task(randomized_share=SHARE), data, rows, catalog)
    counts = np.zeros((5, len(catalog.ids)))
    lists = 0
    for number in range(8_000):
        shown = shown_by(pipeline, str(number), without=["i06"])
        if shown[0].source != RANDOMIZED:
            continue
        lists += 1
        assert {(item.source, item.propensity) for item in shown} == {(RANDOMIZED, 1 / (len(catalog.ids) - 2))}
        assert len({item.item for item in shown}) == 5
        for place, item in enumerate(shown):
            counts[place, catalog.ids.index(item.item)] += 1
    barred = [catalog.ids.index(item) for item in ("i05", "i06")]
    assert not counts[:, barred].any(), "neither what the user has seen nor what the request leaves out"
    free = np.delete(counts, barred, axis=1)
    assert lists > 1_000
    assert stats.chisquare(free.sum(axis=0)).pvalue > 1e-3
    assert all(stats.chisquare(place).pvalue > 1e-4 for place in free)


def test_filters_hold_and_a_short_choice_gives_a_short_list(films: SimpleNamespace) -> None:
    data, catalog, rows = film_world()
    pipeline = pipeline_of(films.task(randomized_share=0.5), data, rows, catalog)
    able = [item for item in catalog.ids if item != "i05"]
    sizes = Counter[int]()
    for number in range(60):
        shown = shown_by(pipeline, str(number), k=30, include={"genres": ["drama"]}, without=able[2:])
        if shown and shown[0].source == RANDOMIZED:
            assert {item.item for item in shown} <= set(able[:2])
            assert {item.propensity for item in shown} == {1 / len(shown)}
            sizes[len(shown)] += 1
    assert sum(sizes.values()) > 15


def test_other_requests_get_the_lists_they_would_have_without_a_slice(films: SimpleNamespace) -> None:
    data, catalog, rows = film_world()
    with_slice, without = (
        pipeline_of(films.task(randomized_share=share), data, rows, catalog) for share in (SHARE, 0.0)
    )
    same = 0
    for number in range(200):
        drawn, ranked = shown_by(with_slice, str(number)), shown_by(without, str(number))
        assert drawn == shown_by(with_slice, str(number)), "a replay draws the same"
        assert all(item.source != RANDOMIZED for item in ranked)
        if drawn[first_slot(5) - 1].source != RANDOMIZED:
            assert drawn == ranked
            same += 1
    assert 120 < same < 190


def test_a_batch_gets_what_each_request_gets_alone(films: SimpleNamespace) -> None:
    data, catalog, rows = film_world()
    pipeline = pipeline_of(films.task(randomized_share=SHARE), data, rows, catalog)
    requests = [ask(pipeline.task, "u", 5, id=str(number)) for number in range(40)]
    together = pipeline.answer(requests, [history_of("u", ["i05"])] * 40)
    assert [response.items for response in together] == [shown_by(pipeline, str(number)) for number in range(40)]


def test_an_arrangement_from_before_has_no_slice() -> None:
    task = make_task(randomized_share=0.1)
    assert task.about.arrangement["randomized_share"] == 0.1
    assert "randomized_share" not in make_task().about.arrangement, "homes from before keep their revision"
    assert arranged(task, {}).randomized_share == 0.1, "nothing was released: as declared"
    assert arranged(task, {"max_per": None, "cold_start_slots": 1}).randomized_share == 0.0
    assert arranged(make_task(), task.about.arrangement).randomized_share == 0.1


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_evaluations_have_no_slice(share: float) -> None:
    about = make_task(randomized_share=share).about
    assert {**about.arrangement, **about.not_evaluated}["randomized_share"] == 0.0
