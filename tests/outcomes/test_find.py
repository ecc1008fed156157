"""An answer is found by its id, whatever the clock did while the stream was written."""

import random
from pathlib import Path

import pytest

from flyball.core import NotFound, new_id
from flyball.events import open_log
from flyball.outcomes import Prediction, find_prediction, prediction_record

START_US, MINUTE_US = 1_700_000_000_000_000, 60_000_000


def predicted(at_us: int, rng: random.Random) -> Prediction:
    return Prediction(
        id=new_id(at_us, rng), at_us=at_us, user="7", k=1, items=["a"], scores=[1.0], sources=["model"], version="v1",
        arm="champion", propensity=1.0, level="champion", offsets=(1,),
    )  # fmt: skip


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
