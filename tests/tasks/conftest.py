"""A small film service, and frames as a snapshot gives them."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Annotated, Any

import polars as pl
import pytest

import flyball as fb
from flyball.events import Schema
from flyball.tasks import Recommend, Request, request_type

User = Annotated[int, fb.Ref("user")]
Film = Annotated[str, fb.Ref("film")]


class Watch(fb.Event):
    user: User
    film: Film
    minute: int


class Rate(fb.Event):
    user: User
    film: Film
    stars: int


class Joined(fb.Event):
    user: User


class Card(fb.Profile):
    film: Film
    genres: list[str] = []  # msgspec copies a default list
    year: int | None = None


class Viewer(fb.Profile):
    user: User
    gender: str | None = None


USER = fb.Entity("user", profile=Viewer, known_by=(Joined,), group=lambda v: v.gender)
FILM = fb.Entity("film", profile=Card)
LIKED = fb.any_of(
    fb.outcome(Rate, where=lambda r: r.stars >= 4, within="1d"),
    fb.outcome(Watch, where=lambda w: w.minute >= 30, within="1d"),
)
_COLUMNS = {
    "watch": {"user": pl.Int64, "film": pl.String, "minute": pl.Int64},
    "rate": {"user": pl.Int64, "film": pl.String, "stars": pl.Int64},
    "joined": {"user": pl.Int64},
    "card": {"film": pl.String, "genres": pl.List(pl.String), "year": pl.Int64},
    "viewer": {"user": pl.Int64, "gender": pl.String},
}


def make_task(**changes: Any) -> Recommend:
    given: dict[str, Any] = {
        "positive": LIKED,
        "weak_positive": fb.outcome(Watch),
        "negative": fb.outcome(Rate, where=lambda r: r.stars <= 2),
        "rating": fb.value(Rate, lambda r: r.stars),
    }
    return Recommend(USER, FILM, **(given | changes))


def ask(task: Recommend, user: str, k: int, *, at_us: int = 0, id: str = "", **fields: Any) -> Request:
    """A request as serving makes it; `id` decides the draws."""
    return Request(id, user, at_us, request_type(task)(at=at_us, user=user, k=k, **fields))


def make_frames(rows: Sequence[tuple[Any, ...]]) -> dict[str, pl.DataFrame]:
    """`rows`: (type, fields..., at, known_at)."""
    kinds = {"at": pl.Int64, "known_at": pl.Int64, "partition": pl.Int64, "offset": pl.Int64}
    return {
        name: pl.DataFrame(
            [(*row[1:], 0, place) for place, row in enumerate(rows) if row[0] == name],
            schema={**columns, **kinds},
            orient="row",
        )
        for name, columns in _COLUMNS.items()
    }


@pytest.fixture
def films() -> SimpleNamespace:
    task: Callable[..., Recommend] = make_task
    return SimpleNamespace(
        task=task,
        frames=make_frames,
        schema=Schema((Watch, Rate, Joined, Card, Viewer)),
        Watch=Watch,
        Rate=Rate,
        Joined=Joined,
        Card=Card,
        Viewer=Viewer,
        user=USER,
        film=FILM,
        liked=LIKED,
    )
