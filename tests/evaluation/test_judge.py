"""Contestants with planted qualities: a report finds them, survives the broken ones, and lets gates and choice act."""

import pickle
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

import flyball as fb
from flyball.core import BadInput, NotFound, Refused
from flyball.evaluation import Contestant, Cost, Estimate, Judged, Report, asked, check_gates, choose, evaluate
from flyball.models import Artifact, Histories, Interactions, Random, Recommender
from flyball.tasks import Cases, FrameCatalog, UserHistory, fallback_arrays

User = Annotated[int, fb.Ref("user")]
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


@pytest.fixture
def world() -> SimpleNamespace:
    """User u has seen item u and will like the next three; ratings are 2 and 4 in turn, 3 on average."""
    task = fb.Recommend(
        fb.Entity("user"),
        fb.Entity("film"),
        fb.outcome(Rate),
        rating=fb.value(Rate, lambda r: r.stars),
        k=K,
        newcomers=0,
    )
    names = [f"f{place:02d}" for place in range(ITEMS)]
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
    one, none = np.ones(1, np.float32), np.full(1, np.nan, np.float32)
    histories = [
        UserHistory(user, [names[first]], one, none, np.zeros(1, np.int64), [names[first]])
        for user, first in zip(train.users, seen, strict=True)
    ]
    cases = Cases(
        split_us=100,
        end_us=200,
        users=train.users,
        histories=histories,
        truth=[[names[(first + step) % ITEMS] for step in (1, 2, 3)] for first in seen],
        groups=["F" if place < 90 else None for place in range(USERS)],
        activity=["light" if place < 117 else "new" for place in range(USERS)],
        rated_rows=np.arange(20, dtype=np.int32),
        rated_items=[names[place] for place in range(20)],
        rated_values=np.where(np.arange(20) % 2 == 0, 2, 4).astype(np.float32),
        catalog=FrameCatalog([*names, "new"], {}),
    )
    return SimpleNamespace(task=task, train=train, cases=cases)


def contestant(world: SimpleNamespace, name: str, model: Recommender, **further: Any) -> Contestant:
    learned = {**fallback_arrays(world.train), **model.fit(world.train, 3)}
    items = world.train.items
    artifact = Artifact({}, learned, items, {item: place for place, item in enumerate(items)})
    return Contestant(name, model=model, artifact=artifact, **({"as_of_us": 99, "train_s": 1.5, "bytes": 7} | further))


def judged(world: SimpleNamespace, *contestants: Contestant, metric: str = "ndcg@5") -> Report:
    return evaluate(
        world.task, contestants, world.cases, world.train, metric=metric, seed=1, stopwatch=Steps(), resamples=300
    )


def contest(world: SimpleNamespace) -> Report:
    return judged(
        world,
        contestant(world, "perfect", Mind()),
        contestant(world, "spoiled", Mind(noise=2.0)),
        contestant(world, "random", Random(), role="baseline"),
        contestant(world, "champion", Mind(noise=1.0), role="champion"),
    )


def test_planted_qualities_come_out(world: SimpleNamespace) -> None:
    report = contest(world)
    perfect = report.of("perfect")
    assert perfect.figures["ndcg@5"] == Estimate(1.0, 1.0, 1.0)
    assert perfect.figures["recall@5"].value == perfect.figures["map@5"].value == 1.0
    assert perfect.figures["precision@5"].value == pytest.approx(3 / 5)
    assert perfect.full_lists == perfect.personal == 1.0
    assert perfect.figures["coverage@5"].value == pytest.approx(60 / 61)
    assert (perfect.cost.train_s, perfect.cost.bytes) == (1.5, 7)
    assert perfect.cost.answer_us == pytest.approx(10_000)
    assert perfect.cost.answer is not None
    assert perfect.cost.answer.low == pytest.approx(10_000)
    values = [report.of(name).figures["ndcg@5"].value for name in ("perfect", "champion", "spoiled", "random")]
    assert values == sorted(values, reverse=True)
    assert report.of("random").figures["hit_rate@5"].value < 0.6
    gap = report.difference("ndcg@5", "spoiled", "perfect")
    turned = report.difference("ndcg@5", "perfect", "spoiled")
    assert gap is not None
    assert turned is not None
    assert gap.value == pytest.approx(values[2] - 1)
    assert (gap.low, gap.high) == (-(turned.high or 0), -(turned.low or 0))
    assert report.difference("ndcg@5", "perfect", "perfect") is None


def test_slices_say_how_many_and_leave_out_the_tiny(world: SimpleNamespace) -> None:
    found = {(each.by, each.name): each for each in contest(world).of("spoiled").slices}
    assert set(found) == {("activity", "light"), ("group", "F")}
    assert found["group", "F"].users == 90
    assert set(found["group", "F"].figures) == {"ndcg@5", "recall@5", "precision@5", "map@5", "hit_rate@5"}


def test_the_order_of_contestants_changes_no_figure(world: SimpleNamespace) -> None:
    one, other = contestant(world, "one", Mind(noise=1.0)), contestant(world, "other", Mind(noise=2.0))
    first, second = judged(world, one, other), judged(world, other, one)
    assert first.of("one").figures == second.of("one").figures
    assert first.difference("map@5", "one", "other") == second.difference("map@5", "one", "other")


def test_broken_contestants_are_told_and_stop_nobody(world: SimpleNamespace) -> None:
    report = judged(
        world,
        contestant(world, "raises", Broken()),
        contestant(world, "nan", Broken(how="nan")),
        Contestant("unfitted", failed="LinAlgError: singular"),
        contestant(world, "late", Mind(), as_of_us=100),
        contestant(world, "stars", Stars(value=float("nan"))),
        contestant(world, "fine", Mind()),
    )
    assert report.of("raises").failed == "ZeroDivisionError: in the middle of scoring"
    assert report.of("nan").failed == "BadScores: scores of Broken must be numbers, got nan"
    assert report.of("unfitted").failed == "LinAlgError: singular"
    assert "before the split at 100 us, got 100" in report.of("late").failed
    assert "predicted ratings must be finite" in report.of("stars").failed
    assert report.of("fine").figures["ndcg@5"].value == 1.0
    gate = check_gates(fb.gates(), report, "nan", None, [], "ndcg@5")
    assert [(each.name, each.passed) for each in gate] == [("ran", False)]
    with pytest.raises(NotFound, match="no candidate 'nobody'"):
        report.of("nobody")


def test_ratings_stand_beside_the_global_mean_and_the_bias_model(world: SimpleNamespace) -> None:
    report = judged(
        world, contestant(world, "three", Stars()), contestant(world, "two", Stars(value=2.0)), metric="rmse"
    )
    assert report.rated == 20
    assert report.of("three").figures["rmse"] == Estimate(1.0, 1.0, 1.0)
    assert report.of("two").figures["rmse"].value == pytest.approx(2**0.5)
    assert report.of("two").figures["mae"].value == pytest.approx(1.0)
    assert report.ratings["global_mean"]["rmse"].value == pytest.approx(1.0)
    # each item was rated twice alike: its bias is 2 * (+-1) / (2 + 25)
    assert report.ratings["bias"]["rmse"].value == pytest.approx(1 - 2 / 27)
    assert choose(fb.best("rmse"), report, ["two", "three"])[0] == "three"


def test_a_report_survives_json_and_prints_as_a_table(world: SimpleNamespace) -> None:
    report = contest(world)
    assert msgspec.json.decode(report.json(), type=Report) == report
    rows = report.table()
    assert rows[0][:3] == ["candidate", "role", "ndcg@5"]
    assert [row[0] for row in rows[1:]] == ["perfect", "champion", "spoiled", "random"]
    assert rows[1][2] == "1.0000 [1.0000, 1.0000]"
    assert {len(row) for row in rows} == {len(rows[0])}


def test_what_was_asked_elsewhere_gives_the_same_report(world: SimpleNamespace) -> None:
    names = world.train.items  # an earlier version also knows items that nothing else does
    old = [name if place % 2 else f"gone{place}" for place, name in enumerate(names)]
    learned = {**fallback_arrays(world.train), **Random().fit(world.train, 3)}
    other = {item: place for place, item in enumerate(old)}
    strange = Contestant("strange", model=Random(), artifact=Artifact({}, learned, old, other), as_of_us=99)
    everyone = [
        strange,
        contestant(world, "spoiled", Mind(noise=2.0)),
        contestant(world, "stars", Stars()),
        contestant(world, "raises", Broken()),
        msgspec.structs.replace(strange, name="again"),
    ]
    far = {
        one.name: pickle.loads(  # noqa: S301  as between processes
            pickle.dumps(asked(world.task, one, world.cases, world.train, metric="ndcg@5", stopwatch=Steps()))
        )
        for one in everyone[::-1]
    }
    assert far["strange"].beyond
    assert far["raises"].lists is None
    elsewhere = evaluate(
        world.task, everyone, world.cases, world.train, metric="ndcg@5", seed=1, stopwatch=Steps(), resamples=300,
        answers=far,
    )  # fmt: skip
    here = judged(world, *everyone)
    assert elsewhere.differences == here.differences
    assert {one.name: (one.figures, one.slices, one.failed) for one in elsewhere.judged.values()} == {
        one.name: (one.figures, one.slices, one.failed) for one in here.judged.values()
    }


def test_a_wider_cutoff_is_asked_for(world: SimpleNamespace) -> None:
    report = judged(world, contestant(world, "perfect", Mind()), metric="recall@10")
    assert report.of("perfect").figures["precision@10"].value == pytest.approx(0.3)
    assert report.of("perfect").figures["precision@5"].value == pytest.approx(0.6)
    empty = msgspec.structs.replace(world.cases, users=[])
    with pytest.raises(BadInput, match="cases must be of one user or more"):
        evaluate(world.task, [], empty, world.train, metric="ndcg@5", seed=1, stopwatch=Steps())


def verdicts(report: Report, name: str, champion: str | None = None, **changes: Any) -> dict[str, bool]:
    found = check_gates(fb.gates(**changes), report, name, champion, ["random"], "ndcg@5")
    assert all(gate.reason for gate in found)
    return {gate.name: gate.passed for gate in found}


def test_gates_pass_the_good_and_name_what_is_wrong(world: SimpleNamespace) -> None:
    report = contest(world)
    every = dict.fromkeys(
        ["ran", "enough_examples", "full_lists", "beats_random", "own_lists", "holds_champion", "answers_in_time"], True
    )
    assert verdicts(report, "perfect", "champion") == every
    assert verdicts(report, "champion", "champion") == {name: True for name in every if name != "holds_champion"}
    assert verdicts(report, "spoiled", "perfect") == every | {"holds_champion": False}
    assert verdicts(report, "spoiled", "perfect", max_loss=1.0) == every
    assert verdicts(report, "perfect", "champion", min_examples=121) == every | {"enough_examples": False}
    assert verdicts(report, "perfect", "champion", max_answer="9ms") == every | {"answers_in_time": False}
    assert not verdicts(report, "random")["beats_random"]
    assert not check_gates(fb.gates(), report, "perfect", None, [], "ndcg@5")[3].passed


def test_a_model_that_scores_nothing_is_refused_though_the_fallback_has_good_figures(world: SimpleNamespace) -> None:
    """Everybody likes the popular items: lists that the fallback alone fills beat the random ones."""
    popular = msgspec.structs.replace(world.cases, truth=[["f10", "f11"]] * USERS)
    liked = np.arange(USERS, dtype=np.int32) % 2 + 10
    train = msgspec.structs.replace(world.train, item_index=liked)
    of_all = SimpleNamespace(task=world.task, train=train, cases=popular)
    report = judged(
        of_all,
        contestant(of_all, "silent", Broken(how="silent")),
        contestant(of_all, "popular", fb.Popular()),
        contestant(of_all, "random", Random(), role="baseline"),
    )
    assert report.of("silent").figures["hit_rate@5"] == report.of("popular").figures["hit_rate@5"]
    assert (report.of("silent").scored, report.of("silent").personal) == (0.0, 0.0)
    assert [name for name, passed in verdicts(report, "silent").items() if not passed] == ["own_lists"]
    assert verdicts(report, "popular")["own_lists"]
    (row,) = [row for row in report.table() if row[0] == "silent"]
    assert row[-1] == "scored nothing: these are the fallback's lists"


def test_lists_that_stay_short_fail_their_gate(world: SimpleNamespace) -> None:
    few = world.train.items[:4]
    small = msgspec.structs.replace(
        world.train, items=few, user_index=np.arange(4, dtype=np.int32), item_index=np.arange(4, dtype=np.int32),
        weights=np.ones(4, np.float32), ratings=np.full(4, np.nan, np.float32), at_us=np.zeros(4, np.int64),
    )  # fmt: skip
    artifact = Artifact(
        {}, {**fallback_arrays(small), **Random().fit(small, 1)}, few, {i: n for n, i in enumerate(few)}
    )
    without = SimpleNamespace(task=world.task, train=small, cases=msgspec.structs.replace(world.cases, catalog=None))
    report = judged(without, Contestant("short", model=Random(), artifact=artifact))
    assert report.of("short").full_lists == 0.0
    gate = next(
        each for each in check_gates(fb.gates(), report, "short", None, ["short"], "ndcg@5") if "full" in each.name
    )
    assert not gate.passed
    assert gate.figures["share"] == 0.0


def report_of(figures: dict[str, tuple[float, float]], gaps: dict[tuple[str, str], Estimate]) -> Report:
    """`figures`: name → (ndcg, microseconds)."""
    found = {
        name: Judged(name, "candidate", "", figures={"ndcg@5": Estimate(value)}, cost=Cost(answer_us=cost))
        for name, (value, cost) in figures.items()
    }
    differences: dict[str, dict[str, Estimate]] = {}
    for (name, other), gap in gaps.items():
        differences.setdefault(name, {})[other] = gap
    return Report(100, 0, 1, 5, 0, 10, found, {"ndcg@5": differences})


def test_the_cheapest_within_noise_wins() -> None:
    figures = {"best": (0.30, 900.0), "near": (0.29, 100.0), "cheap": (0.10, 5.0)}
    gaps = {
        ("best", "near"): Estimate(0.01, -0.005, 0.02),
        ("cheap", "best"): Estimate(-0.2, -0.25, -0.15),
        ("near", "cheap"): Estimate(0.19, 0.1, 0.2),
    }
    report = report_of(figures, gaps)
    policy = fb.cheapest_within_noise("ndcg@5")
    winner, reason = choose(policy, report, ["best", "near", "cheap"])
    assert winner == "near"
    assert "best (ndcg@5 0.3000) is better only within noise by 0.0100 [-0.0050, 0.0200]" in reason
    assert choose(policy, report, ["best", "cheap"]) == (
        "best", "best has the best ndcg@5 0.3000; nothing else is as good and quicker",
    )  # fmt: skip
    assert choose(fb.best("ndcg@5"), report, ["best", "near", "cheap"])[0] == "best"
    assert choose(policy, report, ["cheap"])[0] == "cheap"
    alike = report_of({"best": (0.30, 110.0), "near": (0.29, 100.0)}, gaps)
    assert choose(policy, alike, ["best", "near"])[0] == "best"  # a tenth quicker is how times scatter
    with pytest.raises(Refused, match="choosing by ndcg@5"):
        choose(policy, report, [])
