"""Policies of retraining on planted pasts: what each learns when, what that is worth and what it takes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.learning.changing import START_US, changing, filled, late
from tests.learning.conftest import Shop, timeless

import flyball as fb
from flyball.compute import InProcess, Lost, Started, TaskLost
from flyball.core import BadInput, NotFound, Refused
from flyball.learning import BacktestReport, PolicyResult, backtest, parse_policy
from flyball.learning.backtest_tasks import MeasureOrder
from flyball.learning.fit import FitOrder
from flyball.simulation import DAY_US

TEXTS = ("manual", "every:2d", "performance:5%", "volume:150", "every:1d")


@pytest.fixture(scope="module")
def sudden(tmp_path_factory: pytest.TempPathFactory) -> BacktestReport:
    """Everything takes eight minutes more from the ninth day on, the third of six test windows."""
    runtime = filled(tmp_path_factory.mktemp("sudden"), changing(change_day=8.75, slower=8.0), 12)
    return backtest(runtime, [parse_policy(text, "mae") for text in TEXTS], windows=5)


def of(report: BacktestReport, policy: str) -> PolicyResult:
    return next(result for result in report.policies if result.policy == policy)


def test_all_begin_alike_and_answer_the_same_requests(sudden: BacktestReport) -> None:
    assert [result.policy for result in sudden.policies] == list(TEXTS)
    assert len({result.values[0] for result in sudden.policies}) == 1
    assert sudden.tested == 5
    assert all(len(result.values) == 5 for result in sudden.policies)


def test_a_schedule_learns_by_the_clock_and_manual_never(sudden: BacktestReport) -> None:
    assert of(sudden, "manual").runs == 0
    assert of(sudden, "every:1d").runs == 4
    assert of(sudden, "every:2d").runs == 2
    times = of(sudden, "every:2d").learned_us
    assert times[1] - times[0] == 2 * DAY_US
    assert of(sudden, "volume:150").runs == 4, "two hundred orders a day"


def test_performance_learns_after_the_planted_change_and_not_before(sudden: BacktestReport) -> None:
    learned = of(sudden, "performance:5%").learned_us
    assert learned
    assert min(learned) > START_US + int(8.75 * DAY_US)
    assert of(sudden, "performance:5%").runs < of(sudden, "every:1d").runs


def test_learning_regains_what_the_change_cost(sudden: BacktestReport) -> None:
    manual, triggered = of(sudden, "manual"), of(sudden, "performance:5%")
    assert manual.values[-1] is not None
    assert triggered.values[-1] is not None
    assert triggered.values[-1] < manual.values[-1] - 0.3
    assert manual.gain is None
    assert of(sudden, "every:1d").gain is not None


def test_continued_learning_is_as_good_as_learning_from_everything_for_less(tmp_path: Path) -> None:
    """FTRL continues bit for bit; ours says how much less it takes."""
    runtime = filled(tmp_path, late({"ftrl": fb.FTRL(bits=12)}, period=40.0), 9)
    texts = ("manual", "every:1d", "update:1d")
    report = backtest(runtime, [parse_policy(text, "log_loss") for text in texts], windows=4)
    refitted, continued = of(report, "every:1d"), of(report, "update:1d")
    assert continued.values == refitted.values
    assert (continued.runs, continued.continued, refitted.continued) == (3, 3, 0)
    assert (of(report, "manual").ratio, refitted.ratio) == (None, 1.0)
    assert continued.ratio == refitted.seconds / continued.seconds


def test_a_trigger_may_continue_from_the_checkpoint(tmp_path: Path) -> None:
    runtime = filled(tmp_path, late({"ftrl": fb.FTRL(bits=12)}, change_day=6.0, slower=8.0), 9)
    texts = ("volume:150", "update:volume:150")
    report = backtest(runtime, [parse_policy(text, "log_loss") for text in texts], windows=4)
    stateless, stateful = of(report, "volume:150"), of(report, "update:volume:150")
    assert (stateful.runs, stateful.continued) == (stateless.runs, stateless.runs) == (3, 3)
    assert stateful.values == stateless.values


def test_a_window_since_the_change_gains_what_old_data_cost(tmp_path: Path) -> None:
    """All data hold both worlds; those since the change hold the new one alone."""
    change_day = 6.5
    runtime = filled(tmp_path, changing(change_day=change_day, slower=8.0), 10)
    texts = ("every:1d", "every:1d@1d", "every:1d@drift")
    policies = [parse_policy(text, "mae") for text in texts]
    since_us = START_US + int(change_day * DAY_US)
    report = backtest(runtime, policies, windows=3, since_us=since_us)
    everything, day, drift = (of(report, text).values for text in texts)
    assert everything[0] == day[0] == drift[0], "all begin with the same model"
    for values in (day, drift):
        assert values[-1] is not None
        assert everything[-1] is not None
        assert values[-1] < everything[-1] - 1.0
    blind = backtest(runtime, [policies[0], policies[2]], windows=2)
    assert of(blind, "every:1d@drift").values == of(blind, "every:1d").values
    assert blind.notes == ["every:1d@drift: all data where no drift was known"]


def test_a_candidate_that_cannot_continue_learns_from_everything(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(), 5)
    report = backtest(runtime, [parse_policy(text, "mae") for text in ("every:1d", "update:1d")], windows=2)
    assert of(report, "update:1d").values == of(report, "every:1d").values
    assert (of(report, "update:1d").runs, of(report, "update:1d").continued) == (1, 0)
    assert "update:1d" not in [result.policy for result in backtest(runtime, windows=1).policies]


ALL_KINDS = ("manual", "every:2d", "every:2d@4d", "update:1d", "performance:5%", "update:performance:5%")


def test_side_by_side_gives_the_bits_of_one_after_another(shop: Shop) -> None:
    runtime, steps = shop.open(ranked=True), list[str]()
    shop.likes(runtime)
    policies = [parse_policy(text, "ndcg@5") for text in ALL_KINDS]
    alone = backtest(runtime, policies, windows=3, candidate="ranked")
    together = backtest(runtime, policies, windows=3, candidate="ranked", workers=2, progress=steps.append)
    assert timeless(together) == timeless(alone)
    assert all(len(result.models) == 3 and all(result.models) for result in together.policies)
    assert of(together, "every:2d").models[0] != of(together, "every:2d").models[2]
    assert steps[-1].startswith("3 of 3 test windows measured, ")
    assert not list(runtime.home.glob("backtest-*"))


def losing(monkeypatch: pytest.MonkeyPatch, lost: Callable[[Any], bool]) -> None:
    """Let tasks run here, but lose those whose order is `lost`."""

    class Losing(InProcess):
        def wait(self, started: Sequence[Started], timeout_s: float | None) -> list[tuple[Started, Any]]:
            if lost(started[0].handle.arguments[0]):
                return [(started[0], Lost("killed by SIGKILL"))]
            return super().wait(started, timeout_s)

    monkeypatch.setattr("flyball.learning.backtest_tasks.open_compute", lambda url, workers: Losing())
    monkeypatch.setattr("flyball.learning.backtest_tasks.InProcess", Losing)


def test_a_task_that_is_lost_for_good_costs_the_windows_that_need_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = shop.open()
    shop.likes(runtime)
    policies = [parse_policy(text, "ndcg@5") for text in ("manual", "every:1d")]
    whole = backtest(runtime, policies, windows=3, candidate="together")
    losing(monkeypatch, lambda order: isinstance(order, FitOrder) and order.folder.endswith("model-2"))
    report = backtest(runtime, policies, windows=3, candidate="together")
    values = of(whole, "every:1d").values
    assert of(report, "every:1d").values == [values[0], None, values[2]]
    assert (report.tested, whole.tested) == (2, 3)
    assert report.notes == [
        "left out of the test windows, for a task that was lost: 2; process must end with a result, got killed by "
        "SIGKILL"
    ]
    losing(monkeypatch, lambda order: isinstance(order, MeasureOrder))
    with pytest.raises(TaskLost, match="SIGKILL"):
        backtest(runtime, policies, windows=3, candidate="together")


def test_what_is_waited_for_and_lost_ends_its_policy_and_not_the_backtest(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = shop.open()
    shop.likes(runtime)
    policies = [parse_policy(text, "ndcg@5") for text in ("manual", "performance:5%")]
    losing(monkeypatch, lambda order: isinstance(order, MeasureOrder) and list(order.models) == ["champion"])
    report = backtest(runtime, policies, windows=3, candidate="together")
    assert [value is None for value in of(report, "manual").values] == [False, True, True]
    assert report.notes[0].startswith("left out of the test windows, for a task that was lost: 2, 3; ")


def test_what_continues_from_a_lost_model_is_lost_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = filled(tmp_path, late({"ftrl": fb.FTRL(bits=12)}), 9)
    policies = [parse_policy(text, "logloss") for text in ("update:1d", "manual")]
    losing(monkeypatch, lambda order: isinstance(order, FitOrder) and order.start is not None)
    report = backtest(runtime, policies, windows=4)
    assert [value is None for value in of(report, "manual").values] == [False, True, True, True]
    assert report.notes[0].startswith("left out of the test windows, for a task that was lost: 2, 3, 4; ")


def test_an_error_of_a_fit_is_that_of_the_backtest(shop: Shop) -> None:
    runtime = shop.open(broken="raise")
    shop.likes(runtime)
    for workers in (1, 2):
        with pytest.raises(ValueError, match="no convergence"):
            backtest(runtime, windows=2, candidate="broken-raise", workers=workers)


def test_what_cannot_be_replayed_is_refused(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(), 1)
    with pytest.raises(NotFound, match="trees"):
        backtest(runtime, candidate="trees")
    with pytest.raises(BadInput, match="windows"):
        backtest(runtime, windows=0)
    with pytest.raises(Refused, match="nothing to learn from"):
        backtest(runtime)
