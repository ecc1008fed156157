"""A running instance continues in the home that its home was moved to, one serving process after another."""

from pathlib import Path

import pytest
from tests.cinema import CINEMA
from tests.operations.fake_processes import FakeProcess

from flyball.app import load_app
from flyball.core import HomeBusy, ManualClock
from flyball.cutover import Moved
from flyball.operations import Program, Supervisor
from flyball.operations.relocation import Relocation
from flyball.runtime import Runtime, load_settings

APP = CINEMA + (
    'app = fb.App("cinema", events=[Watch], task=fb.Recommend(fb.Entity("user"), fb.Entity("film"), '
    'positive=fb.outcome(Watch, within="1d")), candidates={"popular": fb.Popular()})\n'
)


class Ready:
    def __init__(self) -> None:
        self.names: set[str] = set()

    def is_ready(self, name: str) -> bool:
        return name in self.names


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    (tmp_path / "cinema.py").write_text(APP)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "settings.toml").write_text('registry = "sqlite:///elsewhere/registry.db"\nport = 1\n')
    settings = load_settings(tmp_path / "first", options={"port": 5})
    return Runtime(load_app(str(tmp_path / "cinema.py"), {}), settings, ManualClock(0))


def test_stores_are_those_of_the_new_home_and_options_those_of_the_running_one(
    runtime: Runtime, tmp_path: Path
) -> None:
    moved = Relocation(Moved(str(tmp_path / "second"), 1, 0), runtime).runtime.settings
    assert (moved.home, moved.port) == (str(tmp_path / "second"), 5)
    assert moved.registry == "sqlite:///elsewhere/registry.db"
    assert moved.events.startswith(f"sqlite://{tmp_path}/second/events.db")


def test_serving_processes_are_replaced_when_the_one_before_answers(runtime: Runtime, tmp_path: Path) -> None:
    started: list[str] = []

    def launch(program: Program) -> FakeProcess:
        started.append(program.name)
        return FakeProcess(len(started))

    names = ("serve-1", "serve-2", "worker", "governor")
    supervisor, ready = Supervisor([Program(name, ()) for name in names], launch, 0), Ready()
    ready.names.add("serve-1")  # its process of before is ready until it has ended
    supervisor.tick(0)
    relocation = Relocation(Moved(str(tmp_path / "second"), 1, 0), runtime)
    relocation.begin(supervisor)
    with pytest.raises(HomeBusy):
        Relocation(relocation.moved, runtime).begin(supervisor)
    for _ in range(3):
        relocation.step(supervisor, ready)
    assert [child.state for child in supervisor.children()] == ["running"] * 4
    supervisor.tick(1)  # both that serve were not asked to end at once
    assert [child.name for child in supervisor.children() if child.state == "running"] == ["serve-2"]
    ready.names.clear()
    supervisor.tick(2)
    relocation.step(supervisor, ready)
    assert started[4:] == ["serve-1", "worker", "governor"]
    relocation.step(supervisor, ready)
    supervisor.tick(3)
    assert started[4:] == ["serve-1", "worker", "governor"], "the successor cannot answer yet"
    ready.names.add("serve-1")
    relocation.step(supervisor, ready)
    supervisor.tick(4)
    supervisor.tick(5)
    assert started[4:] == ["serve-1", "worker", "governor", "serve-2"]
    relocation.lock.__exit__(None, None, None)
