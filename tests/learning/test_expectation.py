"""What a run is expected to bring and to cost."""

from pathlib import Path

from flyball.learning import Expectation, expectation_of
from flyball.registry import Registry, begin_run, end_run


def test_before_the_first_run_nothing_is_known(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    note = "flyball freshness measures what newer data are worth"
    assert expectation_of(registry, 5) == Expectation(None, None, note)


def test_the_cost_is_the_mean_of_the_last_three_that_were_done(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    for seconds, status in ((90.0, "done"), (2.0, "done"), (80.0, "failed"), (4.0, "done"), (6.0, "done")):
        end_run(registry, begin_run(registry, "shop", 1, 2), status, 3, report={"seconds": seconds})  # type: ignore[arg-type]
    assert expectation_of(registry, 5).cost_s == 4.0
