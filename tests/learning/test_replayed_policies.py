"""Policies of retraining on planted pasts: what each learns when, what that is worth and what it takes."""

from pathlib import Path

import pytest
from tests.learning.changing import START_US, changing, filled, late

import flyball as fb
from flyball.core import BadInput, NotFound, Refused
from flyball.learning import BacktestReport, PolicyResult, backtest, parse_policy
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
    report = backtest(runtime, [parse_policy(text, "logloss") for text in texts], windows=4)
    refitted, continued = of(report, "every:1d"), of(report, "update:1d")
    assert continued.values == refitted.values
    assert (continued.runs, continued.continued, refitted.continued) == (3, 3, 0)


def test_a_candidate_that_cannot_continue_learns_from_everything(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(), 5)
    report = backtest(runtime, [parse_policy(text, "mae") for text in ("every:1d", "update:1d")], windows=2)
    assert of(report, "update:1d").values == of(report, "every:1d").values
    assert (of(report, "update:1d").runs, of(report, "update:1d").continued) == (1, 0)
    assert "update:1d" not in [result.policy for result in backtest(runtime, windows=1).policies]


def test_what_cannot_be_replayed_is_refused(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(), 1)
    with pytest.raises(NotFound, match="trees"):
        backtest(runtime, candidate="trees")
    with pytest.raises(BadInput, match="windows"):
        backtest(runtime, windows=0)
    with pytest.raises(Refused, match="nothing to learn from"):
        backtest(runtime)
