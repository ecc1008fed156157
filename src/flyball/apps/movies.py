"""The lead application: a movie streaming service that recommends what to watch next.

Its log carries one line per streamed minute, ratings, new accounts and the requests that the service answered.
"""

from typing import Annotated, Any

import flyball as fb
from flyball.apps.movielog import MovieLog

User = Annotated[int, fb.Ref("user"), fb.integer(1, 2**63 - 1)]
Film = Annotated[str, fb.Ref("film"), fb.text(pattern=r"\A[A-Za-z0-9+._*-]+\Z", max_length=120)]


class Watch(fb.Event):
    """A user streams one minute of a film."""

    user: User
    film: Film
    minute: Annotated[int, fb.integer(0, 2_000)]


class Joined(fb.Event):
    """A user opens an account."""

    user: User


class Asked(fb.Event):
    """A recommendation request that the service made: the response and its latency."""

    user: User
    server: str
    status: Annotated[int, fb.integer(0, 999)]
    films: list[str]
    error: str
    took_ms: Annotated[int, fb.integer(0, 10_000_000)]


class Viewer(fb.Profile):
    """The profile of a user."""

    user: User
    age: Annotated[int, fb.integer(0, 130)] | None = None
    gender: Annotated[str, fb.text(max_length=40)] | None = None
    occupation: Annotated[str, fb.text(max_length=80)] | None = None


class FilmCard(fb.Profile):
    """The profile of a film."""

    film: Film
    title: Annotated[str, fb.text(max_length=1_000)] | None = None
    genres: list[str] = []
    year: Annotated[int, fb.integer(1870, 2_200)] | None = None
    language: Annotated[str, fb.text(max_length=20)] | None = None


def viewer_group(viewer: Viewer) -> str | None:
    """The user's group, by gender and age in bands of fifteen years, for popularity within groups."""
    if viewer.gender is None or viewer.age is None:
        return None
    return f"{viewer.gender}{viewer.age // 15 * 15}+"


def year_of(date: Any) -> Any:
    """The year of a date such as 1994-10-14; any other value unchanged."""
    return date[:4] if isinstance(date, str) and date[4:5] == "-" else date


def make_app(stars: int = 5) -> fb.App:
    """The application for ratings of 1 to `stars` stars."""
    # Defined outside the class: inside its body `stars` would be the field, not the argument.
    Stars = Annotated[int, fb.integer(1, stars)]

    class Rate(fb.Event):
        """A user rates a film."""

        user: User
        film: Film
        stars: Stars

    liked = 0.8 * stars
    user = fb.Entity(
        "user",
        profile=Viewer,
        known_by=(Joined,),
        group=viewer_group,
        minutes_7d=fb.count(Watch, "7d"),
        films_30d=fb.distinct(Watch, lambda w: w.film, fb.tiled("30d", "1d")),
        ratings_90d=fb.count(Rate, "90d"),
        stars_90d=fb.mean(Rate, lambda r: r.stars, "90d"),
        stars_spread=fb.std(Rate, lambda r: r.stars, fb.lifetime),
        age=fb.attribute(Viewer, lambda v: v.age),
        gender=fb.attribute(Viewer, lambda v: v.gender),
    )
    film = fb.Entity(
        "film",
        profile=FilmCard,
        minutes_1d=fb.count(Watch, "1d"),
        minutes_7d=fb.count(Watch, "7d"),
        minutes_30d=fb.count(Watch, "30d"),
        begun_7d=fb.count(Watch, "7d", where=lambda w: w.minute == 0),
        stayed=fb.ratio(
            fb.count(Watch, "30d", where=lambda w: w.minute >= 30),
            fb.count(Watch, "30d", where=lambda w: w.minute == 0),
        ),
        ratings_7d=fb.count(Rate, "7d"),
        ratings_90d=fb.count(Rate, "90d"),
        stars_90d=fb.mean(Rate, lambda r: r.stars, "90d"),
        stars_ever=fb.target(Rate, lambda r: r.stars, prior=0.7 * stars, weight=10),
        liked_ever=fb.ratio(fb.count(Rate, fb.lifetime, where=lambda r: r.stars >= liked), fb.count(Rate, fb.lifetime)),
        trend=fb.decayed(Rate, "14d"),
        year=fb.attribute(FilmCard, lambda c: c.year),
        language=fb.attribute(FilmCard, lambda c: c.language),
    )
    user_film = fb.Features(
        "user_film",
        keys=(user, film),
        minutes_30d=fb.count(Watch, "30d"),
        last_minute=fb.last(Watch, lambda w: w.minute),
    )
    return fb.App(
        "movies",
        events=[Watch, Rate, Joined, Asked],
        formats={
            "movielog": MovieLog(),
            **fb.columns(
                rename={
                    "movie": "film",
                    "movie_id": "film",
                    "user_id": "user",
                    "rating": "stars",
                    "time": "at",
                    "original_language": "language",
                    "release_date": "year",
                },
                read={"year": year_of},
            ),
        },
        task=fb.Recommend(
            user,
            film,
            positive=fb.any_of(
                fb.outcome(Rate, where=lambda r: r.stars >= 0.8 * stars, within="1d"),
                fb.outcome(Watch, where=lambda w: w.minute >= 30, within="1d"),
            ),
            weak_positive=fb.outcome(Watch, within="1d"),
            negative=fb.outcome(Rate, where=lambda r: r.stars <= 0.4 * stars, within="1d"),
            rating=fb.value(Rate, lambda r: r.stars),
            k=20,
            deadline="300ms",
            max_per=("genres", 12),
            randomized_share=0.01,  # what is liked without being picked by a model: see flyball exposure
            features=(user_film,),
        ),
        candidates={
            "popular": fb.Popular(),
            "item_knn": fb.ItemKNN(),
            "svd": fb.BiasedMF(),
            "ials": fb.ImplicitALS(),
            "ease": fb.EASE(),
            "ranker": fb.Stages((fb.ImplicitALS(), fb.ItemKNN()), features=("user", "film", "user_film")),
        },
        choose=fb.cheapest_within_noise("ndcg@20"),
        retrain=[fb.every("3d")],
        # Few enough films, watched often enough, that a few days show each user's taste.
        world=fb.world("movies", users=1_000, items=2_000, sessions_a_day=1.0),
    )


app = make_app()
