"""A small home with something in every store."""

from pathlib import Path

import pytest
from tests.cinema import CINEMA

from flyball.app import App, load_app
from flyball.core import ManualClock
from flyball.events import LineSource, find_format, ingest_lines
from flyball.operations import catch_up
from flyball.registry import begin_run
from flyball.runtime import Runtime, load_settings
from flyball.serving import answer_once

NOW_US = 1_700_000_000_000_000

APP = (
    CINEMA
    + """
user = fb.Entity("user", watched=fb.count(Watch, "7d"))
film = fb.Entity("film")
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(user, film, positive=fb.outcome(Watch, within="1d"), k=3),
    candidates={"popular": fb.Popular()},
)
"""
)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    path = tmp_path_factory.mktemp("app") / "cinema.py"
    path.write_text(APP)
    return load_app(str(path), {})


def open_home(app: App, folder: Path, settings: str = "") -> Runtime:
    """The application in a home on this machine, or on the stores that `settings` names."""
    folder.mkdir(parents=True, exist_ok=True)
    if settings:
        (folder / "settings.toml").write_text(settings)
    return Runtime(app, load_settings(folder), ManualClock(NOW_US))


def add_events(home: Runtime, first: int, count: int) -> None:
    """Ingest events of which every tenth is a bad line, and answer two requests."""
    lines = [
        b'{"type": "watch", "user": %d, "film": "f%d", "minute": %d}'
        % (number % 17, number % 9, 999 if number % 10 == 0 else number % 400)
        for number in range(first, first + count)
    ]
    home.clock.advance_us(1_000_000)  # type: ignore[attr-defined]
    ingest_lines(lines, LineSource("web", find_format("jsonl"), "jsonl", "live"), home.inlet)
    for user in (first % 17, 3):
        answer_once(home, str(user), 3)


@pytest.fixture
def full(app: App, tmp_path: Path) -> Runtime:
    """A home with events, lines in quarantine, answers, a run in the registry, history and an artifact."""
    home = open_home(app, tmp_path / "first")
    add_events(home, 0, 200)
    begin_run(home.registry, "cinema", NOW_US, NOW_US)
    home.artifact_files.write("v1/weights.bin", b"learned" * 100)
    home.history_files.write("snapshots/s1.json", b"{}")
    home.sources.note("web")
    catch_up(home)
    return home
