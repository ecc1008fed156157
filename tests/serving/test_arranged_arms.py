"""Arms that answer by an arrangement of their own: served, stamped, counted as failed where they cannot be opened."""

import random
from typing import Any

import msgspec
import pytest
from tests.serving.versions import FALLBACK, Lists, Notes, asks, failing, reading

from flyball import ItemKNN
from flyball.core import Refused, SystemStopwatch
from flyball.outcomes import Exposure
from flyball.policy import ab
from flyball.registry import add_arrangement
from flyball.releases import (
    Release,
    ReleaseArm,
    ReleaseState,
    arrangements_of_arms,
    change_release,
    current,
    start_release,
)
from flyball.runtime import Runtime
from flyball.serving import Engine, Refresher, Serving
from flyball.serving.metrics import ServingMetrics
from flyball.testing import faulty
from flyball.testing.requests import make_request

NOW_US = faulty.START_US + 2 * faulty.DAY_US
ARMS = (ReleaseArm("control"), ReleaseArm("candidate", "", 2))


def engine(notes: Notes, arranged: dict[Any, Any], kind: Any = "ab", arms: Any = ARMS) -> Engine:
    release = Release(id="rel2", kind=kind, state=kind, arms=arms, salt="rel2", layer="rules")
    state = ReleaseState(champion="v1", releases=(release,), arrangement=1)
    serving = Serving(state, {"v1": Lists(["a", "b"])}, {}, FALLBACK, "v1", arrangements={"v1": 1}, arranged=arranged)
    return Engine(reading, notes, serving)


def test_half_of_the_units_get_the_champion_by_the_arms_arrangement() -> None:
    notes = Notes()
    answers = engine(notes, {("v1", 2): Lists(["c", "d"])}).answer(asks(400))
    taken = [answer for answer in answers if answer.arm == "candidate"]
    assert 140 < len(taken) < 260
    assert {(answer.version, answer.arrangement, answer.level, *answer.items) for answer in taken} == {
        ("v1", 2, "champion", "c", "d")
    }
    assert {answer.exposures for answer in taken} == {(Exposure("rel2", "candidate", 0.5),)}
    others = [answer for answer in answers if answer.arm == "control"]
    assert {(answer.arrangement, *answer.items) for answer in others} == {(1, "a", "b")}
    assert {(answer.failed, answer.assigned, answer.propensity) for answer in answers} == {("", "", 0.5)}
    assert notes == []


@pytest.mark.parametrize(("arranged", "failed"), [({}, "load"), ({("v1", 2): Lists([], failing)}, "score")])
def test_an_arm_that_cannot_answer_counts_as_failed(arranged: Any, failed: str) -> None:
    answers = engine(Notes(), arranged).answer(asks(50))
    taken = [answer for answer in answers if answer.arm == "candidate"]
    assert {(answer.version, answer.arrangement, answer.assigned, answer.failed) for answer in taken} == {
        ("v1", 1, "v1@a2", failed)
    }
    assert {answer.failed for answer in answers if answer.arm == "control"} == {""}


def test_a_draft_of_two_arrangements() -> None:
    (got,) = engine(Notes(), {("v1", 2): Lists(["c", "d"])}, "interleave").answer(asks())
    assert [(team.version, team.arrangement, team.items) for team in got.teams] == [
        ("v1", 1, ["a", "b"]),
        ("v1", 2, ["c", "d"]),
    ]
    assert sorted(got.items) == ["a", "c"]


def test_a_serving_process_opens_what_arms_answer_by(home: Runtime) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    narrow = add_arrangement(home.registry, home.app.name, {"max_per": ["genres", 1]}, "ann", "to see", NOW_US)
    start_release(home.registry, ab(layer="rules"), [f"@a{narrow.revision}"], home.actor("ann", "to see", NOW_US))
    state = current(home.registry)
    assert arrangements_of_arms(state) == [("v1", narrow.revision)]
    metrics = ServingMetrics(home.counters_folder, "test", SystemStopwatch())
    refresher = Refresher(home, metrics, home.clock)
    for _ in range(2):
        refresher.step()
    assert list(refresher.engine.serving.arranged) == [("v1", narrow.revision)]
    request = make_request(home, 7, NOW_US, random.Random(3), k=4)
    plain, arranged = refresher.engine.answer(
        [msgspec.structs.replace(request, arm=arm) for arm in ("control", "candidate")]
    )
    assert (plain.arrangement, arranged.arrangement) == (0, narrow.revision)
    (pipeline,) = refresher.engine.serving.arranged.values()
    assert (pipeline.task.max_per, home.app.task.max_per) == (("genres", 1), None)  # type: ignore[attr-defined]
    genres = [int(item.removeprefix("film-")) % 2 for item in arranged.items]
    assert genres[0] != genres[1]
    with pytest.raises(Refused, match="must be of another version to be promoted, got arrangement a1 of the champion"):
        change_release(home.registry, "rel2", "promote", home.actor("ann", "good", NOW_US))
