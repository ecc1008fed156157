"""Exposures as predictions are stamped with them."""

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from flyball.core import new_id
from flyball.events import Record, open_log
from flyball.experiments import Exposed, ExposureReader, exposures_of, first_exposures
from flyball.outcomes import Exposure, Prediction, prediction_record, records_between
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


def test_a_reader_takes_each_record_once_and_says_what_the_whole_log_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log(f"sqlite://{tmp_path}/predictions.db?partitions=2&unique=0")
    reader, taken = ExposureReader(log, RELEASE), list[str]()

    def counted(*arguments: object, **named: object) -> Iterator[Record]:
        for record in records_between(*arguments, **named):  # type: ignore[arg-type]
            taken.append(record.key)
            yield record

    monkeypatch.setattr("flyball.experiments.logged_exposures.records_between", counted)
    arms, looks = ("control", "candidate"), (40, 90, 60, 300)  # the third one: a clock that was set back
    for look, as_of in enumerate(looks):
        given = [
            predicted(START_US + 30 * look + at, f"u{RNG.randrange(20)}", Exposure("rel2", RNG.choice(arms), 0.5))
            for at in range(30)
        ]
        log.append([prediction_record(one) for one in given])
        taken.clear()
        units = reader.units(START_US + as_of)
        assert len(taken) == (90 if look == 2 else 30)
        whole = first_exposures(exposures_of(log, RELEASE), START_US + as_of)
        assert units.frame.equals(whole.frame)
        assert (units.arms, units.shares, units.switched) == (whole.arms, whole.shares, whole.switched)


def test_after_the_clock_was_set_back_no_answer_is_left_out(tmp_path: Path) -> None:
    log = open_log(f"sqlite://{tmp_path}/predictions.db?partitions=1&unique=0")
    back_us = 10_000
    units = {"before": START_US + 3, "after": START_US - back_us + 5}
    answers = [predicted(at_us, unit, Exposure("rel2", "control", 0.5)) for unit, at_us in units.items()]
    log.append([prediction_record(answer) for answer in answers])
    reader = ExposureReader(log, RELEASE)
    redated = msgspec.structs.replace(RELEASE, started_us=START_US - back_us, set_back_us=back_us)
    assert (reader.is_of(RELEASE), reader.is_of(redated)) == (True, False)
    for release in (
        redated,
        msgspec.structs.replace(redated, state="ended", ended_us=START_US - back_us + 9),
        msgspec.structs.replace(RELEASE, state="ended", ended_us=START_US - back_us + 9),  # ended before it was redated
    ):
        assert {exposed.unit for exposed in exposures_of(log, release)} == set(units)
    assert ExposureReader(log, redated).units(START_US - back_us + 9).frame["unit"].to_list() == ["after"]
