"""Which released versions an edited application would take out of service, message before anything serves."""

import shutil
from pathlib import Path

import pytest

import flyball as fb
from flyball.runtime import Runtime
from flyball.serving import Outage, outages
from flyball.testing import faulty


def edited(home: Runtime, candidates: dict[str, object]) -> Runtime:
    """The same home under an application file with other candidates."""
    app = fb.App(home.app.name, events=home.app.events, task=home.app.task, candidates=candidates)
    return Runtime(app, home.settings, home.clock)


def test_nothing_goes_out_of_service_by_the_same_file(home: Runtime) -> None:
    assert outages(home) == []
    faulty.release(home, faulty.Faulty(), home.clock.now_us())
    assert outages(home) == []


def test_every_released_version_that_cannot_be_opened_is_named_with_role_and_reason(home: Runtime) -> None:
    now_us = home.clock.now_us()
    first = faulty.release(home, faulty.Faulty(), now_us)
    champion = faulty.release(home, fb.Popular(), now_us)
    without = edited(home, {"popular": fb.Popular()})
    (outage,) = outages(without)
    assert (outage.version, outage.role, outage.serves) == (first.id, "previous", False)
    assert "Faulty" in outage.reason
    files = home.artifacts / champion.artifact
    next(iter(sorted(files.iterdir()))).write_bytes(b"")
    assert [(one.version, one.role, one.serves) for one in outages(home)] == [(champion.id, "champion", True)]


@pytest.mark.parametrize("declared_only", [False, True])
def test_an_edited_declaration_is_found_quickly_and_a_damaged_file_by_loading(
    home: Runtime, declared_only: bool
) -> None:
    version = faulty.release(home, fb.Popular(), home.clock.now_us(), declaration=home.app.task.about.declaration)
    assert outages(home, declared_only) == []
    film = fb.Entity("film")
    task = fb.Recommend(fb.Entity("user"), film, positive=fb.outcome(faulty.Watch, within="1d"), k=5)
    app = fb.App(home.app.name, events=home.app.events, task=task, candidates={"popular": fb.Popular()})
    (outage,) = outages(Runtime(app, home.settings, home.clock), declared_only)
    assert (outage.version, outage.role) == (version.id, "champion")
    assert "group= of entity 'user'" in outage.reason
    shutil.rmtree(home.artifacts / version.artifact)
    assert len(outages(home, declared_only)) == (0 if declared_only else 1)


def test_a_home_without_a_registry_has_none_and_gets_none(empty: Runtime) -> None:
    assert outages(empty) == []
    assert not Path(empty.home, "registry.db").exists()


def test_an_arm_answers_users() -> None:
    assert Outage("v3", "canary", "gone").serves
