"""`benchmarks/canaries.py` at reduced size: whole canaries of equal truth err no more often than is stated."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "canaries.py"


@pytest.fixture(scope="module")
def canaries() -> ModuleType:
    source = importlib.util.spec_from_file_location("canaries", SCRIPT)
    assert source is not None
    assert source.loader is not None
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    return module


def test_canaries_of_equal_truth_err_no_more_often_than_stated(canaries: ModuleType) -> None:
    ends = canaries.run_canaries(12, 1)
    errors = canaries.errors_of(ends)
    assert {name: canaries.most(12, stated) >= errors[name] for name, stated in canaries.stated_errors().items()} == {
        "aborted": True,
        "rolled_back": True,
        "called better": True,
    }
    assert sum(end.state == "champion" for end in ends) >= 10  # equal is shown to be no worse, and goes on
    assert canaries.run_canaries(1, 1) == ends[:1]


def test_canaries_of_five_metrics_are_aborted_no_more_often_than_stated(canaries: ModuleType) -> None:
    aborts = canaries.run_equal_metrics(12, 1, looks=10, batch=400)
    assert aborts.divided <= min(canaries.most(12, 0.01), aborts.undivided)


@pytest.mark.parametrize("worse", [{"failed": 0.06}, {"late": 0.06}, {"empty": 0.06}, {"slow": 0.08}, {"liked": 0.02}])
def test_the_same_canaries_stop_a_candidate_that_is_worse(canaries: ModuleType, worse: dict[str, float]) -> None:
    (end,) = canaries.run_canaries(1, 2, worse)
    assert end.state == "aborted"
    assert not end.better


def test_a_candidate_that_is_better_is_called_so(canaries: ModuleType) -> None:
    (end,) = canaries.run_canaries(1, 3, {"liked": 0.5})
    assert (end.state, end.better) == ("champion", True)


def test_a_champion_that_gets_worse_after_its_last_step_is_rolled_back(canaries: ModuleType) -> None:
    rates = {"control": canaries.EQUAL, "candidate": dict(canaries.EQUAL)}
    life = canaries.SimulatedCanary(rates, np.random.default_rng(4), 800)
    while life.release.state == "canary":
        life.hour += 1
        life.answer()
        life.look()
    rates["candidate"]["failed"] = 0.1
    assert life.run().state == "rolled_back"


def test_the_most_errors_that_agree_with_a_probability(canaries: ModuleType) -> None:
    assert canaries.most(2_000, 0.05) == 126
    assert canaries.most(100, 0.0) == 0
