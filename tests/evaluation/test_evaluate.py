"""Challengers with planted qualities: a report finds them, survives the broken ones, and lets gates and choice act."""

import pickle
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.evaluation.planted import (
    USERS,
    Broken,
    Mind,
    Stars,
    Steps,
    challenger,
    contest,
    evaluated,
    make_world,
    truth_of,
)

import flyball as fb
from flyball.core import BadDeclaration, BadInput, NotFound, Refused
from flyball.evaluation import (
    Challenger,
    Cost,
    Estimate,
    Evaluated,
    Evaluator,
    Report,
    Rivals,
    check_gates,
    choose,
    evaluate,
)
from flyball.models import Artifact, Random
from flyball.tasks import MetricFamily, fallback_arrays
from flyball.tasks.metrics import one_class


@pytest.fixture
def world() -> SimpleNamespace:
    return make_world()


def test_planted_qualities_come_out(world: SimpleNamespace) -> None:
    report = contest(world)
    perfect = report.of("perfect")
    assert perfect.metrics["ndcg@5"] == Estimate(1.0, 1.0, 1.0)
    assert perfect.metrics["recall@5"].value == perfect.metrics["map@5"].value == 1.0
    assert perfect.metrics["precision@5"].value == pytest.approx(3 / 5)
    assert perfect.metrics["full_lists@5"].value == perfect.metrics["personalized@5"].value == 1.0
    assert perfect.metrics["coverage@5"].value == pytest.approx(60 / 61)
    assert (perfect.cost.train_s, perfect.cost.bytes) == (1.5, 7)
    assert perfect.cost.answer_us == pytest.approx(10_000)
    assert perfect.cost.answer is not None
    assert perfect.cost.answer.low == pytest.approx(10_000)
    values = [report.of(name).metrics["ndcg@5"].value for name in ("perfect", "champion", "spoiled", "random")]
    assert values == sorted(values, reverse=True)
    assert report.of("random").metrics["hit_rate@5"].value < 0.6
    gap = report.difference("ndcg@5", "spoiled", "perfect")
    turned = report.difference("ndcg@5", "perfect", "spoiled")
    assert gap is not None
    assert turned is not None
    assert gap.value == pytest.approx(values[2] - 1)
    assert (gap.low, gap.high) == (-(turned.high or 0), -(turned.low or 0))
    assert report.difference("ndcg@5", "perfect", "perfect") is None


def test_slices_say_how_many_and_leave_out_the_tiny(world: SimpleNamespace) -> None:
    found = {(each.by, each.name): each for each in contest(world).of("spoiled").slices}
    assert set(found) == {("history_length", "1-4"), ("group", "F")}  # three users have no history: too few
    assert (found["group", "F"].units, found["group", "F"].requests) == (90, 90)
    assert set(found["group", "F"].metrics) == {"ndcg@5", "recall@5", "precision@5", "map@5", "hit_rate@5"}


def test_the_order_of_challengers_changes_no_metric(world: SimpleNamespace) -> None:
    one, other = challenger(world, "one", Mind(noise=1.0)), challenger(world, "other", Mind(noise=2.0))
    first, second = evaluated(world, one, other), evaluated(world, other, one)
    assert first.of("one").metrics == second.of("one").metrics
    assert first.difference("map@5", "one", "other") == second.difference("map@5", "one", "other")


def test_broken_challengers_are_reported_and_stop_nobody(world: SimpleNamespace) -> None:
    report = evaluated(
        world,
        challenger(world, "raises", Broken()),
        challenger(world, "nan", Broken(how="nan")),
        Challenger("unfitted", failed="LinAlgError: singular"),
        challenger(world, "late", Mind(), as_of_us=100),
        challenger(world, "stars", Stars(value=float("nan"))),
        challenger(world, "fine", Mind()),
    )
    assert report.of("raises").failed == "ZeroDivisionError: in the middle of scoring"
    assert report.of("nan").failed == "BadScores: scores of Broken must be numbers, got nan"
    assert report.of("unfitted").failed == "LinAlgError: singular"
    assert "before the test window, which starts at 100 us, got 100" in report.of("late").failed
    assert "predicted ratings must be finite" in report.of("stars").failed
    assert report.of("fine").metrics["ndcg@5"].value == 1.0
    gate = check_gates(fb.gates(), (), report, "nan", Rivals(), "ndcg@5")
    assert [(each.name, each.passed) for each in gate] == [("ran", False)]
    with pytest.raises(NotFound, match="no candidate 'nobody'"):
        report.of("nobody")


def test_ratings_stand_beside_the_global_mean_and_the_bias_model(world: SimpleNamespace) -> None:
    report = evaluated(
        world, challenger(world, "three", Stars()), challenger(world, "two", Stars(value=2.0)), metric="rmse"
    )
    assert report.of("three").metrics["rmse"] == Estimate(1.0, 1.0, 1.0)
    assert report.of("two").metrics["rmse"].value == pytest.approx(2**0.5)
    assert report.of("two").metrics["mae"].value == pytest.approx(1.0)
    assert report.references["global_mean"]["rmse"].value == pytest.approx(1.0)
    # each item was rated twice alike: its bias is 2 * (+-1) / (2 + 25)
    assert report.references["bias"]["rmse"].value == pytest.approx(1 - 2 / 27)
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
    strange = Challenger("strange", model=Random(), artifact=Artifact({}, learned, old, other), as_of_us=99)
    everyone = [
        strange,
        challenger(world, "spoiled", Mind(noise=2.0)),
        challenger(world, "stars", Stars()),
        challenger(world, "raises", Broken()),
        msgspec.structs.replace(strange, name="again"),
    ]
    far = {
        one.name: pickle.loads(pickle.dumps(Evaluator(world.task, world.evaluation, Steps()).answered(one)))
        for one in everyone[::-1]
    }
    assert any(name.startswith("gone") for name in far["strange"].answers.names)
    assert far["raises"].answers is None
    elsewhere = evaluate(
        world.task,
        everyone,
        world.evaluation,
        metrics=["ndcg@5"],
        seed=1,
        stopwatch=Steps(),
        resamples=300,
        answered=far,
    )
    here = evaluated(world, *everyone)
    assert elsewhere.differences == here.differences
    assert {one.name: (one.metrics, one.slices, one.failed) for one in elsewhere.evaluated.values()} == {
        one.name: (one.metrics, one.slices, one.failed) for one in here.evaluated.values()
    }


def test_a_wider_cutoff_is_asked_for(world: SimpleNamespace) -> None:
    wider = msgspec.structs.replace(world.evaluation, fields=[each | {"k": 10} for each in world.evaluation.fields])
    world.evaluation = wider
    report = evaluated(world, challenger(world, "perfect", Mind()), metric="recall@10")
    assert report.of("perfect").metrics["recall@10"].value == 1.0
    assert report.of("perfect").metrics["ndcg@5"].value == 1.0
    assert report.of("perfect").metrics["precision@5"].value == pytest.approx(0.6)
    empty = msgspec.structs.replace(world.evaluation, at_us=np.zeros(0, np.int64), fields=[], contexts=[])
    with pytest.raises(BadInput, match="evaluation set must be of one request or more"):
        evaluate(world.task, [], empty, metrics=["ndcg@5"], seed=1, stopwatch=Steps())


def test_a_metric_that_the_task_has_not_is_refused_with_the_list(world: SimpleNamespace) -> None:
    for wrong in ("auc@5", "ndcg", "rmse@5", "ndcg@0.5", "ndcg@0"):
        with pytest.raises(BadDeclaration, match="metric"):
            evaluated(world, metric=wrong)
    with pytest.raises(BadDeclaration, match=r"one of ndcg@k, recall@k.*rmse"):
        evaluated(world, metric="beauty@5")


OWN = make_world().task.offline().plan().gates


def verdicts(report: Report, name: str, champion: str | None = None, **changes: Any) -> dict[str, bool]:
    gates = fb.gates(**changes)
    found = check_gates(gates, OWN, report, name, Rivals(champion, "random", "random"), "ndcg@5")
    assert all(gate.reason for gate in found)
    return {gate.name: gate.passed for gate in found}


def test_gates_pass_the_good_and_name_what_is_wrong(world: SimpleNamespace) -> None:
    report = contest(world)
    every = dict.fromkeys(
        ["ran", "enough_examples", "beats_random", "full_lists", "own_lists", "holds_champion", "answers_in_time"], True
    )
    assert verdicts(report, "perfect", "champion") == every
    assert verdicts(report, "champion", "champion") == {name: True for name in every if name != "holds_champion"}
    assert verdicts(report, "spoiled", "perfect") == every | {"holds_champion": False}
    assert verdicts(report, "spoiled", "perfect", max_loss=1.0) == every
    assert verdicts(report, "perfect", "champion", min_examples=121) == every | {"enough_examples": False}
    assert verdicts(report, "perfect", "champion", max_answer="9ms") == every | {"answers_in_time": False}
    assert not verdicts(report, "random")["beats_random"]
    assert not check_gates(fb.gates(), OWN, report, "perfect", Rivals(), "ndcg@5")[2].passed


def test_a_model_that_scores_nothing_is_refused_though_the_fallback_has_good_metrics(world: SimpleNamespace) -> None:
    """Everybody likes the popular items: lists that the fallback alone fills beat the random ones."""
    liked = np.arange(USERS, dtype=np.int32) % 2 + 10
    train = msgspec.structs.replace(world.train, item_index=liked)
    truth = truth_of(train, [["f10", "f11"]] * USERS, [], None)
    popular = msgspec.structs.replace(world.evaluation, truth=truth)
    of_all = SimpleNamespace(task=world.task, train=train, evaluation=popular)
    report = evaluated(
        of_all,
        challenger(of_all, "silent", Broken(how="silent")),
        challenger(of_all, "popular", fb.Popular()),
        challenger(of_all, "random", Random(), role="baseline"),
    )
    assert report.of("silent").metrics["hit_rate@5"] == report.of("popular").metrics["hit_rate@5"]
    silent = report.of("silent").metrics
    assert (silent["scored@5"].value, silent["personalized@5"].value) == (0.0, 0.0)
    assert [name for name, passed in verdicts(report, "silent").items() if not passed] == ["own_lists"]
    assert verdicts(report, "popular")["own_lists"]
    (row,) = [row for row in report.table() if row[0] == "silent"]
    assert row[-1].startswith("it scored no item for any user")


def test_lists_that_stay_short_fail_their_gate(world: SimpleNamespace) -> None:
    few = world.train.items[:4]
    small = msgspec.structs.replace(
        world.train,
        items=few,
        user_index=np.arange(4, dtype=np.int32),
        item_index=np.arange(4, dtype=np.int32),
        weights=np.ones(4, np.float32),
        ratings=np.full(4, np.nan, np.float32),
        at_us=np.zeros(4, np.int64),
    )
    artifact = Artifact(
        {}, {**fallback_arrays(small), **Random().fit(small, 1)}, few, {i: n for n, i in enumerate(few)}
    )
    without = SimpleNamespace(
        task=world.task, train=small, evaluation=msgspec.structs.replace(world.evaluation, catalogs=[])
    )
    report = evaluated(without, Challenger("short", model=Random(), artifact=artifact))
    assert report.of("short").metrics["full_lists@5"].value == 0.0
    gate = next(
        each for each in check_gates(fb.gates(), OWN, report, "short", Rivals(), "ndcg@5") if "full" in each.name
    )
    assert not gate.passed
    assert gate.metrics["value"] == 0.0


def report_of(metrics: dict[str, tuple[float, float]], gaps: dict[tuple[str, str], Estimate]) -> Report:
    """`metrics`: name → (ndcg, microseconds)."""
    found = {
        name: Evaluated(name, "candidate", "", metrics={"ndcg@5": Estimate(value)}, cost=Cost(answer_us=cost))
        for name, (value, cost) in metrics.items()
    }
    differences: dict[str, dict[str, Estimate]] = {}
    for (name, other), gap in gaps.items():
        differences.setdefault(name, {})[other] = gap
    return Report(
        requests=100,
        units=100,
        start_us=0,
        end_us=1,
        seed=0,
        resamples=10,
        evaluated=found,
        better={"ndcg@5": "high"},
        differences={"ndcg@5": differences},
    )


def test_the_cheapest_within_noise_wins() -> None:
    metrics = {"best": (0.30, 900.0), "near": (0.29, 100.0), "cheap": (0.10, 5.0)}
    gaps = {
        ("best", "near"): Estimate(0.01, -0.005, 0.02),
        ("cheap", "best"): Estimate(-0.2, -0.25, -0.15),
        ("near", "cheap"): Estimate(0.19, 0.1, 0.2),
    }
    report = report_of(metrics, gaps)
    policy = fb.cheapest_within_noise("ndcg@5")
    winner, reason = choose(policy, report, ["best", "near", "cheap"])
    assert winner == "near"
    assert "best (ndcg@5 0.3000) is better only within noise by 0.0100 [-0.0050, 0.0200]" in reason
    assert choose(policy, report, ["best", "cheap"]) == (
        "best",
        "best has the best ndcg@5 0.3000; no other candidate is as good and quicker",
    )
    assert choose(fb.best("ndcg@5"), report, ["best", "near", "cheap"])[0] == "best"
    assert choose(policy, report, ["cheap"])[0] == "cheap"
    alike = report_of({"best": (0.30, 110.0), "near": (0.29, 100.0)}, gaps)
    assert choose(policy, alike, ["best", "near"])[0] == "best"  # a tenth quicker is how times scatter
    with pytest.raises(Refused, match="choosing by ndcg@5"):
        choose(policy, report, [])


class _OneClass:
    """An AUC of requests that are all of one class."""

    better, centered = "high", False

    def prepare(self, answers: Any, evaluation: Any) -> Any:
        return one_class(np.zeros(len(evaluation.at_us)), "auc")


class _Share:
    """Of nothing: 0 divided by 0."""

    better, centered = "high", False

    def prepare(self, answers: Any, evaluation: Any) -> Any:
        return lambda weights: np.full(len(weights), np.nan)


def test_a_metric_that_the_examples_cannot_give_is_left_out_with_the_reason(world: SimpleNamespace) -> None:
    plan = world.task.offline().plan()
    added = {"auc": MetricFamily(lambda _: _OneClass()), "share": MetricFamily(lambda _: _Share())}  # type: ignore[arg-type, return-value]
    wider = msgspec.structs.replace(plan, families={**plan.families, **added}, reported=(*plan.reported, *added))
    task = SimpleNamespace(
        about=world.task.about,
        online=world.task.online,
        offline=lambda: SimpleNamespace(plan=lambda: wider),
        restore=world.task.restore,
    )
    challengers: Any = [challenger(world, "one", Mind()), challenger(world, "two", Mind())]
    report = evaluate(task, challengers, world.evaluation, metrics=["ndcg@5"], seed=0, stopwatch=Steps())  # type: ignore[arg-type]
    evaluated = report.of("one")
    assert not {"auc", "share"} & (evaluated.metrics.keys() | report.differences.keys())
    reasons = {"auc": "auc needs examples of both classes, all 120 are 0", "share": "share is 0 divided by 0 here"}
    assert evaluated.undefined == reasons
    assert msgspec.json.decode(report.json(), type=Report).of("one").undefined == evaluated.undefined
