"""A small application whose models can be made to fail, and a home with released versions of them."""

import random
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import flyball as fb
from flyball.app import AppSource
from flyball.core import BadInput, Clock
from flyball.models import Floats, Histories, Interactions, Learned, Recommender, kind_of, params_of, save_artifact
from flyball.registry import Version, add_versions, begin_run, end_run
from flyball.releases import promote
from flyball.runtime import Runtime, load_settings
from flyball.state import StateConsumer
from flyball.tasks import fallback_arrays

User = Annotated[int, fb.Ref("user"), fb.integer(1, 999_999_999)]
Film = Annotated[str, fb.Ref("film"), fb.text(pattern=r"\A[a-z0-9-]+\Z", max_length=40)]

SOURCE = AppSource("flyball.testing.faulty:app")
DAY_US = 86_400_000_000
START_US = 1_700_000_000_000_000
LET_GO = threading.Event()
"""Set it to end every "hold" of this process early, and clear it afterwards."""


class Watch(fb.Event):
    """A user watches a film."""

    user: User
    film: Film


class Rate(fb.Event):
    """A user rates a film."""

    user: User
    film: Film
    stars: Annotated[int, fb.integer(1, 5)]


class Viewer(fb.Profile):
    """A user's group."""

    user: User
    gender: str


class Card(fb.Profile):
    """A film's genre and year."""

    film: Film
    genres: list[str] = msgspec.field(default_factory=list)
    year: int | None = None


class Faulty(Recommender, frozen=True):
    """Scores an item by `sign` times its number of positives; `mode` is the fault of scoring.

    "ok": none; "raise"; "nan"; "shape": too few columns; "hold": blocks the thread for `hold_s` seconds; "poison":
    raises for a batch in which a user has seen `film-0`.
    """

    mode: str = "ok"
    sign: int = 1
    hold_s: float = 5.0

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`counts`: float32 (items,)."""
        return {"counts": np.bincount(data.item_index, minlength=len(data.items)).astype(np.float32)}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        if self.mode == "raise" or (self.mode == "poison" and (histories.items == 0).any()):
            raise BadInput("mode", "ok", self.mode)
        if (
            self.mode == "hold" and histories.rows and int(histories.now_us[0]) > 0
        ):  # requests that warm a model are at time 0
            LET_GO.wait(self.hold_s)
        scores = np.tile(self.sign * learned["counts"], (histories.rows, 1)).astype(np.float32)
        if self.mode == "nan" and int(histories.now_us[0]) > 0:
            scores[:, 0] = np.nan
        return scores[:, :-1] if self.mode == "shape" and int(histories.now_us[0]) > 0 else scores


user = fb.Entity("user", profile=Viewer, group=lambda viewer: viewer.gender)
film = fb.Entity("film", profile=Card)
app = fb.App(
    "faulty",
    events=[Watch, Rate],
    task=fb.Recommend(
        user,
        film,
        positive=fb.outcome(Watch, within="1d"),
        rating=fb.value(Rate, lambda rate: rate.stars),
        k=5,
        deadline="300ms",
        cold_start_slots=0,
    ),
    candidates={"faulty": Faulty(), "popular": fb.Popular(), "knn": fb.ItemKNN()},
)


def open_home(home: Path, clock: Clock, **settings: Any) -> Runtime:
    """A runtime of the application in `home`."""
    return Runtime(app, load_settings(home, options=settings), clock)


def films(count: int = 40) -> list[str]:
    return [f"film-{index}" for index in range(count)]


def fill(runtime: Runtime, users: int = 30, seed: int = 7) -> None:
    """Add films, users 1 to `users` and their watches to log and state; lower film numbers are watched more."""
    rng, check = random.Random(seed), runtime.schema.check
    records = [
        check(
            "card",
            {"film": name, "genres": ["even" if index % 2 == 0 else "odd"], "year": 1980 + index},
            START_US,
            START_US,
        )
        for index, name in enumerate(films())
    ]
    for number in range(1, users + 1):
        records.append(check("viewer", {"user": number, "gender": "FM"[number % 2]}, START_US, START_US))
        for film_number in sorted({min(int(rng.expovariate(0.15)), 39) for _ in range(6)}):
            at = START_US + rng.randrange(DAY_US)
            records.append(check("watch", {"user": number, "film": f"film-{film_number}"}, at, at))
    runtime.log.append(records)
    runtime.catalog.catch_up(runtime.log)
    follow(runtime)


def follow(runtime: Runtime) -> None:
    """Apply the events of the log to the state, as the worker does."""
    consumer = StateConsumer(runtime.views, runtime.state, partitions=len(runtime.log.ends()))
    while slices := runtime.log.read(consumer.offsets(), 10_000):
        consumer.apply(slices)


def training(seed: int = 7) -> Interactions:
    """Interactions similar to those of `fill`."""
    rng = random.Random(seed)
    pairs = sorted({(user, min(int(rng.expovariate(0.15)), 39)) for user in range(30) for _ in range(6)})
    count = len(pairs)
    return Interactions(
        users=[str(number) for number in range(1, 31)],
        items=films(),
        user_index=np.array([user for user, _ in pairs], np.int32),
        item_index=np.array([item for _, item in pairs], np.int32),
        weights=np.ones(count, np.float32),
        ratings=np.full(count, np.nan, np.float32),
        at_us=np.full(count, START_US, np.int64),
        user_group=np.array([number % 2 for number in range(1, 31)], np.int32),
        groups=["F", "M"],
        as_of_us=START_US + DAY_US,
    )


def register(
    runtime: Runtime, model: Recommender, now_us: int, data: Interactions | None = None, **more: Any
) -> Version:
    """Fit `model`, save its artifact and register the version; `more`: other fields of the version."""
    data = training() if data is None else data
    run = begin_run(runtime.registry, runtime.app.name, data.as_of_us, now_us)
    arrays: Mapping[str, NDArray[Any]] = {**model.fit(data, 0), **fallback_arrays(data)}
    manifest = {"kind": kind_of(model), "params": params_of(model)}
    files = save_artifact(runtime.artifacts / run.id, manifest, arrays, data.items)
    version = Version(
        app=runtime.app.name,
        candidate="faulty",
        kind=kind_of(model),
        params=params_of(model),
        seed=0,
        snapshot="none",
        as_of_us=data.as_of_us,
        created_us=now_us,
        run=run.id,
        state="candidate",
        artifact=run.id,
        artifact_files=files,
        **more,
    )
    registered = add_versions(runtime.registry, [version])[0]
    end_run(runtime.registry, run, "done", now_us, report={})
    return registered


def release(
    runtime: Runtime, model: Recommender, now_us: int, data: Interactions | None = None, **more: Any
) -> Version:
    """Register `model` and make it the champion."""
    version = register(runtime, model, now_us, data, **more)
    promote(runtime.registry, version.id, "for a test", "test", now_us, artifacts=runtime.artifacts)
    return version
