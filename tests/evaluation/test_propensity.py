"""Planted worlds in which one recommender chose what users saw: inverse propensity weights tell who is truly better."""

from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.planted import known_history, truth_of

import flyball as fb
from flyball.core import SystemStopwatch
from flyball.evaluation import Answered, Challenger, Report, Rivals, check_gates, choose, evaluate
from flyball.models import Interactions
from flyball.policy import best, gates
from flyball.tasks import EvaluationSet, IpsWeights, RankedItem, Response, answers_of, propensity_weights


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
        self._evaluation(touched, truth)

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

    def weights(self, min_pairs: int = 30, shown: dict[str, dict[str, int]] | None = None) -> IpsWeights:
        truth, users = self.evaluation.truth, self.evaluation.units
        given = self.shown if shown is None else shown
        owners = truth.request_of.tolist()
        positions = [
            given.get(users[owner], {}).get(truth.items[item], -1)
            for owner, item in zip(owners, truth.item_of.tolist(), strict=True)
        ]
        numbers = {item: number for number, item in enumerate(truth.items)}
        fresh = [
            (numbers[item], position)
            for user, context in zip(users, self.evaluation.contexts, strict=True)
            for item, position in given.get(user, {}).items()
            if item not in context.seen
        ]
        items, ranks = np.array(fresh, np.int64).reshape(-1, 2).T
        users_shown = sum(bool(given.get(user)) for user in users)
        return propensity_weights(
            self.evaluation.unit_of[truth.request_of],
            truth.item_of,
            truth.users_of,
            np.array(positions, np.int64),
            (items, ranks),
            users_shown,
            min_pairs,
        )

    def report(self, min_pairs: int = 30) -> Report:
        truth = msgspec.structs.replace(self.evaluation.truth, ips=self.weights(min_pairs))
        evaluation = msgspec.structs.replace(self.evaluation, truth=truth)
        answered = {
            name: Answered(
                answers_of(
                    [Response(tuple(RankedItem(self.names[item], 0.0) for item in row)) for row in positions.tolist()]
                )
            )
            for name, positions in self.lists.items()
        }
        return evaluate(
            self.task,
            [Challenger(name) for name in self.lists],
            evaluation,
            metrics=[f"ndcg@{K}"],
            seed=0,
            stopwatch=SystemStopwatch(),
            resamples=300,
            answered=answered,
        )

    def plain(self, name: str) -> float:
        return self.report().of(name).metrics[f"ndcg@{K}"].value

    def passes(self, name: str) -> bool:
        plan = self.task.offline().plan()
        rivals = Rivals("champion", "random", "random")
        results = check_gates(gates(), plan.gates, self.report(), name, rivals, f"ndcg@{K}")
        return all(each.passed for each in results)

    def _top(self, scores: NDArray[Any], touched: NDArray[np.int64]) -> NDArray[np.int32]:
        scores = scores.copy()
        np.put_along_axis(scores, touched, -np.inf, axis=1)
        return np.argsort(-scores, axis=1, kind="stable")[:, :K].astype(np.int32)

    def _evaluation(self, touched: NDArray[np.int64], liked: list[list[str]]) -> None:
        users = [f"u{user}" for user in range(USERS)]
        self.train = Interactions(
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
        kept = [user for user in range(USERS) if liked[user]]
        self.lists = {name: positions[kept] for name, positions in self.lists.items()}
        self.likes = self.likes[kept]
        self.task = fb.Recommend(fb.Entity("user"), fb.Entity("item"), positive=fb.outcome(Liked), k=K)
        self.evaluation = EvaluationSet(
            window_us=(1, 2),
            at_us=np.ones(len(kept), np.int64),
            fields=[{"user": users[user], "k": K} for user in kept],
            contexts=[known_history(users[user], [self.names[item] for item in touched[user]]) for user in kept],
            units=[users[user] for user in kept],
            unit_of=np.arange(len(kept)),
            truth=truth_of(self.train, [liked[user] for user in kept], [], None),
        )


@pytest.fixture(scope="module")
def served() -> list[World]:
    return [World(seed, "champion") for seed in SEEDS]


def test_plain_metrics_favor_who_served_and_weighted_ones_less(served: list[World]) -> None:
    for world in served:
        assert world.quality("equal") == pytest.approx(world.quality("champion"), rel=0.03)
        assert world.plain("equal") < 0.85 * world.plain("champion")
        report = world.report()
        equal, champion = (report.of(name).metrics[f"ips_ndcg@{K}"].value for name in ("equal", "champion"))
        assert equal / champion > 1.1 * world.plain("equal") / world.plain("champion")


def test_a_truly_better_one_passes_its_gates_and_a_worse_one_does_not(served: list[World]) -> None:
    for world in served:
        assert world.quality("better") > 1.1 * world.quality("champion")
        assert world.quality("worse") < 0.9 * world.quality("champion")
        assert world.passes("better")
        assert not world.passes("worse")
        assert not world.passes("popular")
        report = world.report()
        winner, reason = choose(best(f"ndcg@{K}"), report, ["better", "worse", "popular"])
        assert winner == "better"
        assert f"ndcg@{K} (IPS) {report.of('better').metrics[f'ips_ndcg@{K}'].value:.4f}" in reason


def test_a_service_that_showed_the_popular_list_can_leave_it() -> None:
    for seed in SEEDS:
        world = World(seed, "popular")
        rivals = Rivals("popular", "random", "random")
        own = world.task.offline().plan().gates
        results = check_gates(gates(), own, world.report(), "better", rivals, f"ndcg@{K}")
        assert all(each.passed for each in results), [each.reason for each in results]


def test_lists_that_change_nothing_have_no_lift() -> None:
    world = World(1, "")
    ips = world.weights(shown={user: {"t399": 0, "t398": 5} for user in world.evaluation.units})
    assert (ips.pairs_shown < 5, ips.users_shown) == (True, len(world.evaluation.units))
    assert max(ips.lifts) < 10 * World(1, "champion").weights().lifts[0]


def test_too_few_pairs_do_not_decide_and_say_so() -> None:
    world = World(1, "champion")
    ips = world.weights(100_000)
    assert not ips.sufficient
    assert "too few to decide" in ips.summary()
    report = world.report(100_000)
    assert f"ips_ndcg@{K}" not in report.of("better").metrics
    assert report.deciding(f"ndcg@{K}") == f"ndcg@{K}"
    assert choose(best(f"ndcg@{K}"), report, ["better"])[1].startswith(f"better has the best ndcg@{K} 0.")


def test_equal_propensities_weigh_equally() -> None:
    world = World(2, "")
    truth = world.evaluation.truth
    world.evaluation = msgspec.structs.replace(
        world.evaluation, truth=msgspec.structs.replace(truth, users_of=np.zeros_like(truth.users_of))
    )
    ips = world.weights()
    assert ips.effective == pytest.approx(ips.pairs)
    hits = sum(
        int(item) in world.lists["better"][owner].tolist()
        for owner, item in zip(truth.request_of.tolist(), truth.item_of.tolist(), strict=True)
    )
    assert world.report().of("better").metrics[f"ips_recall@{K}"].value == pytest.approx(hits / len(truth.item_of))


def test_a_pair_that_is_the_target_of_several_requests_is_one_pair() -> None:
    once = propensity_weights(
        np.array([0, 1]), np.array([5, 6]), np.arange(9), np.array([-1, 2]), (np.array([6]), np.array([2])), 1, 1
    )
    twice = propensity_weights(
        np.array([0, 0, 1, 1, 1]),
        np.array([5, 5, 6, 6, 6]),
        np.arange(9),
        np.array([-1, -1, 2, 2, 2]),
        (np.array([6]), np.array([2])),
        1,
        1,
    )
    assert (twice.pairs, twice.pairs_shown, twice.effective, twice.lifts) == (2, 1, once.effective, once.lifts)
    assert twice.weights.tolist() == once.weights[[0, 0, 1, 1, 1]].tolist()
