"""What a version would have earned, from an application's stores."""

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.experiments.market import DAY_US, START_US, answer, candidate_of, market, register, release, shop

from flyball.core import BadInput, ManualClock, NotFound, Refused
from flyball.experiments import version_value
from flyball.operations import catch_up
from flyball.outcomes import Prediction, Team
from flyball.registry import add_versions, begin_run
from flyball.runtime import Runtime, load_settings


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


def drawn_lists(folder: Path, drafted: bool = False) -> Runtime:
    """Lists by v1: "a" first, bought after one answer in ten; then one of four items drawn by chance, "x" after four in
    ten, the others after one in twenty. `drafted`: "a" and the item are said to be drafted with a list of v3."""
    rng = random.Random(5)
    runtime = Runtime(shop({}), load_settings(folder), ManualClock(START_US + 4 * DAY_US))
    records, events = [], []
    for user in range(1, 2_501):
        at_us, item = START_US + user * 60_000_000, rng.choice("xyzw")
        fields: dict[str, Any] = {"propensities": {1: 0.25}}
        if drafted:
            fields = {
                "propensities": {0: 0.5, 1: 0.25},
                "teams": (Team("control", "v1", 0, ["a", item], []), Team("candidate", "v3", 0, ["b", "c"], [])),
                "drafted": [0, 0],
            }
        records.append(
            answer(rng, user, at_us, items=["a", item], scores=[1.0] * 2, sources=["model", "drawn"], **fields)
        )
        for shown, chance in (("a", 0.1), (item, 0.4 if item == "x" else 0.05)):
            if rng.random() < chance:
                events.append(
                    runtime.schema.check("buy", {"user": user, "item": shown, "price": 1.0}, at_us + 1, at_us + 1)
                )
    runtime.log.append(events)
    runtime.predictions.append(records)
    register(runtime, release())
    return with_versions(runtime)


def test_lists_are_valued_from_the_items_that_were_drawn(tmp_path: Path) -> None:
    runtime = drawn_lists(tmp_path)

    def by_v3(past: Prediction) -> Prediction:
        return msgspec.structs.replace(past, version="v3", items=["a", "x"], propensities={})

    got = version_value(runtime, "v3", runtime.clock.now_us(), by_v3, sample=2_500)
    assert (got.metric, got.how, list(got.values)) == ("positive", "items drawn by chance", ["per_item", "cascade"])
    assert got.values["per_item"].low < 0.5 < got.values["per_item"].high
    assert got.logged_mean == pytest.approx(0.1 + (0.4 + 3 * 0.05) / 4, abs=0.03)
    assert "v3 by items drawn by chance: positive" in got.sentences[0]
    with pytest.raises(Refused, match="could not have been logged"):
        version_value(
            runtime, "v3", runtime.clock.now_us(), lambda past: msgspec.structs.replace(by_v3(past), items=["b", "x"])
        )


def test_a_draft_says_nothing_of_items_that_it_could_not_show_there(tmp_path: Path) -> None:
    runtime = drawn_lists(tmp_path, drafted=True)
    with pytest.raises(Refused, match="50 % of what v3 would answer could not have been logged"):
        version_value(
            runtime,
            "v3",
            runtime.clock.now_us(),
            lambda past: msgspec.structs.replace(past, version="v3", items=["b", "c"], propensities={}, teams=()),
        )
