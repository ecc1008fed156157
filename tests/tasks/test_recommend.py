"""A task's declaration checks itself and names the field that is wrong."""

from types import SimpleNamespace
from typing import Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration, BadInput
from flyball.policy import AnyOf
from flyball.tasks import Query, check_query


def test_it_lists_what_it_reads(films: SimpleNamespace) -> None:
    task = films.task()
    assert task.entities == (films.user, films.film)
    assert task.event_types == (films.Rate, films.Watch, films.Joined)
    assert task.deadline_us == 300_000
    assert sorted(task.signals(films.schema).plans) == ["rate", "watch"]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("positive", None),
        ("positive", "stars"),
        ("positive", AnyOf(())),
        ("hint", 3),
        ("negative", lambda r: r.stars),
        ("rating", 5),
        ("k", 0),
        ("k", 1_001),
        ("k", True),
        ("k", 2.0),
        ("newcomers", -1),
        ("newcomers", 21),
        ("deadline", "soon"),
        ("deadline", "10us"),
        ("deadline", 300),
        ("spread", "genres"),
        ("spread", ("genres", 0)),
        ("spread", ("colour", 2)),
        ("spread", ("at", 2)),
    ],
)
def test_a_wrong_field_is_named(films: SimpleNamespace, field: str, wrong: Any) -> None:
    with pytest.raises(BadDeclaration, match=rf"{field} of Recommend must be "):
        films.task(**{field: wrong})


def test_events_must_name_both_and_have_the_fields(films: SimpleNamespace) -> None:
    with pytest.raises(BadDeclaration, match="positive of Recommend .* refer to film and user, got 'Joined"):
        films.task(positive=fb.outcome(films.Joined))
    with pytest.raises(BadDeclaration, match="hint of Recommend .* fields of Watch"):
        films.task(hint=fb.outcome(films.Watch, where=lambda w: w.minutes > 3))
    with pytest.raises(BadDeclaration, match="rating of Recommend .* fields of Rate"):
        films.task(rating=fb.value(films.Rate, lambda r: r.points))
    with pytest.raises(BadDeclaration, match="item of Recommend"):
        fb.Recommend(films.user, films.user, films.liked)
    with pytest.raises(BadDeclaration, match="user of Recommend must be an fb.Entity"):
        fb.Recommend("user", films.film, films.liked)


def test_a_query_is_checked_against_the_task(films: SimpleNamespace) -> None:
    task = films.task()
    check_query(task, Query("7", 20, include={"genres": ["Drama"]}, exclude={"year": ["1999"]}))
    with pytest.raises(BadInput, match="k must be from 1 to 1000, got 0"):
        check_query(task, Query("7", 0))
    with pytest.raises(BadInput, match="filter attribute must be one of film, genres, year, got 'at'"):
        check_query(task, Query("7", 20, exclude={"at": ["3"]}))
