"""A planted world of challengers with known qualities."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

import flyball as fb
from flyball.evaluation import Challenger, Report, evaluate
from flyball.models import Artifact, Histories, Interactions, Random, Recommender
from flyball.tasks import (
    EvaluationSet,
    FrameCatalog,
    RatedItems,
    RecommendTruth,
    UserHistory,
    fallback_arrays,
    with_references,
)

User = Annotated[str, fb.Ref("user")]
Film = Annotated[str, fb.Ref("film")]
ITEMS, USERS, K = 60, 120, 5


class Rate(fb.Event):
    user: User
    film: Film
    stars: int


class Steps:
    """A stopwatch that shows one more hundredth of a second at each look."""

    def __init__(self) -> None:
        self.looks = 0

    def read_s(self) -> float:
        self.looks += 1
        return self.looks / 100


class Mind(Recommender, frozen=True):
    """Reads the user's taste off the only item of the history, as the planted world has it; `noise` spoils it."""

    noise: float = 0.0

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        rng = np.random.default_rng(seed)
        return {"spoil": rng.normal(0, 1, (len(data.items), len(data.items))).astype(np.float32)}

    def score(self, learned: Mapping[str, NDArray[Any]], histories: Histories) -> NDArray[np.float32]:
        likes = np.zeros((histories.rows, ITEMS), np.float32)
        firsts = histories.items[histories.indptr[:-1]]
        for row, first in enumerate(firsts):
            likes[row, [(first + step) % ITEMS for step in (1, 2, 3)]] = 3.0
        return np.asarray(likes + np.float32(self.noise) * learned["spoil"][firsts], np.float32)


class Stars(Mind, frozen=True):
    """Predicts `value` stars for everything."""

    value: float = 3.0

    def predict_rating(
        self, learned: Mapping[str, NDArray[Any]], histories: Histories, items: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        return np.full(len(items), self.value, np.float32)


class Broken(Mind, frozen=True):
    how: str = "raises"

    def score(self, learned: Mapping[str, NDArray[Any]], histories: Histories) -> NDArray[np.float32]:
        if self.how == "raises":
            raise ZeroDivisionError("in the middle of scoring")
        return np.full((histories.rows, ITEMS), -np.inf if self.how == "silent" else np.nan, np.float32)


def known_history(user: str, seen: list[str], group: str | None = None) -> UserHistory:
    """A history of which only the items are known."""
    ones, none = np.ones(len(seen), np.float32), np.full(len(seen), np.nan, np.float32)
    return UserHistory(user, seen, ones, none, np.zeros(len(seen), np.int64), seen, group)


def truth_of(train: Interactions, liked: list[list[str]], catalog: list[str], rated: RatedItems | None) -> Any:
    """Targets of requests, one list a request."""
    items = list(dict.fromkeys([*train.items, *catalog, *(item for each in liked for item in each)]))
    numbers = {item: number for number, item in enumerate(items)}
    return RecommendTruth(
        request_of=np.repeat(np.arange(len(liked)), [len(each) for each in liked]),
        item_of=np.array([numbers[item] for each in liked for item in each], np.int64),
        items=items,
        catalog_size=len({*train.items, *catalog}),
        users_of=np.bincount(train.item_index, minlength=len(items)),
        train_users=len(train.users),
        global_mean=float("nan") if np.isnan(train.ratings).all() else float(np.nanmean(train.ratings)),
        rated=rated,
    )


def make_world() -> SimpleNamespace:
    """User u has seen item u and will like the next three; ratings are 2 and 4 in turn, 3 on average."""
    task = fb.Recommend(
        fb.Entity("user"),
        fb.Entity("film"),
        fb.outcome(Rate),
        rating=fb.value(Rate, lambda r: r.stars),
        k=K,
        cold_start_slots=0,
    )
    names = [f"f{number:02d}" for number in range(ITEMS)]
    seen = np.arange(USERS, dtype=np.int32) % ITEMS
    train = Interactions(
        users=[f"u{user:03d}" for user in range(USERS)],
        items=names,
        user_index=np.arange(USERS, dtype=np.int32),
        item_index=seen,
        weights=np.ones(USERS, np.float32),
        ratings=np.where(np.arange(USERS) % 2 == 0, 2, 4).astype(np.float32),
        at_us=np.zeros(USERS, np.int64),
        user_group=np.zeros(USERS, np.int32),
        groups=["F"],
        as_of_us=99,
    )
    contexts = [known_history(user, [names[first]]) for user, first in zip(train.users, seen, strict=True)]
    rated = RatedItems(
        at_us=np.full(20, 100),
        contexts=contexts[:20],
        unit_of=np.arange(20),
        items=names[:20],
        values=np.where(np.arange(20) % 2 == 0, 2.0, 4.0),
    )
    liked = [[names[(first + step) % ITEMS] for step in (1, 2, 3)] for first in seen]
    catalog = FrameCatalog([*names, "new"], {})
    evaluation = EvaluationSet(
        window_us=(100, 200),
        at_us=np.full(USERS, 100),
        fields=[{"user": user, "k": K} for user in train.users],
        contexts=contexts,
        units=train.users,
        unit_of=np.arange(USERS),
        truth=truth_of(train, liked, catalog.ids, with_references(rated, train)),
        catalogs=[(0, {"film": catalog})],
        slices={
            "history_length": ["1-4" if user < 117 else "0" for user in range(USERS)],
            "group": ["F" if user < 90 else None for user in range(USERS)],
        },
        pool=USERS,
    )
    return SimpleNamespace(task=task, train=train, evaluation=evaluation, liked=liked)


def challenger(world: SimpleNamespace, name: str, model: Recommender, **further: Any) -> Challenger:
    learned = {**fallback_arrays(world.train), **model.fit(world.train, 3)}
    items = world.train.items
    artifact = Artifact({}, learned, items, {item: number for number, item in enumerate(items)})
    return Challenger(name, model=model, artifact=artifact, **({"as_of_us": 99, "train_s": 1.5, "bytes": 7} | further))


def evaluated(world: SimpleNamespace, *challengers: Challenger, metric: str = "ndcg@5") -> Report:
    return evaluate(
        world.task, challengers, world.evaluation, metrics=[metric], seed=1, stopwatch=Steps(), resamples=300
    )


def contest(world: SimpleNamespace) -> Report:
    return evaluated(
        world,
        challenger(world, "perfect", Mind()),
        challenger(world, "spoiled", Mind(noise=2.0)),
        challenger(world, "random", Random(), role="baseline"),
        challenger(world, "champion", Mind(noise=1.0), role="champion"),
    )
