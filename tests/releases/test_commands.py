"""Commands change a release, the router and the registry together; any order of them keeps all three in agreement."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.releases.home import Home, check_consistent

from flyball.core import NotFound, Refused
from flyball.policy import ab, canary, interleave, shadow
from flyball.registry import add_arrangement, store
from flyball.releases import (
    Router,
    all_releases,
    current,
    find_release,
    start_release,
    versions_in_service,
    versions_in_shadow,
    versions_to_serve,
)
from flyball.releases.release import Command


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


CANARY = canary(10, 50, 100)


def test_a_ramp_from_start_to_champion(home: Home) -> None:
    home.promote("v1")
    started = home.start("v2", CANARY)
    assert started.message == "rel2 started: v2 against v1, canary at 10 % (step 1 of 3)"
    assert home.do("rel2", "advance", step=1).message == (
        "rel2: canary at 10 % (step 1 of 3) before, now canary at 50 % (step 2 of 3)"
    )
    promoted = home.do("rel2", "promote")
    assert (promoted.state.champion, promoted.state.previous) == ("v2", "v1")
    assert [release.state for release in all_releases(home.registry)] == ["retired", "champion"]
    assert [step.command for step in home.registry.release_steps(2)] == ["draft", "start", "advance", "promote"]
    assert home.do("rel2", "rollback").state.champion == "v1"
    check_consistent(home.registry)


def test_without_a_champion_or_with_an_immediate_plan_it_goes_to_all_at_once(home: Home) -> None:
    assert home.start("v1", CANARY).state.champion == "v1"
    assert current(home.registry).under_way == ()


def test_an_abort_leaves_the_champion_and_the_next_release_draws_again(home: Home) -> None:
    home.promote("v1")
    home.start("v2", CANARY)
    first = {user for user in map(str, range(2_000)) if Router(current(home.registry)).route(user).version == "v2"}
    home.do("rel2", "abort")
    assert Router(current(home.registry)).route("1").version == "v1"
    with pytest.raises(Refused, match="rel2 is aborted, so it is over and cannot be changed; got resume"):
        home.do("rel2", "resume")
    home.start("v2", CANARY)
    second = {user for user in map(str, range(2_000)) if Router(current(home.registry)).route(user).version == "v2"}
    assert len(first & second) < 0.3 * len(first)


def test_what_cannot_be_started_says_why(home: Home) -> None:
    home.promote("v1")
    with pytest.raises(Refused, match="v1 must be another version than the champion"):
        home.start("v1", CANARY)
    with pytest.raises(Refused, match="v4 must have passed its gates"):
        home.start("v4", CANARY)
    home.start("v2", CANARY)
    with pytest.raises(Refused, match="v2 must be in one release at a time, got rel2"):
        home.start("v2", CANARY)
    with pytest.raises(
        Refused, match="layer 'version' must have 100 % of its units free for rel3, but rel2 takes 100 %"
    ):
        home.start("v3", CANARY)
    with pytest.raises(Refused, match="v3 must wait for rel2, which compares v2 with v1"):
        home.promote("v3")
    with pytest.raises(NotFound, match="rel9"):
        home.do("rel9", "abort")
    check_consistent(home.registry)


def test_from_a_shadow_to_a_canary_by_hand(home: Home) -> None:
    home.promote("v1")
    started = home.start("v2", shadow(10, steps=(5, 100)))
    assert started.message == "rel2 started: v2 against v1, shadow"
    assert home.do("rel2", "pause").message == "rel2: shadow before, now paused in shadow"
    with pytest.raises(Refused, match="paused in shadow, where one can abort, finish, pause, promote, resume"):
        home.do("rel2", "advance")
    home.do("rel2", "resume")
    home.start("v3", canary(50, 100, traffic=60))  # a shadow takes no units
    with pytest.raises(Refused, match="'version' must have 100 % of its units free for rel2, but rel3 takes 60 %"):
        home.do("rel2", "advance")
    home.do("rel3", "abort")
    assert home.do("rel2", "advance").message == "rel2: shadow before, now canary at 5 % (step 1 of 2)"
    with pytest.raises(Refused, match="rel2 must be promoted to get 100 % of the units"):
        home.do("rel2", "advance")
    users = [Router(current(home.registry)).route(str(user)).version for user in range(2_000)]
    assert 0.03 < users.count("v2") / 2_000 < 0.07
    check_consistent(home.registry)


def test_a_canary_that_began_as_a_shadow_keeps_its_units(home: Home) -> None:
    home.promote("v1")
    home.start("v2", canary(10, 50, 100, shadow="1d", traffic=40))
    home.start("v3", canary(10, 50, 100, traffic=60))
    assert {Router(current(home.registry)).route(str(user)).version for user in range(500)} == {"v1", "v3"}
    home.do("rel2", "advance")
    assert home.do("rel2", "advance").message.endswith("now canary at 50 % (step 2 of 3)")
    assert {Router(current(home.registry)).route(str(user)).version for user in range(500)} == {"v1", "v2", "v3"}
    check_consistent(home.registry)


def test_nobody_is_shown_what_a_shadow_answers(home: Home) -> None:
    home.promote("v1")
    home.start("v2", shadow())
    state = current(home.registry)
    assert Router(state).route("1", forced="candidate").version == "v1"
    assert Router(state).route("1", forced="rel2:candidate").version == "v1"
    assert (versions_in_service(state), versions_to_serve(state)) == (["v1", "v2"], ["v1"])
    assert versions_in_shadow(state) == ["v1", "v2"]
    home.do("rel2", "abort")
    assert versions_in_shadow(current(home.registry)) == []


def test_an_interleaved_release_starts_with_as_many_versions_as_it_has_rankers(home: Home) -> None:
    home.promote("v1")
    with pytest.raises(Refused, match="must be 2, one for each arm beside control: old, new; got v2"):
        home.start("v2", interleave("old", "new"))
    started = home.start("v2", interleave(credit="liked"))
    assert started.message == "rel2 started: v2 against v1, interleave"
    (release,) = started.state.under_way
    assert (release.state, release.success, release.constants["unit_us"]) == ("interleave", {"liked": 0.0}, 86_400e6)
    assert home.do("rel2", "finish").state.champion == "v1"
    check_consistent(home.registry)


def test_a_rollback_aborts_what_was_compared_with_the_champion(home: Home) -> None:
    home.promote("v1")
    home.promote("v2")
    home.start("v3", CANARY)
    assert home.rollback().state.champion == "v1"
    aborted = find_release(home.registry, current(home.registry), "rel3")
    assert aborted.state == "aborted"
    assert home.registry.release_steps(3)[-1].reason == "v2, with which it was compared, was rolled back"
    check_consistent(home.registry)


def test_one_of_several_arms_is_promoted(home: Home) -> None:
    home.promote("v1")
    plan = ab({"control": 1, "blue": 1, "green": 1})
    start_release(home.registry, plan, ["v2", "v3"], home.actor())
    with pytest.raises(Refused, match="version must be one of rel2: v2, v3; got v1"):
        home.do("rel2", "promote", version="v1")
    assert home.do("rel2", "promote", version="v2").state.champion == "v2"


def test_a_decision_on_an_older_state_is_refused(home: Home) -> None:
    home.promote("v1")
    serial = home.start("v2", CANARY).state.serial
    home.do("rel2", "pause")
    with pytest.raises(Refused, match=f"serial {serial}, got {serial + 1}"):
        home.do("rel2", "abort", serial=serial)


COMMANDS: tuple[Command, ...] = ("pause", "resume", "hold", "abort", "finish", "promote", "rollback", "advance")


class AnyOrder(RuleBasedStateMachine):
    """Any commands, refused or not, with crashes inside their transactions and a clock that jumps both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.home, self.now_us = Home(Path(self.folder.name)), 1_000
        self.ended: dict[str, Any] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    def attempt(self, change: Any, crash: int) -> None:
        before = current(self.home.registry)
        real, calls = store.write_entry, iter(range(9))

        def note(*arguments: Any) -> None:
            if next(calls) == crash:
                raise KeyboardInterrupt
            real(*arguments)

        step, steps = store._note_step, iter(range(1, 9))

        def note_step(*arguments: Any) -> None:
            step(*arguments)
            if next(steps) == crash:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "write_entry", note)
            patch.setattr(store, "_note_step", note_step)
            try:
                change()
            except Refused:
                assert current(self.home.registry) == before
            except KeyboardInterrupt:
                assert current(self.home.registry) == before

    @rule(jump=st.integers(-10_000, 10_000))
    def move_the_clock(self, jump: int) -> None:
        self.now_us = max(self.now_us + jump, 1)

    @rule(version=st.sampled_from(["v1", "v2", "v3", "v4"]), crash=st.integers(-4, 4))
    def promote(self, version: str, crash: int) -> None:
        self.attempt(lambda: self.home.promote(version), crash)

    @rule(version=st.sampled_from(["v1", "v2", "v3"]), traffic=st.sampled_from([30, 100]), crash=st.integers(-4, 4))
    def start(self, version: str, traffic: int, crash: int) -> None:
        self.attempt(lambda: self.home.start(version, canary(10, 50, 100, traffic=traffic), self.now_us), crash)

    @precondition(lambda self: current(self.home.registry).numbered)
    @rule(data=st.data(), command=st.sampled_from(COMMANDS), crash=st.integers(-4, 4))
    def change(self, data: st.DataObject, command: Command, crash: int) -> None:
        number = data.draw(st.integers(1, current(self.home.registry).numbered))
        step = data.draw(st.integers(0, 3)) if command == "advance" else None
        self.attempt(lambda: self.home.do(f"rel{number}", command, step=step), crash)

    @rule(crash=st.integers(-4, 4))
    def rollback(self, crash: int) -> None:
        self.attempt(self.home.rollback, crash)

    @invariant()
    def all_say_the_same(self) -> None:
        check_consistent(self.home.registry)

    @invariant()
    def what_is_over_stays_over(self) -> None:
        for release in all_releases(self.home.registry):
            if release.id in self.ended:
                assert release.state == self.ended[release.id]
            elif release.state in ("aborted", "ended", "rolled_back"):
                self.ended[release.id] = release.state

    @invariant()
    def every_request_has_a_version_that_may_serve(self) -> None:
        state = current(self.home.registry)
        router = Router(state)
        versions = {router.route(str(user)).version for user in range(30)}
        assert versions <= {state.champion or "", *(v for release in state.under_way for v in release.versions)}
        assert "v4" not in versions


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=12, stateful_step_count=14, deadline=None)


WORK = """
import sys
from pathlib import Path
from tests.releases.home import Home
from flyball.policy import canary
from flyball.registry import Registry
home = object.__new__(Home)
home.registry, home.artifacts = Registry(f"sqlite://{sys.argv[1]}/registry.db"), Path(sys.argv[1]) / "artifacts"
while True:
    name = f"rel{home.start('v2', canary(10, 30, 50, 100)).state.numbered}"
    for step in (1, 2):
        home.do(name, "advance", step=step); print(name, step, flush=True)
        home.do(name, "pause"); home.do(name, "resume"); print(name, "resumed", flush=True)
    home.do(name, "abort"); print(name, "aborted", flush=True)
"""


def test_a_process_killed_in_the_middle_of_a_ramp_leaves_it_where_it_was(home: Home, tmp_path: Path) -> None:
    home.promote("v1")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    for lines in (1, 2, 4, 5, 8):
        command = [sys.executable, "-c", WORK, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=root) as worker:
            assert worker.stdout is not None
            said = [worker.stdout.readline().split() for _ in range(lines)]
            worker.send_signal(signal.SIGKILL)
            said += [line.split() for line in worker.stdout.read().splitlines()]
        check_consistent(home.registry)
        name, doing = said[-1]
        release = find_release(home.registry, current(home.registry), name)
        if doing.isdigit():
            assert release.step >= int(doing)  # what was said to be done is done
        if doing == "aborted":
            assert release.state == "aborted"
        for other in current(home.registry).under_way:
            home.do(other.id, "abort")


def test_a_release_of_an_arrangement_of_the_champion(home: Home) -> None:
    home.promote("v1")
    wide = add_arrangement(home.registry, "movies", {"slots": 3}, "ann", "to see", 5)
    with pytest.raises(NotFound, match="a9"):
        home.start("@a9", ab())
    started = home.start(f"@a{wide.revision}", ab(layer="rules"))
    assert started.message == f"rel2 started: @a{wide.revision} against v1, ab"
    home.start("v2", CANARY)  # of another layer: versions and rules vary independently
    with pytest.raises(Refused, match="finish it, then run flyball arrangements release a1"):
        home.do("rel2", "promote")
    home.do("rel2", "finish")
    home.do("rel3", "abort")
    home.start(f"v3@a{wide.revision}", ab())
    promoted = home.do("rel4", "promote").state
    assert (promoted.champion, promoted.arrangement) == ("v3", wide.revision)
    check_consistent(home.registry)
