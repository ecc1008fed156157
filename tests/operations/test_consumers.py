"""The consumers of a home whose application has changed: the worker rebuilds what is declared otherwise."""

import sqlite3
from pathlib import Path

import msgspec
import pytest
from tests.cinema import CINEMA

from flyball.app import load_app
from flyball.core import ManualClock, Refused
from flyball.operations import Worker, consumers_of, status
from flyball.registry import Version, add_versions, begin_run, end_run
from flyball.releases import ReleaseState
from flyball.runtime import Runtime, load_settings
from flyball.state.view import names_in
from flyball.tasks import read_histories

START_US, DAY_US = 1_700_000_000_000_000, 86_400_000_000
APP = (
    CINEMA
    + """
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(
        fb.Entity("user", seen=fb.count(Watch, "7d")), fb.Entity("film", seen=fb.count(Watch, "7d")),
        positive=fb.outcome(Watch, within="1d"),
    ),
    candidates={"popular": fb.Popular()},
)
"""
)
OTHERWISE = APP.replace('"film", seen=fb.count(Watch, "7d")', '"film", seen=fb.count(Watch, "30d")')


def opened(folder: Path, name: str, app: str, home: str = "home") -> Runtime:
    (folder / f"{name}.py").write_text(app)
    return Runtime(
        load_app(str(folder / f"{name}.py")), load_settings(folder / home), ManualClock(START_US + 20 * DAY_US)
    )


def fill(runtime: Runtime) -> Runtime:
    records = []
    for place in range(200):
        at = START_US + place * DAY_US // 10
        fields = {"user": place % 7, "film": f"f{place % 5}", "minute": 1}
        records.append(runtime.schema.check("watch", fields, at, at))
    runtime.log.append(records)
    return runtime


def follow(runtime: Runtime) -> Runtime:
    Worker(consumers_of(runtime, flush_us=0)).drain(runtime.clock.now_us())
    return runtime


def values(runtime: Runtime) -> dict[bytes, bytes]:
    """What is kept of features, without the numbers on how it came about."""
    return dict(runtime.feature_state.scan(b"f/"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    follow(fill(opened(tmp_path, "first", APP))).feature_state.close()
    return tmp_path


PLAIN = """
from typing import Annotated

import flyball as fb


class Order(fb.Event):
    order: Annotated[int, fb.Ref("order")]
    km: float = 1.0


class Delivered(fb.Event):
    order: Annotated[int, fb.Ref("order")]


Delivery = fb.joined("Delivery", Order, Delivered, by="order", within="1d")
app = fb.App(
    "plain",
    events=[Order, Delivered, Delivery],
    task=fb.Predict(on=Order, target=fb.elapsed(Delivery, by="order", within="1d", unit="m")),
    candidates={"linear": fb.Linear()},
)
"""


def test_an_application_that_keeps_no_state_is_not_behind(tmp_path: Path) -> None:
    """Its versions read nothing but the request: no entity, so no view of the log."""
    runtime = opened(tmp_path, "plain", PLAIN)
    assert runtime.views == []
    ats = [START_US + number * DAY_US // 10 for number in range(30)]
    runtime.log.append([runtime.schema.check("order", {"order": at, "km": 2.0}, at, at) for at in ats])
    follow(runtime)
    assert runtime.state.offsets() == runtime.log.ends(), "what answers are stamped with, and how stale they are"
    again = opened(tmp_path, "plain", PLAIN)
    behind = {consumer.name: consumer.behind for consumer in status(again).consumers}
    assert behind["state"] == 0
    assert set(behind.values()) == {0}


def test_features_declared_otherwise_are_what_a_new_home_holds(home: Path) -> None:
    changed = follow(opened(home, "changed", OTHERWISE))
    assert values(changed)
    assert values(changed) == values(follow(fill(opened(home, "fresh", OTHERWISE, "other"))))


def test_a_look_at_the_status_writes_nothing_to_the_features(home: Path) -> None:
    changed = opened(home, "changed", OTHERWISE)
    before = dict(changed.feature_state.scan(b""))
    consumers = {consumer.name: consumer.behind for consumer in status(changed).consumers}
    assert consumers == {
        "state": 0,
        "features": 0,
        "history": 0,
        "predictions": 0,
        "outcomes": 0,
        "exposures": 0,
        "prediction_history": 0,
    }
    assert dict(changed.feature_state.scan(b"")) == before


LIKED_OTHERWISE = APP.replace(
    'positive=fb.outcome(Watch, within="1d")',
    'positive=fb.outcome(Watch, at_least=6, within="30d"), weak_positive=fb.outcome(Watch),'
    'negative=fb.outcome(Watch, at_least=7, within="30d")',
)


def rebuilding(runtime: Runtime) -> bool:
    (rebuild,) = [one for one in consumers_of(runtime, rebuilding=False) if one.name == "state_rebuild"]
    return rebuild.active is not None and rebuild.active()


def histories(runtime: Runtime) -> dict[str, dict[str, float]]:
    users = [str(user) for user in range(7)]
    read, _ = read_histories(runtime.state, runtime.app.task.signals(runtime.schema), users)
    return {one.user: dict(zip(one.items, one.weights.tolist(), strict=True)) for one in read}


def test_outcomes_declared_otherwise_are_what_a_new_home_holds(home: Path) -> None:
    """Neither an IndexError at the next event about a known pair, nor state folded by the meaning of before."""
    changed = opened(home, "liked", LIKED_OTHERWISE)
    assert rebuilding(changed)
    follow(changed)
    at = START_US + 20 * DAY_US
    changed.log.append([changed.schema.check("watch", {"user": 0, "film": "f0", "minute": 1}, at, at)])
    follow(changed)
    fresh = fill(opened(home, "fresh", LIKED_OTHERWISE, "other"))
    fresh.log.append([fresh.schema.check("watch", {"user": 0, "film": "f0", "minute": 1}, at, at)])
    follow(fresh)
    assert histories(changed) == histories(fresh)
    assert {weight for items in histories(changed).values() for weight in items.values()} == {0.0, 0.25, 1.0}
    assert dict(changed.state.scan(b"")) == dict(fresh.state.scan(b""))
    assert not rebuilding(changed)


class Releases:
    """What is released, changed by the test; versions lie in the registry."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.state = ReleaseState()
        patch.setattr("flyball.operations.consumers.current", lambda registry: self.state)

    def release(self, runtime: Runtime, declared: Runtime) -> None:
        """A version made by the task of `declared` becomes the champion."""
        run = begin_run(runtime.registry, "cinema", START_US, START_US)
        version = Version(
            app="cinema",
            candidate="popular",
            kind="popular",
            params={},
            seed=0,
            snapshot="none",
            as_of_us=START_US,
            created_us=START_US,
            run=run.id,
            state="candidate",
            declaration=declared.app.task.about.declaration,
        )
        registered = add_versions(runtime.registry, [version])[0]
        end_run(runtime.registry, run, "done", START_US, report={})
        self.state = ReleaseState(registered.id, self.state.champion, serial=self.state.serial + 1)


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> Releases:
    return Releases(monkeypatch)


def test_a_version_in_service_keeps_its_view_until_it_no_longer_serves(home: Path, releases: Releases) -> None:
    first = opened(home, "first", APP)
    changed = opened(home, "liked", LIKED_OTHERWISE)
    releases.release(changed, declared=first)
    follow(changed)
    old, new = first.app.task.signals(first.schema).spec.name, changed.app.task.signals(changed.schema).spec.name
    assert {old, new} <= names(changed)
    history = read_histories(changed.state, first.app.task.signals(first.schema), ["0"])[0][0]
    assert set(history.weights.tolist()) == {1.0}, "folded by the declaration of the version that serves"
    releases.release(changed, declared=changed)
    follow(changed)
    assert old in names(changed), "a rollback would need it"
    releases.release(changed, declared=changed)
    follow(changed)
    assert old not in names(changed)
    assert new in names(changed)
    assert not [key for key, _ in changed.state.scan(b"v/" + old.encode())]


LIKED = APP.replace(
    'positive=fb.outcome(Watch, within="1d")', "positive=fb.outcome(Watch, where=lambda w: w.minute >= 1)"
)
ALL = LIKED.replace(", where=lambda w: w.minute >= 1", "")
MINUTE = "    minute: Annotated[int, fb.integer(0, 500)]\n"
RENAMED = LIKED.replace(MINUTE, '    length: Annotated[int, fb.integer(0, 500), fb.renamed("minute")]\n').replace(
    "w.minute", "w.length"
)
RECLASSED = (
    LIKED.replace("class Watch(fb.Event):", "class View(fb.Event):\n    former_names = ('Watch',)")
    .replace("Watch,", "View,")
    .replace("[Watch]", "[View]")
)


@pytest.mark.parametrize("now", [RENAMED, RECLASSED], ids=["field", "class"])
@pytest.mark.parametrize("stamped", [True, False])
def test_a_version_of_before_a_declared_rename_reads_what_it_read(
    home: Path, releases: Releases, now: str, stamped: bool
) -> None:
    changed = opened(home, "renamed", now)
    declaration = dict(opened(home, "liked", LIKED).app.task.about.declaration)
    if not stamped:  # as versions were registered that know nothing of their types
        del declaration["types"]
    assert changed.task_of(declaration).positive == changed.app.task.positive
    releases.release(changed, declared=opened(home, "liked", LIKED))
    follow(changed)
    assert changed.app.task.signals(changed.schema).spec.name in names(changed)


BROKEN = {
    "a field that is gone": ({}, "field minute of Watch must be declared"),
    "a type that is gone": (
        {"weak_positive": [{"event": "Look", "where": None, "at_least": None, "within_us": 1}]},
        "event type Look must be declared",
    ),
    "a rule about an attribute that is gone": (
        {"max_per": ["genre", 2]},
        "max_per of the arrangement must name an attribute of entity 'film' .*got 'genre', which is no longer declared",
    ),
    "a part that is missing": ({"positive": [{}]}, "must be readable as the application is declared now, got: 'event'"),
    "an unknown operation": (
        {"rating": {"event": "Watch", "of": ["?", ["field", "user"], ["field", "user"]]}},
        "must be readable as the application is declared now",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("level", ["champion", "previous"])
def test_a_version_that_cannot_be_opened_stops_nothing_else(
    home: Path, releases: Releases, monkeypatch: pytest.MonkeyPatch, broken: str, level: str
) -> None:
    changes, reason = BROKEN[broken]
    then = opened(home, "then", ALL if changes else LIKED)
    changed = opened(home, "gone", ALL.replace(MINUTE, ""))
    declaration = {**then.app.task.about.declaration, **changes}
    with pytest.raises(Refused, match=reason):
        changed.task_of(declaration)
    releases.release(changed, declared=then)
    if level == "previous":
        releases.release(changed, declared=changed)
    monkeypatch.setattr("flyball.runtime.current", lambda registry: releases.state)
    version = changed.registry.version
    monkeypatch.setattr(
        changed.registry,
        "version",
        lambda name: msgspec.structs.replace(version(name), declaration=declaration) if name == "v1" else version(name),
    )
    at = START_US + 20 * DAY_US
    changed.log.append([changed.schema.check("watch", {"user": 0, "film": "f0"}, at, at)])
    report = Worker(consumers_of(changed, flush_us=0)).step(changed.clock.now_us())
    assert {name: lag.error for name, lag in report.lags.items() if lag.error} == {}
    assert [consumer.name for consumer in status(changed).consumers]
    assert changed.app.task.signals(changed.schema).spec.name in {view.spec.name for view in changed.views}


def test_a_release_while_the_worker_runs_brings_its_view(home: Path, releases: Releases) -> None:
    first = opened(home, "first", APP)
    changed = opened(home, "liked", LIKED_OTHERWISE)
    worker, now_us = Worker(consumers_of(changed, flush_us=0)), changed.clock.now_us()
    worker.drain(now_us)
    for _ in range(5):
        worker.step(now_us)
    assert first.app.task.signals(first.schema).spec.name not in names(changed)
    releases.release(changed, declared=first)
    for second in range(1, 20):
        worker.step(now_us + second * 1_000_000)
    assert first.app.task.signals(first.schema).spec.name in names(changed)
    history = read_histories(changed.state, first.app.task.signals(first.schema), ["0"])[0][0]
    assert set(history.weights.tolist()) == {1.0}


def names(runtime: Runtime) -> set[str]:
    """The views in the store."""
    return set(names_in(runtime.state))


def test_a_file_that_cannot_be_read_stops_its_own_consumer_only(home: Path) -> None:
    runtime = opened(home, "first", APP)
    runtime.outcomes_path.unlink()
    with sqlite3.connect(runtime.outcomes_path) as connection:
        connection.execute("PRAGMA user_version=99")
    at = START_US + 20 * DAY_US
    runtime.log.append([runtime.schema.check("watch", {"user": 0, "film": "f0", "minute": 1}, at, at)])
    report = Worker(consumers_of(runtime, flush_us=0)).step(runtime.clock.now_us())
    assert report.applied["state"] == report.applied["history"] == report.applied["features"] == 1
    failing = {name: lag.error for name, lag in report.lags.items() if lag.error}
    assert failing.keys() == {"outcomes", "predictions"}
    assert "must be of format 5, got format 99" in failing["outcomes"]


def test_a_feature_that_cannot_be_rebuilt_stops_its_own_consumer_only(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ValueError("no such field")

    monkeypatch.setattr("flyball.operations.consumers.rebuild", broken)
    runtime = opened(home, "changed", OTHERWISE)
    at = START_US + 20 * DAY_US
    runtime.log.append([runtime.schema.check("watch", {"user": 0, "film": "f0", "minute": 1}, at, at)])
    report = Worker(consumers_of(runtime, flush_us=0)).step(runtime.clock.now_us())
    assert {name: lag.error for name, lag in report.lags.items() if lag.error} == {
        "features": "ValueError: no such field"
    }
    assert report.applied["state"] == report.applied["outcomes"] == 1


def test_without_a_registry_the_views_of_the_application_are_kept_and_the_log_says_so(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = opened(home, "liked", LIKED_OTHERWISE)
    (runtime.home / "registry.db").write_bytes(b"not a database" * 1_000)
    follow(runtime)
    (line,) = caplog.messages
    assert line.startswith("views stay those of release -1: registry ")
    assert runtime.app.task.signals(runtime.schema).spec.name in names(runtime)
    assert histories(runtime) == histories(follow(fill(opened(home, "fresh", LIKED_OTHERWISE, "other"))))


def test_a_mistake_in_the_code_is_not_taken_for_a_registry_that_is_away(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(registry: object) -> ReleaseState:
        raise AttributeError("serial")

    monkeypatch.setattr("flyball.operations.consumers.current", mistaken)
    with pytest.raises(AttributeError):
        follow(opened(home, "liked", LIKED_OTHERWISE))
