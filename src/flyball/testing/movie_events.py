"""Event types of a movie service for tests: those that the movielog format knows, and two profiles."""

from typing import Annotated

from flyball.events import Event, Profile, Ref, Schema, integer, text

User = Annotated[int, Ref("user"), integer(1)]
Film = Annotated[str, Ref("film"), text(pattern=r"\A[A-Za-z0-9+._*-]+\Z", max_length=120)]


class Watch(Event):
    user: User
    film: Film
    minute: Annotated[int, integer(0, 2_000)]


class Rate(Event):
    user: User
    film: Film
    stars: Annotated[int, integer(1, 5)]


class Joined(Event):
    user: User


class Asked(Event):
    user: User
    server: str
    status: Annotated[int, integer(0, 999)]
    films: list[str]
    error: str
    took_ms: Annotated[int, integer(0, 10_000_000)]


class Viewer(Profile):
    user: User
    age: Annotated[int, integer(0, 130)] | None = None
    gender: Annotated[str, text(max_length=40)] | None = None


class FilmCard(Profile):
    film: Film
    genres: list[str] = []
    language: str | None = None


def movie_schema(stars: int = 5) -> Schema:
    """The schema for ratings of 1 to `stars`."""
    fields = Rate.__annotations__ | {"stars": Annotated[int, integer(1, stars)]}
    rate = Rate if stars == 5 else type("Rate", (Event,), {"__annotations__": fields})
    return Schema([Watch, rate, Joined, Asked, Viewer, FilmCard])
