"""From stores to a result: what is planted in the log is found, whatever the consumers have done."""

from pathlib import Path

import msgspec
import pytest
from tests.experiments.market import DAY_US, METRICS, START_US, market, register, release, shop

import flyball as fb
from flyball.core import BadInput, NotFound, Refused
from flyball.experiments import experiment, metrics_of, release_of
from flyball.operations import catch_up


def test_what_was_planted_is_found_and_covered(tmp_path: Path) -> None:
    runtime = market(tmp_path)
    now_us = runtime.clock.now_us()
    early = experiment(runtime, "rel1", now_us)
    catch_up(runtime)
    got = experiment(runtime, "rel1", now_us)
    assert got.of("bought").inference == early.of("bought").inference, "the history need not have come up to the log"
    assert any("events are not joined to answers yet" in warning for warning in early.warnings)
    assert got.warnings == ()
    bought = got.of("bought")
    assert bought.verdict == "better"
    assert bought.inference is not None
    assert bought.inference.low < 0.1 < bought.inference.high
    assert sum(bought.units.values()) == 3_000
    views = got.of("views")
    assert views.inference is not None
    assert views.inference.low < 1.0 < views.inference.high
    assert views.verdict == "better"
    assert views.adjusted_by is not None
    assert views.adjusted_by > 0.2
    taken = got.of("taken")
    assert taken.control == pytest.approx(0.1, abs=0.02), "a buyer buys once and was answered twice: the first counts"
    assert got.comparable
    assert got.of("price").verdict in ("too early", "undecided")


def test_a_result_is_of_a_time_and_windows_that_are_open_wait(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=400)
    at_us = START_US + 2 * DAY_US
    got = experiment(runtime, "rel1", at_us)
    bought = got.of("bought")
    assert 0 < sum(bought.units.values()) < sum(got.units.values()) < 400
    assert sum(bought.units.values()) + sum(bought.waiting.values()) == sum(got.units.values())
    assert (
        experiment(runtime, "rel1", START_US - 1)
        .of("bought")
        .missing.startswith("no data yet of control and candidate")
    )


def test_only_the_named_metrics_are_computed_and_none_still_say_how_units_are_split(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=400)
    catch_up(runtime)
    whole = experiment(runtime, "rel1", runtime.clock.now_us())
    part = experiment(runtime, "rel1", runtime.clock.now_us(), only=["taken"])
    assert [one.metric for one in part.metrics] == ["taken"]
    assert part.of("taken").inference == whole.of("taken").inference
    nothing = experiment(runtime, "rel1", runtime.clock.now_us(), only=())
    assert (nothing.metrics, nothing.sample_ratio) == ((), whole.sample_ratio)


def test_slices_are_fields_of_the_request(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=400)
    got = experiment(runtime, "rel1", runtime.clock.now_us(), ("k",))
    assert {one.slice for one in got.slices} == {"k=3"}
    with pytest.raises(BadInput, match="one of the fields of the request: user"):
        experiment(runtime, "rel1", runtime.clock.now_us(), ("country",))


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=10)
    with pytest.raises(NotFound, match="rel9"):
        release_of(runtime.registry, "rel9")
    document = msgspec.structs.replace(release(), id="rel2", kind="immediate")
    runtime = market(tmp_path / "two", users=10)
    with pytest.raises(Refused, match="serial"):
        register(runtime, document)
    empty = shop({})
    assert list(metrics_of(empty.task.about, empty.metrics)) == ["positive"]
    assert metrics_of(empty.task.about, METRICS) == METRICS


def test_a_task_that_predicts_is_measured_by_its_loss() -> None:
    from flyball.apps.delivery import app as delivery
    from flyball.apps.fraud import app as fraud

    roles = {name: metric.role for name, metric in metrics_of(fraud.task.about, {}).items()}
    assert roles == {"auc": "primary", "log_loss": "secondary"}
    (name,) = metrics_of(delivery.task.about, {})
    assert name == "pinball"
    assert isinstance(fraud, fb.App)
