"""Planted worlds in which one recommender chose what users saw: weighed targets tell who is truly better."""

from typing import Annotated, Any

import numpy as np
import pytest
from numpy.typing import NDArray

import flyball as fb
from flyball.core import SystemStopwatch
from flyball.evaluation import Estimate, Judged, Report, Weighed, check_gates, choose, weigh
from flyball.evaluation.bench import Bench
from flyball.models import Interactions, Random, kind_of
from flyball.policy import best, gates
from flyball.tasks import Cases, UserHistory


class Liked(fb.Event):
    user: Annotated[str, fb.Ref("user")]
    item: Annotated[str, fb.Ref("item")]


USERS, ITEMS, K, TOUCHED, FOUND = 800, 400, 20, 8, 3
NOISE = {"champion": 0.8, "equal": 0.8, "better": 0.2, "worse": 2.0}
SEEDS = range(2)


class World:
    """Users find things by popularity and in the lists of a recommender; `shows` is who made these, "" for nobody."""

    def __init__(self, seed: int, shows: str) -> None:
        rng = np.random.default_rng(seed)
        tastes, kinds = rng.normal(size=(USERS, 6)), rng.normal(size=(ITEMS, 6))
        wish = 0.9 * tastes @ kinds.T - 1.0
        self.likes = 1 / (1 + np.exp(-wish))
        weight = 1.0 / np.arange(1, ITEMS + 1)
        popular = weight / weight.sum()
        touched = np.stack([self._touched(rng, popular, wish[user]) for user in range(USERS)])
        self.lists: dict[str, NDArray[np.int32]] = {}
        for name, noise in NOISE.items():
            scores = wish + noise * rng.normal(size=wish.shape) * wish.std()
            self.lists[name] = self._top(scores, touched)
        self.lists["popular"] = self._top(np.tile(weight, (USERS, 1)), touched)
        self.lists["random"] = self._top(rng.random(wish.shape), touched)
        self.names = [f"t{item}" for item in range(ITEMS)]
        self.shown: dict[str, dict[str, int]] = {}
        truth: list[list[str]] = []
        attention = 0.15 * 0.82 ** np.arange(K)
        for user in range(USERS):
            found = {self._search(rng, popular, wish[user]) for _ in range(FOUND)} - set(touched[user].tolist())
            if shows:
                places = self.lists[shows][user]
                self.shown[f"u{user}"] = {self.names[item]: place for place, item in enumerate(places.tolist())}
                found |= set(places[rng.random(K) < attention].tolist())
            truth.append([self.names[item] for item in sorted(found) if rng.random() < self.likes[user, item]])
        self.bench = self._bench(touched, truth)

    def _search(self, rng: np.random.Generator, popular: NDArray[Any], wish: NDArray[Any]) -> int:
        """What comes up is popular; of that the user takes what they like best, more or less."""
        up = rng.choice(ITEMS, 24, p=popular)
        return int(up[np.argmax(wish[up] + rng.gumbel(size=24))])

    def _touched(self, rng: np.random.Generator, popular: NDArray[Any], wish: NDArray[Any]) -> NDArray[np.int64]:
        found: set[int] = set()
        while len(found) < TOUCHED:
            found.add(self._search(rng, popular, wish))
        return np.array(sorted(found))

    def quality(self, name: str) -> float:
        """The truth: how likely users like what this one shows them."""
        return float(np.take_along_axis(self.likes, self.lists[name].astype(np.int64), axis=1).mean())

    def judged(self) -> Weighed:
        return weigh(self.bench, self.lists, self.shown, least=30, seed=0, resamples=300)

    def plain(self, name: str) -> float:
        return float(self.bench.per_user(self.lists[name])[f"ndcg@{K}"].mean())

    def report(self) -> Report:
        """A report whose plain figures and weighed ones are those of the lists."""
        values = {name: self.bench.per_user(places)[f"ndcg@{K}"] for name, places in self.lists.items()}
        judged = {
            name: Judged(
                name, "candidate", kind_of(Random()) if name == "random" else "x:X",
                figures={f"ndcg@{K}": Estimate(float(column.mean()))}, full_lists=1.0,
            )
            for name, column in values.items()
        }  # fmt: skip
        differences = {
            name: {other: difference(values[name], values[other]) for other in values if other != name}
            for name in values
        }
        return Report(
            users=len(self.bench.cases.users), split_us=1, end_us=2, k=K, seed=0, resamples=300, judged=judged,
            differences={f"ndcg@{K}": differences}, weighed=self.judged(),
        )  # fmt: skip

    def passes(self, name: str) -> bool:
        results = check_gates(gates(), self.report(), name, "champion", ["random"], f"ndcg@{K}")
        return all(each.passed for each in results)

    def _top(self, scores: NDArray[Any], touched: NDArray[np.int64]) -> NDArray[np.int32]:
        scores = scores.copy()
        np.put_along_axis(scores, touched, -np.inf, axis=1)
        return np.argsort(-scores, axis=1, kind="stable")[:, :K].astype(np.int32)

    def _bench(self, touched: NDArray[np.int64], truth: list[list[str]]) -> Bench:
        users = [f"u{user}" for user in range(USERS)]
        train = Interactions(
            users=users,
            items=self.names,
            user_index=np.repeat(np.arange(USERS, dtype=np.int32), TOUCHED),
            item_index=touched.ravel().astype(np.int32),
            weights=np.ones(touched.size, np.float32),
            ratings=np.full(touched.size, np.nan, np.float32),
            at_us=np.zeros(touched.size, np.int64),
            user_group=np.full(USERS, -1, np.int32),
            groups=[],
            as_of_us=0,
        )
        kept = [user for user in range(USERS) if truth[user]]
        self.lists = {name: places[kept] for name, places in self.lists.items()}
        self.likes = self.likes[kept]
        nothing, none = np.zeros(0, np.float32), np.zeros(0, np.int64)
        cases = Cases(
            split_us=1,
            end_us=2,
            users=[users[user] for user in kept],
            histories=[
                UserHistory(users[user], [], nothing, nothing, none, [self.names[item] for item in touched[user]])
                for user in kept
            ],
            truth=[truth[user] for user in kept],
            groups=[None] * len(kept),
            activity=["light"] * len(kept),
            rated_rows=np.zeros(0, np.int32),
            rated_items=[],
            rated_values=nothing,
        )
        task = fb.Recommend(fb.Entity("user"), fb.Entity("item"), positive=fb.outcome(Liked), k=K)
        return Bench(task, cases, train, [K], SystemStopwatch())


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> Estimate:
    gap = one - other
    half = 1.96 * float(gap.std()) / np.sqrt(len(gap))
    return Estimate(float(gap.mean()), float(gap.mean()) - half, float(gap.mean()) + half)


@pytest.fixture(scope="module")
def served() -> list[World]:
    return [World(seed, "champion") for seed in SEEDS]


def test_plain_figures_favour_who_served_and_weighed_ones_less(served: list[World]) -> None:
    for world in served:
        assert world.quality("equal") == pytest.approx(world.quality("champion"), rel=0.03)
        assert world.plain("equal") < 0.85 * world.plain("champion")
        figures = world.judged().figures
        equal, champion = (figures[name][f"ndcg@{K}"].value for name in ("equal", "champion"))
        assert equal / champion > 1.1 * world.plain("equal") / world.plain("champion")


def test_a_truly_better_one_passes_its_gates_and_a_worse_one_does_not(served: list[World]) -> None:
    for world in served:
        assert world.quality("better") > 1.1 * world.quality("champion")
        assert world.quality("worse") < 0.9 * world.quality("champion")
        assert world.passes("better")
        assert not world.passes("worse")
        assert not world.passes("popular")
        assert choose(best(f"ndcg@{K}"), world.report(), ["better", "worse", "popular"])[0] == "better"


def test_a_service_that_showed_the_popular_list_can_leave_it() -> None:
    for seed in SEEDS:
        world = World(seed, "popular")
        report = world.report()
        results = check_gates(gates(), report, "better", "popular", ["random"], f"ndcg@{K}")
        assert all(each.passed for each in results), [each.reason for each in results]


def test_lists_that_change_nothing_have_no_lift() -> None:
    world = World(1, "")
    world.shown = {user: {"t399": 0, "t398": 5} for user in world.bench.cases.users}
    told = world.judged()
    assert (told.targets_shown < 5, told.users_shown) == (True, len(world.bench.cases.users))
    assert max(told.lifts) < 10 * World(1, "champion").judged().lifts[0]


def test_too_few_targets_do_not_decide_and_say_so() -> None:
    world = World(1, "champion")
    told = weigh(world.bench, world.lists, world.shown, least=100_000, seed=0, resamples=50)
    assert (told.decides, told.figures) == (False, {})
    assert "too few to decide" in told.text()


def test_equal_chances_weigh_equally() -> None:
    world = World(2, "")
    world.bench.train = type(world.bench.train)(
        **{
            name: getattr(world.bench.train, name)
            for name in world.bench.train.__struct_fields__
            if name not in ("item_index", "user_index")
        },
        item_index=np.zeros(0, np.int32),
        user_index=np.zeros(0, np.int32),
    )
    told = world.judged()
    assert told.effective == pytest.approx(told.targets)
    hits = sum(
        world.names[item] in wanted
        for wanted, row in zip(world.bench.cases.truth, world.lists["better"], strict=True)
        for item in row.tolist()
    )
    assert told.figures["better"][f"recall@{K}"].value == pytest.approx(hits / told.targets)
