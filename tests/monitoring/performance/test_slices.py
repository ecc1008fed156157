"""Slices of answers: fields, what was answered, and features as they were known at the request."""

from pathlib import Path

import msgspec
import numpy as np
from tests.monitoring.performance.bank import DAY_US, START_US, answer, bank_app
from tests.tasks.predict import regions

from flyball.core import ManualClock
from flyball.monitoring.performance.slices import objects, slice_names, slices_of
from flyball.operations import catch_up
from flyball.outcomes import prediction_of
from flyball.runtime import Runtime
from flyball.settings import load_settings


def test_groups_are_among_the_names() -> None:
    assert slice_names(bank_app().task.about) == (
        *("version", "level", "decision", "payment", "card", "merchant", "amount"),
    )
    assert slice_names(regions.app.task.about)[-1] == "shop.kind"


def test_a_feature_is_that_of_the_time_of_the_request(tmp_path: Path) -> None:
    """The shop's kind changes after the first day; one request names a shop that nobody has described."""
    runtime = Runtime(regions.make_app(), load_settings(tmp_path), ManualClock(START_US + 9 * DAY_US))
    for day, kind in ((0, "kiosk"), (1, "market")):
        fields, at_us = {"shop": "s1", "kind": kind}, START_US + day * DAY_US
        runtime.log.append([runtime.schema.check("shopcard", fields, at_us, at_us)])
    catch_up(runtime)
    requests = [
        {"payment": 1, "shop": "s1", "amount": 1.0, "risk": 0.0, "region": "north"},
        {"payment": 2, "shop": "s1", "amount": 1.0, "risk": 0.0, "region": None},
        {"payment": 3, "shop": "s2", "amount": 1.0, "risk": 0.0, "region": ""},
    ]
    answers = [
        prediction_of(answer(START_US + number * DAY_US + 1, number, str(number), "payment", request, values=[0.1]))
        for number, request in enumerate(requests)
    ]
    slices = slices_of(runtime, answers, ("region", "shop.kind", "version"))
    assert {name: values.tolist() for name, values in slices.items()} == {
        "region": ["north", "none", "none"],
        "shop.kind": ["kiosk", "market", "none"],
        "version": ["v1"] * 3,
    }
    derived = msgspec.structs.replace(runtime.app.task, groups=("region",))
    assert derived.about.groups == ("region",)


def test_sequences_stay_single_objects() -> None:
    assert objects([(1, 2), (3, 4)]).shape == (2,)
    assert objects(np.arange(3).tolist()).tolist() == [0, 1, 2]
