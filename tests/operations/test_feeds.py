"""The views' feeds over a home whose application has changed: the worker rebuilds its features, who looks does not."""

from pathlib import Path

import pytest
from tests.cinema import CINEMA

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.operations import Worker, feeds_of, status
from flyball.runtime import Runtime, load_settings
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
    Worker(feeds_of(runtime, flush_us=0)).drain(runtime.clock.now_us())
    return runtime


def values(runtime: Runtime) -> dict[bytes, bytes]:
    """What is kept of features, without the figures on how it came about."""
    return dict(runtime.feature_state.scan(b"f/"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    follow(fill(opened(tmp_path, "first", APP))).feature_state.close()
    return tmp_path


def test_features_declared_otherwise_are_what_a_new_home_holds(home: Path) -> None:
    changed = follow(opened(home, "changed", OTHERWISE))
    assert values(changed)
    assert values(changed) == values(follow(fill(opened(home, "fresh", OTHERWISE, "other"))))


def test_a_look_at_the_status_writes_nothing_to_the_features(home: Path) -> None:
    changed = opened(home, "changed", OTHERWISE)
    before = dict(changed.feature_state.scan(b""))
    feeds = {feed.name: feed.behind for feed in status(changed).feeds}
    assert feeds == {"state": 0, "features": 0, "history": 0, "predictions": 0, "outcomes": 0}
    assert dict(changed.feature_state.scan(b"")) == before


LIKED_OTHERWISE = APP.replace(
    'positive=fb.outcome(Watch, within="1d")',
    'positive=fb.outcome(Watch, at_least=6, within="30d"), hint=fb.outcome(Watch),'
    'negative=fb.outcome(Watch, at_least=7, within="30d")',
)


def histories(runtime: Runtime) -> dict[str, dict[str, float]]:
    users = [str(user) for user in range(7)]
    read, _ = read_histories(runtime.state, runtime.signals, users)
    return {one.user: dict(zip(one.items, one.weights.tolist(), strict=True)) for one in read}


def test_outcomes_declared_otherwise_are_what_a_new_home_holds(home: Path) -> None:
    """Neither an IndexError at the next event about a known pair, nor state folded by the meaning of before."""
    changed = opened(home, "liked", LIKED_OTHERWISE)
    assert "state_rebuild" in [feed.name for feed in feeds_of(changed, rebuilding=False)]
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
    assert "state_rebuild" not in [feed.name for feed in feeds_of(changed)]
