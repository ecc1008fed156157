"""A release is made as its plan says and finds its place beside the others, or is refused with the reason."""

from typing import Any

import msgspec
import pytest

from flyball.core import Refused
from flyball.policy import ReleasePlan, ab, canary, immediate
from flyball.releases import HoldoutGroup, Release, ReleaseArm, ReleaseState, move
from flyball.releases.opening import arm_of, draft, holdout_for, placed, renewed

STATE = ReleaseState(champion="v1")


def drafted(plan: ReleasePlan, state: ReleaseState = STATE, *versions: str) -> Release:
    return draft(state, plan, versions or ("v2",), "ann", "so", 7)


def running(plan: ReleasePlan, state: ReleaseState = STATE, **fields: Any) -> ReleaseState:
    started, _ = move(placed(state, drafted(plan, state)), "start", 9, reason="", to=plan.kind)  # type: ignore[arg-type]
    started = msgspec.structs.replace(started, **fields)
    return msgspec.structs.replace(state, releases=(*state.releases, started), numbered=state.numbered + 1)


def test_the_release_is_as_planned_and_draws_its_users_again() -> None:
    release = drafted(canary(1, 100, success={"liked": 0.02}, unit="user", only={"country": "NL"}))
    assert (release.id, release.kind, release.state, release.steps) == ("rel1", "canary", "draft", (100, 10_000))
    assert (release.unit, release.targets, release.success) == (("user",), {"country": ("NL",)}, {"liked": 0.02})
    assert [(arm.name, arm.version) for arm in release.arms] == [("control", ""), ("candidate", "v2")]
    later = drafted(canary(1, 100), msgspec.structs.replace(STATE, numbered=4))
    assert (later.id, later.salt != release.salt) == ("rel5", True)


def test_every_arm_needs_its_version() -> None:
    plan = ab({"control": 2, "blue": 1, "green": 1})
    release = drafted(plan, STATE, "v2", "v3")
    assert [(arm.name, arm.version, arm.weight) for arm in release.arms] == [
        ("control", "", 2.0),
        ("blue", "v2", 1.0),
        ("green", "v3", 1.0),
    ]
    with pytest.raises(
        Refused, match=r"versions of ab\(...\) must be 2, one for each arm beside control: blue, green; got v2"
    ):
        drafted(plan)


def test_releases_of_a_layer_take_slots_that_are_free() -> None:
    state = running(ab(traffic=30))
    second = placed(state, drafted(ab(traffic=50), state))
    assert [(one.first, one.end) for one in (*state.releases, second)] == [(0, 3_000), (3_000, 8_000)]
    with pytest.raises(Refused, match="must have 80 % of its units free for rel2, but rel1 takes 30 %"):
        placed(state, drafted(ab(traffic=80), state))
    gone = msgspec.structs.replace(state, releases=())
    assert placed(gone, drafted(ab(traffic=80), gone)).first == 0


def test_two_layers_do_not_both_choose_the_version() -> None:
    state = running(ab(traffic=30))
    with pytest.raises(Refused, match="rel2 must be in layer 'version', where rel1 is"):
        placed(state, drafted(ab(traffic=30, layer="other"), state))


def test_releases_of_a_layer_divide_the_same_units() -> None:
    state = running(ab(traffic=30, unit="user"))
    with pytest.raises(Refused, match="must divide the same units as rel1"):
        placed(state, drafted(ab(traffic=30, unit="session"), state))


def test_a_holdout_begins_with_the_first_release_and_catches_up_in_the_end() -> None:
    release = drafted(canary(100, holdout=2, holdout_for="90d", unit="user"))
    group = holdout_for(STATE, release, 5)
    assert group == HoldoutGroup(0.02, "holdout rel1", "v1", ("user",), 5, 90 * 86_400_000_000)
    state = ReleaseState(champion="v3", holdout=group)
    assert holdout_for(state, release, 6) == group == renewed(state, 5 + 90 * 86_400_000_000 - 1)
    later = renewed(state, 5 + 90 * 86_400_000_000)
    assert later is not None
    assert (later.version, later.salt, later.share) == ("v3", "holdout rel1", 0.02)
    assert holdout_for(ReleaseState(), release, 5) is holdout_for(STATE, drafted(immediate()), 5) is None


def test_an_arm_may_answer_by_an_arrangement_of_its_own() -> None:
    assert arm_of("blue", "v3") == ReleaseArm("blue", "v3")
    assert arm_of("blue", "v3@a2") == ReleaseArm("blue", "v3", 2)
    assert arm_of("blue", "@a12", 3.0) == ReleaseArm("blue", "", 12, 3.0)
    for wrong in ("v3@2", "v3@", "@ax"):
        with pytest.raises(Refused, match="an arm must be a version and an arrangement such as v3@a2 or @a2"):
            arm_of("blue", wrong)
    release = drafted(ab())
    assert release.answered_by == ("v2",)
    assert msgspec.structs.replace(release, arms=(ReleaseArm("control"), arm_of("a", "@a2"))).answered_by == ("@a2",)
