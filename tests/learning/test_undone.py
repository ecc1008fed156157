"""A version that was undone keeps its causes back for a while; whether it was a person or the governor counts."""

from pathlib import Path

import msgspec
import pytest
from tests.releases.home import Home

import flyball as fb
from flyball.learning import LONGEST_PATIENCE, UndoneVersion, undone_over
from flyball.registry import add_versions

HOUR_US = 3_600_000_000
BY_HAND = UndoneVersion(
    version="v4", words="rolled back", at_us=10 * HOUR_US, by="root", reason="night drill", known_us=9 * HOUR_US
)


def test_a_person_keeps_a_cause_back_for_the_longest_pause_and_until_there_are_newer_events() -> None:
    until_us = BY_HAND.at_us + LONGEST_PATIENCE * HOUR_US
    newer = msgspec.structs.replace(BY_HAND, newer=True)
    reason = newer.keeps_back(0, HOUR_US, BY_HAND.at_us + 1)
    assert reason == (
        "v4 was rolled back by root at 1970-01-01T10:00:00Z (night drill): the same cause starts no run before "
        "1970-01-02T18:00:00Z and without newer events, unless it ends and comes again; flyball learn starts one now"
    )
    assert newer.keeps_back(BY_HAND.known_us, HOUR_US, until_us - 1) == reason
    assert newer.keeps_back(0, HOUR_US, until_us) == ""
    assert BY_HAND.keeps_back(0, HOUR_US, until_us) == reason, "the same snapshot would be learned from again"


def test_a_cause_that_came_again_since_may_start_a_run() -> None:
    assert BY_HAND.keeps_back(BY_HAND.at_us, HOUR_US, 11 * HOUR_US)
    assert BY_HAND.keeps_back(BY_HAND.at_us + 1, HOUR_US, 11 * HOUR_US) == ""


@pytest.mark.parametrize(("times", "pauses"), [(1, 2), (2, 4), (4, 16), (5, 32), (9, 32), (5_000, 32)])
def test_the_pause_after_the_governor_doubles(times: int, pauses: int) -> None:
    undone = msgspec.structs.replace(BY_HAND, by="governor", times=times)
    assert undone.pause_us(HOUR_US) == pauses * HOUR_US


def relearned(home: Home, *as_of_us: int) -> list[str]:
    """The ids of new versions of these snapshots."""
    versions = [
        msgspec.structs.replace(home.registry.version("v1"), id="", as_of_us=known_us, state="candidate")
        for known_us in as_of_us
    ]
    return [version.id for version in add_versions(home.registry, versions)]


def test_what_was_rolled_back_by_hand_is_undone_for_the_champion_that_serves_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.promote("v1")
    champion = home.registry.version("v1")
    first, second = relearned(home, 7, 8)
    for version in (first, second):
        home.promote(version)
        assert undone_over(home.registry, home.registry.version(version)) is None
        home.rollback()
    assert undone_over(home.registry, champion) == UndoneVersion(
        version=second, words="rolled back", at_us=20, by="ben", reason="it was worse", known_us=8, times=2
    )


def test_an_older_version_that_was_tried_by_hand_says_nothing_about_later_causes(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (newer,) = relearned(home, 7)
    home.promote(newer)
    home.promote("v2")
    home.rollback()
    assert undone_over(home.registry, home.registry.version(newer)) is None


def test_an_aborted_canary_is_undone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.promote("v1")
    (newer,) = relearned(home, 7)
    home.start(newer, fb.canary(10, 100))
    assert undone_over(home.registry, home.registry.version("v1")) is None
    home.do("rel2", "abort")
    undone = undone_over(home.registry, home.registry.version("v1"))
    assert undone is not None
    assert (undone.version, undone.words, undone.by, undone.reason) == (newer, "aborted", "ann", "by hand")
