"""The process of shadows: what it was doing outlives it, and it is there exactly while a shadow is under release."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.operations.fake_processes import FakeProcess
from tests.releases.home import Home

from flyball.core import Counters, ManualStopwatch
from flyball.home import HomeLayout
from flyball.operations.shadow import QUEUED, FileGuard, ServingPressure, ShadowProcess, guard_path
from flyball.policy import shadow

HELD = """
import sys
from pathlib import Path
from flyball.operations.shadow import FileGuard
guard = FileGuard(Path(sys.argv[1]))
guard.begin("answer 1", 60.0)
guard.end()
guard.begin("answer 2", float(sys.argv[2]))
if sys.argv[3] == "held":
    while True:  # holds the interpreter: no thread of Python would come through
        sum(range(10_000_000))
import os
os._exit(7)
"""


def end_over(path: Path, within_s: float, how: str) -> int:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-c", HELD, str(path), str(within_s), how]
    return subprocess.run(command, env=environment, check=False, timeout=120).returncode


@pytest.mark.parametrize(("how", "within_s", "code"), [("held", 0.3, -signal.SIGALRM), ("crashed", 60.0, 7)])
def test_what_it_was_doing_outlives_it(tmp_path: Path, how: str, within_s: float, code: int) -> None:
    path = tmp_path / "run" / "shadow.doing"
    assert FileGuard(path).unfinished() == ""
    assert end_over(path, within_s, how) == code
    guard = FileGuard(path)
    assert guard.unfinished() == "answer 2"
    guard.end()
    assert FileGuard(path).unfinished() == ""


def test_served_answers_that_wait_press_it(tmp_path: Path) -> None:
    names = ["gauge|queue", "failures|late", "failures|overload"]
    serving = [Counters(tmp_path, f"serve-{number}", names) for number in (1, 2)]
    stopwatch = ManualStopwatch()
    pressed = ServingPressure(tmp_path, stopwatch)
    serving[0].add("failures|late", 9)  # before it began: nothing of now
    assert not pressed()
    serving[0].add("gauge|queue", QUEUED - 1)
    stopwatch.advance_s(1)
    assert not pressed()
    serving[1].add("gauge|queue", 1)
    assert not pressed()  # it does not look at every request
    stopwatch.advance_s(1)
    assert pressed()
    serving[0].add("gauge|queue", -QUEUED + 1)
    serving[1].add("failures|overload", 1)
    stopwatch.advance_s(1)
    assert pressed()
    stopwatch.advance_s(1)
    assert not pressed()


class WithRegistry:
    """What it looks at."""

    def __init__(self, folder: Path, home: Home) -> None:
        self.home, self.registry, self.layout = folder, home.registry, HomeLayout(folder)


def test_it_runs_while_a_shadow_is_under_release_and_starts_again_with_pauses(tmp_path: Path) -> None:
    home, started = Home(tmp_path), list[FakeProcess]()

    def launch() -> FakeProcess:
        started.append(FakeProcess())
        return started[-1]

    stopwatch = ManualStopwatch()
    program = ShadowProcess(WithRegistry(tmp_path, home), launch, stopwatch)  # type: ignore[arg-type]
    home.promote("v1")
    assert (program.step(1), started) == ([], [])
    home.start("v2", shadow())
    program.step(2)
    program.step(3)
    assert len(started) == 1
    started[0].code = -signal.SIGALRM
    (line,) = program.step(4)
    assert line == "shadow was held too long and ended; again in 0.2 s"
    assert len(started) == 1
    stopwatch.advance_s(0.3)
    program.step(5)
    assert len(started) == 2
    started[1].code = 3
    (line,) = program.step(6)
    assert line == "shadow ended with code 3; again in 0.4 s"
    stopwatch.advance_s(0.5)
    program.step(7)
    guard_path(tmp_path).parent.mkdir(exist_ok=True)
    guard_path(tmp_path).write_text("answer 7")
    home.do("rel2", "abort")
    program.step(8)
    assert (started[2].code, guard_path(tmp_path).exists()) == (0, False)  # what it was doing is nobody's fault
    stopwatch.advance_s(60)
    assert (program.step(9), len(started)) == ([], 3)
    program.stop()
