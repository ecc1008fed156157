"""The state machine of a release: what its table does not allow is refused, and a ramp goes up one step at a time."""

import itertools
from typing import Any, get_args

import pytest

from flyball.core import Refused
from flyball.releases import OVER, RUNNING, TRANSITIONS, UNDER_WAY, Release, ReleaseArm, move, shown_state
from flyball.releases.release import Command, StateName, redate

ARMS = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))


def release(state: Any = "draft", **fields: Any) -> Release:
    fixed: Any = {"id": "rel1", "kind": "canary", "arms": ARMS, "salt": "rel1", "steps": (100, 500, 10_000)}
    return Release(state=state, **{**fixed, **fields})


def test_every_command_in_every_state_is_allowed_by_the_table_or_refused() -> None:
    for command, state in itertools.product(get_args(Command), get_args(StateName)):
        before = release(state, resumes="canary" if state == "held" else None)
        step = 1 if (command, state) == ("advance", "canary") else None
        if (command, state) in TRANSITIONS:
            after, noted = move(before, command, 9, reason="so", step=step)
            assert after.state in TRANSITIONS[command, state]
            assert (noted.before, noted.after, noted.reason, noted.command) == (state, after.state, "so", command)
        else:
            with pytest.raises(Refused, match=rf"rel1 is .*, (where|so it is) .*; got {command}") as refused:
                move(before, command, 9, reason="so", step=step)
            assert not any(
                name in str(refused.value).split(";")[0]
                for name in ("hold", "reweight", "retire,", "restore", "redate")
            )


def test_nothing_that_is_over_comes_back_but_a_champion_that_a_rollback_restores() -> None:
    assert {(command, state) for command, state in TRANSITIONS if state in OVER} == {("restore", "retired")}


def test_whatever_is_under_way_can_be_aborted_paused_and_promoted() -> None:
    for state in UNDER_WAY:
        assert {("abort", state), ("pause", state), ("promote", state)} <= TRANSITIONS.keys()
    assert {("hold", state) for state in RUNNING} <= TRANSITIONS.keys()


@pytest.mark.parametrize("step", [0, 2, None])
def test_a_ramp_goes_up_one_step_at_a_time(step: int | None) -> None:
    with pytest.raises(Refused, match="step of rel1 must be 1, the one after 0"):
        move(release("canary"), "advance", 9, reason="", step=step)


def test_a_ramp_has_no_step_after_its_last() -> None:
    with pytest.raises(Refused, match="must be one of its 3, got 3"):
        move(release("canary", step=2), "advance", 9, reason="", step=3)


def test_what_is_held_keeps_its_split_its_time_and_its_way_back() -> None:
    running = release("canary", step=1, since_us=5)
    held, _ = move(running, "hold", 9, reason="silent")
    paused, _ = move(held, "pause", 11, reason="by hand")
    assert (held.state, held.acts_as, held.paused, held.since_us) == ("held", "canary", False, 5)
    assert (paused.resumes, paused.paused, paused.shares()) == ("canary", True, running.shares())
    resumed, _ = move(paused, "resume", 20, reason="go on")
    assert (resumed.state, resumed.step, resumed.paused, resumed.resumes) == ("canary", 1, False, None)


def test_shares_add_up_to_one_in_every_state() -> None:
    for state, step in itertools.product(get_args(StateName), range(3)):
        shares = release(state, step=step, resumes="ab" if state == "held" else None).shares()
        assert sum(shares.values()) == pytest.approx(1.0)
    assert release("canary", step=1).shares() == {"control": 0.95, "candidate": 0.05}
    weighted = (ReleaseArm("control", weight=3.0), ReleaseArm("candidate", "v2"))
    assert release("ab", kind="ab", arms=weighted).shares() == {"control": 0.75, "candidate": 0.25}


def test_a_state_is_shown_with_its_step() -> None:
    assert shown_state(release("canary", step=1)) == "canary at 5 % (step 2 of 3)"
    paused, _ = move(release("canary"), "pause", 9, reason="")
    assert shown_state(paused) == "paused in canary at 1 % (step 1 of 3)"
    assert shown_state(release("rolled_back")) == "rolled back"


DAY_US = 86_400_000_000


@pytest.mark.parametrize("back_us", [2 * 60_000_000, 3_600_000_000, 40 * DAY_US])
def test_after_the_clock_was_set_back_times_count_from_now(back_us: int) -> None:
    started, now_us = 100 * DAY_US, 100 * DAY_US + 5 - back_us
    running = release("canary", step=1, started_us=started, since_us=started + 3)
    redated = redate(running, now_us)
    assert redated is not None
    after, noted = redated
    assert (after.started_us, after.since_us, after.state, after.step) == (now_us, now_us, "canary", 1)
    assert after.set_back_us == started + 3 - now_us
    assert (noted.command, noted.reason.startswith("the clock was set back by ")) == ("redate", True)
    assert redate(after, now_us + 1) is None


def test_a_redated_release_stays_held_paused_and_watched_as_it_was() -> None:
    held, _ = move(release("canary", started_us=5, since_us=5), "hold", 9 * DAY_US, reason="", held_for="silence")
    after, _ = redate(held, 7 * DAY_US) or (held, None)
    assert (after.state, after.held_for, after.held_us) == ("held", "silence", 7 * DAY_US)
    assert (after.since_us, after.resumes) == (5, "canary")
    paused, _ = move(release("canary"), "pause", 9 * DAY_US, reason="")
    after, _ = redate(paused, 7 * DAY_US) or (paused, None)
    assert (after.state, after.paused, after.held_us) == ("held", True, 7 * DAY_US)
    champion = release("champion", started_us=5, since_us=9 * DAY_US, watch_until_us=16 * DAY_US, over="v1")
    after, _ = redate(champion, 2 * DAY_US) or (champion, None)
    assert (after.since_us, after.watch_until_us) == (2 * DAY_US, 9 * DAY_US)


def test_a_small_difference_of_clocks_and_what_is_over_are_left_alone() -> None:
    assert redate(release("canary", since_us=60_000_000), 0) is None
    for state in (*OVER, "draft", "champion"):  # a champion that is not watched
        assert redate(release(state, since_us=DAY_US), 0) is None
