"""Exposures as predictions are stamped with them."""

import random
from pathlib import Path

import msgspec

from flyball.core import new_id
from flyball.events import open_log
from flyball.experiments import Exposed, exposures_of
from flyball.outcomes import Exposure, Prediction, prediction_record
from flyball.releases import Release, ReleaseArm

START_US = 1_700_000_000_000_000
ARMS = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))
RELEASE = Release(id="rel2", kind="ab", state="ab", arms=ARMS, salt="rel2", started_us=START_US)
RNG = random.Random(3)


def predicted(at_us: int, key: str, *exposures: Exposure, **request: str) -> Prediction:
    return Prediction(
        id=new_id(at_us, RNG),
        at_us=at_us,
        key=key,
        request_type="r",
        request={"user": key, **request},
        items=[],
        scores=[],
        sources=[],
        version="v1",
        arm="champion",
        propensity=1.0,
        level="champion",
        offsets=(1,),
        exposures=exposures,
    )


def test_answers_of_a_release_are_its_exposures_and_no_others(tmp_path: Path) -> None:
    log = open_log(f"sqlite://{tmp_path}/predictions.db?partitions=2&unique=0")
    mine, other = Exposure("rel2", "candidate", 0.25), Exposure("rel1", "control", 0.5)
    given = [
        predicted(START_US + 3, "a", other, mine, device="tv"),
        predicted(START_US + 1, "b", other),
        predicted(START_US - 1, "c", mine),
        predicted(START_US + 9, "d", mine),
        predicted(START_US + 2, "e"),
    ]
    log.append([prediction_record(one) for one in given])
    found = sorted(exposures_of(log, RELEASE, ("device",)), key=lambda one: one.unit)
    assert found == [
        Exposed("a", "candidate", 0.25, START_US + 3, START_US + 3, given[0].id, {"device": "tv"}),
        Exposed("d", "candidate", 0.25, START_US + 9, START_US + 9, given[3].id, {"device": ""}),
    ]
    ended = msgspec.structs.replace(RELEASE, ended_us=START_US + 5)
    assert [one.unit for one in exposures_of(log, ended)] == ["a"]
    by_session = msgspec.structs.replace(RELEASE, unit=("session", "device"))
    assert [one.unit for one in exposures_of(log, by_session)] == ["tv"]
