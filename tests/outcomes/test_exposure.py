"""Who was shown what, read back from the stream of predictions."""

import random
from pathlib import Path

from flyball.core import new_id
from flyball.events import open_log
from flyball.outcomes import Prediction, prediction_record, shown_items

SECOND_US = 1_000_000
START_US = 1_700_000_000 * SECOND_US


def answer(user: str, at_us: int, items: list[str]) -> Prediction:
    return Prediction(
        id=new_id(at_us, random.Random(at_us)),
        at_us=at_us,
        key=user,
        request_type="r",
        request={},
        items=items,
        scores=[0.0] * len(items),
        sources=["model"] * len(items),
        version="v1",
        arm="champion",
        propensity=1.0,
        level="champion",
        offsets=(1,),
    )


def test_each_item_has_its_best_place_within_the_window_for_the_users_asked_for(tmp_path: Path) -> None:
    log = open_log(f"sqlite://{tmp_path}/predictions.db?partitions=1&unique=0")
    hour_us = 3_600 * SECOND_US
    answers = [
        answer("ann", START_US, ["before"]),
        answer("ann", START_US + hour_us, ["a", "b"]),
        answer("ben", START_US + hour_us + 1, ["c"]),
        answer("ann", START_US + 2 * hour_us, ["b", "a", "d"]),
        answer("ann", START_US + 3 * hour_us, ["after"]),
    ]
    log.append([prediction_record(each) for each in answers])
    found = shown_items(log, ["ann", "cy"], START_US + hour_us, START_US + 3 * hour_us)
    assert found == {"ann": {"a": 0, "b": 0, "d": 2}}
    assert shown_items(log, [], START_US, START_US + hour_us) == {}
