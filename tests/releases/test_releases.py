"""Routing is sticky and widens only; changes go through gates, are reported, kept, and never lost to each other."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.releases.home import Home

from flyball.core import NotFound, Refused
from flyball.registry import add_versions
from flyball.releases import BUCKETS, Arm, ReleaseState, Route, bucket_of, current, level_of, route


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_before_the_first_release_no_version_answers(home: Home) -> None:
    assert current(home.registry) == ReleaseState()
    assert route(current(home.registry), "42") == Route("", "none", 1.0)


def test_promote_and_roll_back_step_by_step(home: Home) -> None:
    for version in ("v1", "v2", "v3"):
        assert home.promote(version).changed
    state = current(home.registry)
    assert (state.champion, state.previous, state.serial, state.changed_us) == ("v3", "v2", 3, 10)
    assert state.salt == "v3"  # each release draws its users anew
    assert route(state, "42") == Route("v3", "champion", 1.0)
    assert home.states() == ["retired", "retired", "champion", "rejected"]
    assert home.rollback().state.champion == "v2"
    assert home.rollback().state == current(home.registry)
    state = current(home.registry)
    assert (state.champion, state.previous, state.serial, state.changed_us) == ("v1", None, 5, 20)
    assert state.salt == "v1"
    assert home.states() == ["champion", "retired", "retired", "rejected"]
    with pytest.raises(Refused, match="none before v1"):
        home.rollback()
    assert home.promote("v3").state.previous == "v1"


def test_every_change_is_in_the_audit_trail(home: Home) -> None:
    home.promote("v1")
    home.promote("v2")
    home.rollback()
    output = [
        (e.by, e.action, e.subject, e.reason, e.before["champion"], e.after["champion"]) for e in home.registry.audit()
    ]
    assert output == [
        ("ann", "promote", "v1", "because", None, "v1"),
        ("ann", "promote", "v2", "because", "v1", "v2"),
        ("ben", "rollback", "v1", "it was worse", "v2", "v1"),
    ]


def test_promoting_the_champion_changes_nothing_and_says_so(home: Home) -> None:
    before = home.promote("v1").state
    again = home.promote("v1")
    assert (again.changed, again.state) == (False, before)
    assert "already" in again.message
    assert len(home.registry.audit()) == 1


def test_a_rejected_version_never_serves(home: Home) -> None:
    with pytest.raises(Refused, match=r"v4 must have passed its gates to serve, got rejected: full lists 0\.5"):
        home.promote("v4")
    assert current(home.registry) == ReleaseState()


def test_an_unknown_version(home: Home) -> None:
    with pytest.raises(NotFound):
        home.promote("v9")


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_an_artifact_that_is_not_as_registered_never_serves(home: Home, damage: str) -> None:
    home.promote("v1")
    home.promote("v2")
    path = home.artifacts / "m1" / "items.npy"
    path.unlink()
    if damage == "altered":
        path.write_bytes(b"m2")
    before = current(home.registry)
    with pytest.raises(Refused, match="items.npy"):
        home.promote("v1")
    with pytest.raises(Refused, match="items.npy"):
        home.rollback()
    assert current(home.registry) == before


@pytest.mark.parametrize("lacking", [{"artifact": ""}, {"artifact_files": {}}])
def test_a_version_without_an_artifact_or_its_files_never_serves(home: Home, lacking: dict[str, Any]) -> None:
    version = msgspec.structs.replace(home.registry.version("v1"), id="", **lacking)
    (added,) = add_versions(home.registry, [version])
    with pytest.raises(Refused, match=f"{added.id} must have an artifact to serve, got none"):
        home.promote(added.id)


def test_rollback_before_any_release(home: Home) -> None:
    with pytest.raises(Refused, match="no release yet"):
        home.rollback()


def test_a_decision_on_an_older_state_is_refused(home: Home) -> None:
    seen = home.promote("v1").state.serial
    home.promote("v2")
    with pytest.raises(Refused, match=f"serial {seen}, got {seen + 1}"):
        home.promote("v3", serial=seen)
    assert current(home.registry).champion == "v2"


def test_of_concurrent_promotions_one_wins_and_the_others_are_reported(home: Home) -> None:
    serial = home.promote("v1").state.serial

    def attempt(version: str) -> bool:
        try:
            return home.promote(version, serial=serial).changed
        except Refused:
            return False

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(attempt, ["v2", "v3"] * 4))
    assert sum(won) == 1
    assert current(home.registry).serial == serial + 1
    assert len(home.registry.audit()) == 2


def canary(share: float) -> ReleaseState:
    return ReleaseState(champion="v1", arms=(Arm("v2", "canary", share),), salt="v2")


USERS = [str(number) for number in range(4_000)]


def test_a_ramp_only_widens_and_is_sticky() -> None:
    seen: set[str] = set()
    for share in (0.01, 0.05, 0.25, 0.5, 1.0):
        routes = {user: route(canary(share), user) for user in USERS}
        new = {user for user, each in routes.items() if each.version == "v2"}
        assert seen <= new
        assert abs(len(new) / len(USERS) - share) < 0.02
        assert all(each.propensity == pytest.approx(share) for user, each in routes.items() if user in new)
        assert all(each == Route("v1", "champion", 1 - share) for user, each in routes.items() if user not in new)
        seen = new
    assert seen == set(USERS)


def test_arms_share_the_users_and_their_propensities_add_up_to_one() -> None:
    state = ReleaseState(champion="v1", arms=(Arm("v2", "a", 0.2), Arm("v3", "b", 0.3)), salt="s")
    routes = [route(state, user) for user in USERS]
    assert {each.arm: round(each.propensity, 9) for each in routes} == {"champion": 0.5, "a": 0.2, "b": 0.3}


def test_buckets_are_even_and_salts_unrelated() -> None:
    first, second = ([bucket_of(user, salt) for user in USERS] for salt in ("one", "two"))
    assert abs(sum(first) / len(USERS) / BUCKETS - 0.5) < 0.02
    halves = list(
        itertools.starmap(lambda a, b: (a < BUCKETS // 2) == (b < BUCKETS // 2), zip(first, second, strict=True))
    )
    assert abs(sum(halves) / len(USERS) - 0.5) < 0.04


@given(st.text(), st.text(max_size=100))
def test_any_user_has_a_bucket(user: str, salt: str) -> None:
    assert 0 <= bucket_of(user, salt) < BUCKETS


def test_an_arm_takes_the_buckets_from_its_first_to_before_the_next() -> None:
    """Arms of 1 % and 2 % take the buckets 0 to 99 and 100 to 299."""
    arms = (Arm("v2", "canary", 0.01), Arm("v3", "second", 0.02))
    state = ReleaseState(champion="v1", arms=arms, salt="s")
    key_in: dict[int, str] = {}
    for number in range(200_000):
        key_in.setdefault(bucket_of(str(number), "s"), str(number))
    expected = {0: "canary", 99: "canary", 100: "second", 299: "second", 300: "champion", BUCKETS - 1: "champion"}
    assert {bucket: route(state, key_in[bucket]).arm for bucket in expected} == expected
    propensities = {route(state, key_in[bucket]).propensity for bucket in (0, 100, 300)}
    assert propensities == {0.01, 0.02, 0.97}


def test_levels_are_named_by_what_serves_and_what_served_before() -> None:
    state = ReleaseState(champion="v3", previous="v2")
    assert [level_of(state, version) for version in ("v3", "v2", "v1")] == ["champion", "previous", "chosen"]
