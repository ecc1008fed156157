"""Changes of the champion go through gates, are reported, kept, and never lost to each other."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.releases.home import Home

from flyball.core import NotFound, Refused
from flyball.registry import AuditEntry, add_versions, replace_release
from flyball.releases import Release, ReleaseState, Route, current, level_of, route


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
    assert route(state, "42") == Route("v3", "champion", 1.0)
    assert home.states() == ["retired", "retired", "champion", "rejected"]
    assert home.rollback().state.champion == "v2"
    assert home.rollback().state == current(home.registry)
    state = current(home.registry)
    assert (state.champion, state.previous, state.serial, state.changed_us) == ("v1", None, 5, 20)
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


def objects(home: Home) -> dict[str, Release]:
    return {one["id"]: msgspec.convert(one, Release) for one in home.registry.release_objects()}


def test_every_promotion_and_rollback_is_a_release_with_its_steps(home: Home) -> None:
    for version in ("v1", "v2"):
        home.promote(version)
    assert {name: (one.kind, one.state, one.candidate) for name, one in objects(home).items()} == {
        "rel1": ("immediate", "retired", "v1"),
        "rel2": ("immediate", "champion", "v2"),
    }
    assert current(home.registry).releases == (objects(home)["rel2"],)
    home.rollback()
    assert {name: one.state for name, one in objects(home).items()} == {"rel1": "champion", "rel2": "rolled_back"}
    first, second = (home.registry.release_steps(number) for number in (1, 2))
    assert [(one.command, one.before, one.after, one.by, one.at_us, one.serial) for one in first] == [
        ("draft", "draft", "draft", "ann", 10, 1),
        ("start", "draft", "champion", "ann", 10, 1),
        ("retire", "champion", "retired", "ann", 10, 2),
        ("restore", "retired", "champion", "ben", 20, 3),
    ]
    assert [(one.command, one.reason) for one in second] == [
        ("draft", "because"),
        ("start", "because"),
        ("rollback", "it was worse"),
    ]


def test_a_champion_is_watched_only_where_there_is_one_to_go_back_to(home: Home) -> None:
    home.promote("v1")
    home.promote("v2")
    first, second = objects(home).values()
    assert (first.watch_until_us, second.watch_until_us, second.over) == (10, 10 + 7 * 86_400_000_000, "v1")


def test_the_state_of_before_releases_were_objects_goes_on(home: Home) -> None:
    old = {"champion": "v2", "previous": "v1", "arms": [], "salt": "v2", "trail": ["v1"], "trail_arrangements": [0]}
    entry = AuditEntry(at_us=1, by="old", action="promote", subject="v2", reason="")
    replace_release(home.registry, 0, old, {}, entry)
    assert (current(home.registry).champion, current(home.registry).releases) == ("v2", ())
    assert home.promote("v3").state.trail_releases == ("", "")
    assert home.rollback().state.champion == "v2"
    assert home.rollback().state.champion == "v1"
    assert objects(home)["rel1"].state == "rolled_back"


def test_levels_are_named_by_what_serves_and_what_served_before() -> None:
    state = ReleaseState(champion="v3", previous="v2")
    assert [level_of(state, version) for version in ("v3", "v2", "v1")] == ["champion", "previous", "chosen"]
