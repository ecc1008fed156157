"""Arrangements are released and rolled back by themselves, and come back with the version they served with."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.releases.home import Home

from flyball.core import NotFound, Refused
from flyball.releases import (
    Change,
    arrangement_in_service,
    arrangement_value,
    current,
    declare_arrangement,
    declared_arrangement,
    promote,
    release_arrangement,
    rollback,
    rollback_arrangement,
)

DIVERSE: dict[str, Any] = {"max_per": ["genres", 2], "cold_start_slots": 1}
NONE: dict[str, Any] = {"max_per": None, "cold_start_slots": 1}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def declare(home: Home, value: dict[str, Any], now_us: int = 5) -> Change:
    return declare_arrangement(home.registry, "movies", value, "up", now_us)


def test_what_the_file_declares_becomes_a_revision_once(home: Home) -> None:
    assert not declare(home, DIVERSE).changed, "before the first release there is nothing to re-rank"
    assert [one.value for one in home.registry.arrangements()] == [DIVERSE], "what is answered until then is stamped"
    assert arrangement_in_service(home.registry, DIVERSE) == (1, DIVERSE)
    assert arrangement_in_service(home.registry, NONE) == (0, NONE), "not written down yet"
    home.promote("v1")
    assert current(home.registry).arrangement == 0
    first = declare(home, DIVERSE)
    assert (first.changed, first.message) == (True, "arrangement a1 serves now, before it that of the file")
    assert not declare(home, DIVERSE).changed
    assert [one.value for one in home.registry.arrangements()] == [DIVERSE]
    assert declare(home, NONE).state.arrangement == 2
    assert arrangement_value(home.registry, 1, NONE) == DIVERSE
    assert arrangement_value(home.registry, 0, NONE) == NONE


def test_a_revision_rolled_back_stays_until_the_file_says_something_new(home: Home) -> None:
    home.promote("v1")
    declare(home, DIVERSE)
    declare(home, NONE)
    back = rollback_arrangement(home.registry, "fewer clicks", "ann", 9)
    assert (back.state.arrangement, back.state.champion) == (1, "v1")
    assert not declare(home, NONE).changed, "the file says what it said before"
    assert declared_arrangement(home.registry, "movies", NONE, "up", 9) == 1
    assert declare(home, {**DIVERSE, "cold_start_slots": 0}).state.arrangement == 3
    entry = home.registry.audit()[-2]
    assert (entry.action, entry.subject, entry.by, entry.reason) == ("arrange", "a1", "ann", "fewer clicks")
    assert (entry.before["arrangement"], entry.after["arrangement"]) == (2, 1)


def test_a_version_comes_back_with_its_rule(home: Home) -> None:
    home.promote("v1")
    declare(home, DIVERSE)
    home.promote("v2")
    declare(home, NONE)
    state = rollback(home.registry, "worse", "ben", 20, artifacts=home.artifacts).state
    assert (state.champion, state.arrangement) == ("v1", 1)


def test_what_cannot_be_released_or_left_is_reported(home: Home) -> None:
    with pytest.raises(Refused, match="got no release yet: run flyball learn"):
        release_arrangement(home.registry, "a1", "try", "ann", 1)
    home.promote("v1")
    with pytest.raises(Refused, match="none before that of the file"):
        rollback_arrangement(home.registry, "back", "ann", 1)
    declare(home, DIVERSE)
    with pytest.raises(NotFound, match="no arrangement 'a9'; known: a1"):
        release_arrangement(home.registry, "a9", "try", "ann", 1)
    assert not release_arrangement(home.registry, "a1", "again", "ann", 1).changed


@given(steps=st.lists(st.one_of(st.integers(1, 3), st.just("back"), st.integers(11, 13)), max_size=12))
def test_rolling_back_undoes_any_releases_step_by_step(steps: list[Any], tmp_path_factory: Any) -> None:
    """A model in memory: the stack of revisions, and of (version, revision) left."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.promote("v1")
    for value in (DIVERSE, NONE, {"cold_start_slots": 2}):
        declare(home, value)
    version, revision, revisions, left = "v1", 3, [0, 1, 2], list[tuple[str, int]]()
    for step in steps:
        if step == "back":
            if revisions:
                revision = revisions.pop()
                rollback_arrangement(home.registry, "back", "ann", 1)
        elif step > 10:
            target = f"v{step - 10}"
            if target != version:
                left.append((version, revision))
                version = target
                home.promote(target)
        elif step != revision:
            revisions.append(revision)
            revision = step
            release_arrangement(home.registry, f"a{step}", "try", "ann", 1)
        state = current(home.registry)
        assert (state.champion, state.arrangement, list(state.arrangement_trail)) == (version, revision, revisions)
    for version, revision in reversed(left):
        state = rollback(home.registry, "back", "ben", 2, artifacts=home.artifacts).state
        assert (state.champion, state.arrangement) == (version, revision)


def test_what_cannot_be_opened_is_refused_before_anything_changes(home: Home) -> None:
    """By the version and by the rule, forward and back."""
    home.promote("v1")
    for value in (DIVERSE, NONE):
        declare(home, value)
    home.promote("v2")
    asked: list[Any] = []

    def gone(declaration: Any) -> None:
        asked.append(declaration)
        raise Refused("event type Rate must be declared")

    registry, before = home.registry, current(home.registry)
    changes = {
        "back to v1": lambda opens: rollback(registry, "worse", "ben", 20, artifacts=home.artifacts, opens=opens),
        "on to v3": lambda opens: promote(registry, "v3", "better", "ben", 20, artifacts=home.artifacts, opens=opens),
        "back to a1": lambda opens: rollback_arrangement(registry, "worse", "ben", 20, opens),
        "on to a1": lambda opens: release_arrangement(registry, "a1", "better", "ben", 20, opens),
    }
    audit = registry.audit()
    for change in changes.values():
        with pytest.raises(Refused, match=r"v\d with arrangement a\d must open in today's application .* type Rate"):
            change(gone)
        assert (current(registry), registry.audit()) == (before, audit)
    assert len(asked) == len(changes)
    assert changes["back to a1"](asked.append).changed
    assert changes["back to v1"](asked.append).state.champion == "v1"
