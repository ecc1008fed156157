"""What a version would have earned, from an application's stores."""

from pathlib import Path

import msgspec
import pytest
from tests.experiments.market import DAY_US, START_US, candidate_of, market

from flyball.core import BadInput, NotFound, Refused
from flyball.experiments import version_value
from flyball.operations import catch_up
from flyball.outcomes import Prediction
from flyball.registry import add_versions, begin_run
from flyball.runtime import Runtime


def with_versions(runtime: Runtime, count: int = 3) -> Runtime:
    run = begin_run(runtime.registry, "market", 5, 6)
    usual = candidate_of(run, "popular", "Popular")
    add_versions(runtime.registry, [usual] * count)
    catch_up(runtime)
    return runtime


def never(prediction: Prediction) -> Prediction:
    raise AssertionError("nothing is to be answered again")


def test_the_arm_of_a_release_is_valued_by_its_split(tmp_path: Path) -> None:
    runtime = with_versions(market(tmp_path, users=1_500, share=0.3))
    got = version_value(runtime, "v2", runtime.clock.now_us(), never)
    assert (got.metric, got.how) == ("taken", "the arms of rel1")
    assert got.values["snips"].low < 0.15 < got.values["snips"].high
    assert msgspec.json.decode(msgspec.json.encode(got))["support"]["largest"] == pytest.approx(1 / 0.3)
    adopted = version_value(runtime, "v2", runtime.clock.now_us(), never, "adopted")
    assert adopted.metric == "adopted"


def test_what_the_log_cannot_tell_is_refused_with_what_to_do(tmp_path: Path) -> None:
    runtime = with_versions(market(tmp_path, users=30))
    with pytest.raises(Refused, match=r"such as fb.ab\(\) or fb.canary\(1, 5, 25, 50, 100\), with v3"):
        version_value(runtime, "v3", runtime.clock.now_us(), never)
    with pytest.raises(Refused, match="must be 1d old for their label positive to be final, got none that old"):
        version_value(runtime, "v2", START_US + DAY_US - 1, never)
    with pytest.raises(NotFound, match="v9"):
        version_value(runtime, "v9", runtime.clock.now_us(), never)
    with pytest.raises(BadInput, match="one of single answers: taken, positive"):
        version_value(runtime, "v2", runtime.clock.now_us(), never, "bought")
