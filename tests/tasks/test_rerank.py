"""Lists, held to a naive way of making them and to the laws that every list obeys."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tasks.conftest import ask, make_task
from tests.tasks.lists import Given, data_of, film_world, history_of, pipeline_of

from flyball.core import BadInput
from flyball.models import Artifact
from flyball.tasks import (
    FrameCatalog,
    RankedItem,
    Recommend,
    RecommendPipeline,
    RecommendRequest,
    fallback_arrays,
    fields_of,
)

GENRES = ["action", "comedy", "drama"]


@st.composite
def worlds(draw: st.DrawFn) -> SimpleNamespace:
    """A small catalog, a model's scores with ties and holes, and a batch of queries."""
    n, later = draw(st.integers(1, 14)), draw(st.integers(0, 4))
    items = [f"i{place:02d}" for place in range(n)]
    everything = items + [f"n{place}" for place in range(later)]
    pairs = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, n - 1)), max_size=25))
    data = data_of(items, sorted(set(pairs)), ["F", "M"], [0, 0, 1, -1])
    genres = [draw(st.lists(st.sampled_from(GENRES), max_size=2, unique=True)) for _ in everything]
    years = [draw(st.sampled_from([None, 1999, 2001])) for _ in everything]
    batch = draw(st.integers(1, 4))
    value = st.sampled_from([-np.inf, 0.0, 1.0, 2.0, 3.5])
    rows = np.array(
        [draw(st.lists(value, min_size=n, max_size=n)) for _ in range(batch)],
        np.float32,
    )
    any_items = st.lists(st.sampled_from([*everything, "unheard"]), max_size=5, unique=True)
    filters = st.fixed_dictionaries(
        {}, optional={"genres": st.lists(st.sampled_from([*GENRES, "none"]), max_size=2), "year": st.just(["1999"])}
    )
    queries = [
        ask(
            make_task(),
            f"u{row}",
            draw(st.integers(1, 12)),
            at_us=row,
            id=draw(st.text("0123456789AB", max_size=9)),
            include=draw(filters),
            exclude=draw(filters),
            without=draw(any_items),
        )
        for row in range(batch)
    ]
    histories = [
        history_of(f"u{row}", draw(any_items), draw(st.sampled_from(["F", "M", "X", None])), ("beyond",))
        for row in range(batch)
    ]
    return SimpleNamespace(
        data=data,
        catalog=FrameCatalog(everything, {"genres": genres, "year": years}),
        rows=rows,
        queries=queries,
        histories=histories,
        everything=everything,
        max_per=draw(st.none() | st.integers(1, 3)),
        cold_start_slots=draw(st.integers(0, 3)),
    )


def passes(query: RecommendRequest, attributes: dict[str, list[str]]) -> bool:
    wanted = all(set(values) & set(attributes[name]) for name, values in query.include.items())
    unwanted = any(set(values) & set(attributes[name]) for name, values in query.exclude.items())
    return wanted and not unwanted


def naive(
    task: Recommend, world: SimpleNamespace, row: int, pipeline: RecommendPipeline, cold_items: list[str]
) -> tuple[list[str], set[str]]:
    """The list by the book: whole rankings, one item at a time; and all that may be in it. The cold items are given."""
    query, history = fields_of(world.queries[row]), world.histories[row]
    items, arrays = world.data.items, pipeline.artifact.arrays
    attributes = {
        item: {"genres": list(genres), "year": [] if year is None else [str(year)]}
        for item, genres, year in zip(
            world.everything, world.catalog.columns["genres"], world.catalog.columns["year"], strict=True
        )
    }
    allowed = {
        item
        for item in world.everything
        if item not in history.seen and item not in query.without and passes(query, attributes[item])
    }
    sources = [
        [items[i] for i in sorted(range(len(items)), key=lambda i: (-world.rows[row][i], i)) if world.rows[row][i] > -9]
    ]
    if history.group in world.data.groups:
        sources.append([items[i] for i in arrays["fallback_group_items"][world.data.groups.index(history.group)]])
    sources.append([items[i] for i in arrays["fallback_popular"]])
    wanted, shown = query.k - len(cold_items), list[str]()
    limit = task.max_per[1] if task.max_per and "genres" not in query.include else None
    counts: Counter[str] = Counter()
    for source in sources:
        candidates = [item for item in source if item in allowed and item not in shown and item not in cold_items]
        over = []
        for item in candidates[: 5 * query.k]:
            if len(shown) == wanted:
                break
            if limit is not None and any(counts[genre] >= limit for genre in attributes[item]["genres"]):
                over.append(item)
                continue
            counts.update(attributes[item]["genres"])
            shown.append(item)
        shown += over[: wanted - len(shown)]
    middle = min(query.k // 2, len(shown))
    return shown[:middle] + cold_items + shown[middle:], allowed


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds())
def test_lists_equal_the_naive_ones_and_obey_the_laws(films: SimpleNamespace, world: SimpleNamespace) -> None:
    task = films.task(
        max_per=None if world.max_per is None else ("genres", world.max_per), cold_start_slots=world.cold_start_slots
    )
    pipeline = pipeline_of(task, world.data, world.rows, world.catalog)
    responses = pipeline.answer(world.queries, world.histories)
    for row, (request, history, response) in enumerate(zip(world.queries, world.histories, responses, strict=True)):
        query, shown = fields_of(request), response.items
        names = [each.item for each in shown]
        assert len(set(names)) == len(names) <= query.k
        assert not set(names) & {*history.seen, *query.without}
        drawn = [each.item for each in shown if each.source == "cold_start"]
        slots = drawn[: min(task.cold_start_slots, query.k // 5)]
        expected, allowed = naive(task, world, row, pipeline, slots)
        assert names[: len(expected)] == expected
        assert len(names) == min(query.k, len(allowed))
        assert names[len(expected) :] == drawn[len(slots) :]
        touched = {world.data.items[place] for place in world.data.item_index}
        assert not set(drawn) & touched
        for each in shown:
            assert (each.propensity == 1) if each.source != "cold_start" else (0 < each.propensity <= 1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds())
def test_a_list_is_the_same_whatever_else_is_in_the_batch(films: SimpleNamespace, world: SimpleNamespace) -> None:
    task = films.task(max_per=("genres", 1))
    pipeline = pipeline_of(task, world.data, world.rows, world.catalog)
    together = pipeline.answer(world.queries, world.histories)
    alone = [
        pipeline.answer([query], [history])[0] for query, history in zip(world.queries, world.histories, strict=True)
    ]
    assert together == alone
    assert msgspec.json.encode(together) == msgspec.json.encode(alone)


def test_max_per_gives_way_when_the_list_cannot_be_filled(films: SimpleNamespace) -> None:
    data, catalog, rows = film_world()
    pipeline = pipeline_of(films.task(max_per=("genres", 2)), data, rows, catalog)
    shown = pipeline.answer([ask(pipeline.task, "u", 10)], [history_of("u", [])])[0].items
    assert [each.item for each in shown] == data.items[:10]
    assert [each.source for each in shown] == ["model"] * 10


def test_an_empty_history_gets_the_group_then_the_popular_list(films: SimpleNamespace) -> None:
    items = [f"i{place}" for place in range(6)]
    pairs = [(0, 5), (0, 4)] + [(user, item) for user in (1, 2, 3) for item in (0, 1)]
    data = data_of(items, pairs, ["F"], [0, -1, -1, -1])
    arrays = fallback_arrays(data, prior=1.0, group_length=2)
    model = Given()
    rows = np.full((1, 6), -np.inf, np.float32)
    pipeline = RecommendPipeline(films.task(), Artifact({}, {**arrays, "rows": rows}, items, {}), model)
    requests = [ask(pipeline.task, "u", 4)]
    grouped = pipeline.answer(requests, [history_of("u", [], "F")])[0].items
    assert [(each.item, each.source) for each in grouped] == [
        ("i4", "group"),
        ("i5", "group"),
        ("i0", "popular"),
        ("i1", "popular"),
    ]
    assert pipeline.without_model(requests, [history_of("u", [], "F")])[0].items == grouped
    lone = pipeline.answer(requests, [history_of("u", ["i0"], "unknown group")])[0].items
    assert [each.item for each in lone] == ["i1", "i4", "i5", "i2"]
    assert lone[0].score == pytest.approx(3 / 8)


def test_cold_start_slots_are_drawn_uniformly_and_say_with_which_chance(films: SimpleNamespace) -> None:
    data, catalog, rows = film_world()
    later = FrameCatalog(
        [*catalog.ids, *"abcdefgh"], {name: [*values, *[None] * 8] for name, values in catalog.columns.items()}
    )
    pipeline = pipeline_of(films.task(cold_start_slots=2), data, rows, later)
    history = history_of("u", ["a"])
    count: Counter[str] = Counter()
    draws = 4_000
    for seed in range(draws):
        request = ask(pipeline.task, "u", 10, id=str(seed), without=["b"])
        shown = pipeline.answer([request], [history])[0].items
        fresh = [each for each in shown if each.source == "cold_start"]
        assert [place for place, each in enumerate(shown) if each.source == "cold_start"] == [5, 6]
        assert {each.propensity for each in fresh} == {2 / 6}
        count.update(each.item for each in fresh)
    expected, deviation = draws * 2 / 6, (draws * 2 / 6 * 4 / 6) ** 0.5
    assert set(count) == set("cdefgh")
    assert all(abs(times - expected) < 4.5 * deviation for times in count.values())
    again = pipeline.answer([ask(pipeline.task, "u", 10, id="7")], [history])
    assert again == pipeline.answer([ask(pipeline.task, "u", 10, id="7")], [history])


def test_short_lists_have_no_cold_start_slots_and_filters_hold_for_them(films: SimpleNamespace) -> None:
    data, catalog, rows = film_world()
    later = FrameCatalog(
        [*catalog.ids, "new"], {"genres": [*catalog.columns["genres"], ["horror"]], "year": [None] * 41}
    )
    pipeline = pipeline_of(films.task(), data, rows, later)

    def items(k: int, **filters: Any) -> list[str]:
        shown: tuple[RankedItem, ...] = pipeline.answer([ask(pipeline.task, "u", k, **filters)], [history_of("u", [])])[
            0
        ].items
        return [each.item for each in shown]

    assert "new" in items(5)
    assert "new" not in items(4)
    assert "new" not in items(5, include={"genres": ["drama"]})
    assert items(5, include={"genres": ["horror"]}) == ["new"]


@pytest.mark.parametrize(("broken", "message"), [("nan", "nan"), ("inf", "inf"), ("shape", r"\(1, 39\)")])
def test_unusable_scores_are_refused(films: SimpleNamespace, broken: str, message: str) -> None:
    data, catalog, rows = film_world()
    pipeline = pipeline_of(films.task(), data, rows, catalog, broken)
    from flyball.tasks import BadScores

    with pytest.raises(BadScores, match=f"scores of Given must be .* got .*{message}"):
        pipeline.answer([ask(pipeline.task, "u", 5)], [history_of("u", [])])
    assert pipeline.without_model([ask(pipeline.task, "u", 5)], [history_of("u", [])])[0].items


def test_an_artifact_without_fallback_lists_is_refused(films: SimpleNamespace) -> None:
    with pytest.raises(BadInput, match="fallback_popular"):
        RecommendPipeline(films.task(), Artifact({}, {}, ["a"], {"a": 0}), Given())


def test_fallback_popularity_halves_with_age(films: SimpleNamespace) -> None:
    day = 86_400_000_000
    data = msgspec.structs.replace(
        data_of(["a", "b", "c"], [(0, 0), (1, 0), (2, 1)], [], [-1, -1, -1]),
        at_us=np.array([0, 0, 60 * day]),
        as_of_us=60 * day,
    )
    arrays = fallback_arrays(data, half_life_us=30 * day)
    assert arrays["fallback_share"].tolist() == pytest.approx([0.5 / 1.5, 1 / 1.5, 0])
    assert arrays["fallback_popular"].tolist() == [1, 0, 2]
    assert arrays["fallback_support"].tolist() == [2, 1, 0]
