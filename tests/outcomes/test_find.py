"""An answer is found by its id, whatever the clock did while the stream was written."""

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball.core import BadInput, NotFound, Refused, new_id
from flyball.events import open_log
from flyball.outcomes import (
    Exposure,
    Prediction,
    find_prediction,
    prediction_of,
    prediction_of_response,
    prediction_record,
    records_between,
    request_of_prediction,
    response_of,
)
from flyball.outcomes.prediction import LAST_US
from flyball.tasks import FeatureRead, RankedItem, Response, request_of, request_type
from flyball.testing import faulty

START_US, MINUTE_US = 1_700_000_000_000_000, 60_000_000


def predicted(at_us: int, rng: random.Random) -> Prediction:
    return Prediction(
        id=new_id(at_us, rng),
        at_us=at_us,
        key="7",
        request_type="r",
        request={"user": 7},
        items=["a"],
        scores=[1.0],
        sources=["model"],
        version="v1",
        arm="champion",
        propensity=1.0,
        level="champion",
        offsets=(1,),
    )


@pytest.mark.parametrize("back_minutes", [0, 5, 60, 60 * 24])
@pytest.mark.parametrize("block", [1, 7])
def test_every_answer_is_found_after_the_clock_was_set_back(tmp_path: Path, back_minutes: int, block: int) -> None:
    rng = random.Random(3)
    log = open_log(f"sqlite://{tmp_path}/predictions.db?partitions=1&unique=0")
    minutes = [*range(240), *(minute + 240 - back_minutes for minute in range(240))]
    given = [predicted(START_US + minute * MINUTE_US + rng.randrange(1_000_000), rng) for minute in minutes]
    for first in range(0, len(given), block):
        log.append([prediction_record(one) for one in given[first : first + block]])
    assert [find_prediction(log, one.id) for one in given] == given
    with pytest.raises(NotFound, match="no prediction"):
        find_prediction(log, new_id(START_US + 200 * MINUTE_US, rng))


@pytest.mark.parametrize("back_minutes", [0, 5, 60, 60 * 24])
@pytest.mark.parametrize("minute", [0, 1, 100, 239, 240, 400])
def test_all_answers_since_a_time_are_found_after_the_clock_was_set_back(
    tmp_path: Path, back_minutes: int, minute: int
) -> None:
    rng = random.Random(4)
    log = open_log(f"sqlite://{tmp_path}/predictions.db?partitions=1&unique=0")
    minutes = [*range(240), *(later + 240 - back_minutes for later in range(240))]
    given = [predicted(START_US + later * MINUTE_US, rng) for later in minutes]
    for first in range(0, len(given), 7):
        log.append([prediction_record(one) for one in given[first : first + 7]])
    since_us = START_US + minute * MINUTE_US
    for until_us in (since_us, since_us + 1, since_us + 90 * MINUTE_US, LAST_US):
        between = [prediction_of(record).id for record in records_between(log, since_us, until_us)]
        assert between == [one.id for one in given if since_us <= one.at_us < until_us]


def test_a_record_of_another_format_is_refused_by_its_number() -> None:
    written = prediction_record(predicted(START_US, random.Random(1)))
    body = msgspec.msgpack.decode(written.body)
    assert body[0] == 3
    later = msgspec.structs.replace(written, body=msgspec.msgpack.encode([4, *body[1:]]))
    with pytest.raises(BadInput, match="format of a prediction record must be one of 2, 3: another release .* got 4"):
        prediction_of(later)
    first = msgspec.structs.replace(written, body=msgspec.msgpack.encode(body[1:]))
    with pytest.raises(BadInput, match="must be a prediction of format 3"):
        prediction_of(first)


def test_a_record_of_the_format_before_took_part_in_no_release() -> None:
    given = predicted(START_US, random.Random(1))
    written = prediction_record(given)
    body = msgspec.msgpack.decode(written.body)
    before = msgspec.structs.replace(written, body=msgspec.msgpack.encode([2, *body[1:-3]]))
    assert prediction_of(before) == given
    assert (given.exposures, given.assigned, given.failed) == ((), "", "")


def test_what_was_asked_and_answered_comes_back_from_the_record() -> None:
    asked = request_type(faulty.app.task)
    request = request_of(asked, "0" * 26, START_US, {"user": 7, "k": 3, "include": {"genres": ["odd"]}})
    read = FeatureRead("set", START_US - 1, (3, 4), 7, {"film": (b"ab", b"c")})
    response = Response(
        (RankedItem("a", 0.5, "model", 1.0, (0.25, 2.0)), RankedItem("b", 0.0, "cold_start", 0.125, (0.5, 1.0))),
        (0.1, 0.9),
        "hold",
        (read,),
    )
    stamp = {"version": "v1", "arm": "champion", "propensity": 1.0, "level": "champion", "offsets": (3,)}
    took_part: Any = {"exposures": (Exposure("rel1", "candidate", 0.05),), "assigned": "v2", "failed": "late"}
    prediction = prediction_of_response(
        request, response, **stamp, catalog=(2,), fallback=(1,), stale_us=9, **took_part
    )
    back = prediction_of(prediction_record(prediction))
    assert back == prediction
    assert (response_of(back), request_of_prediction(back, asked)) == (response, request)
    with pytest.raises(Refused, match="must be a Watch, as the application declares now, got a recommendrequest"):
        request_of_prediction(back, faulty.Watch)
    unknown = msgspec.structs.replace(back, request={**back.request, "page": 2})
    with pytest.raises(Refused, match="must fit RecommendRequest as declared now: field must be one of user, k"):
        request_of_prediction(unknown, asked)
