"""`flyball learn` killed with -9 is interrupted at once for whoever looks; the next run has a case of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import call
from tests.learning.changing import filled
from tests.processes import until

from flyball.app import load_app
from flyball.registry import cases_of

FILE = str(Path(__file__).parents[1] / "learning" / "changing.py")


@pytest.mark.live
def test_a_killed_run_is_interrupted_for_all_who_look_and_the_next_has_a_case_of_its_own(tmp_path: Path) -> None:
    runtime = filled(tmp_path, load_app(FILE), 5)
    command = [sys.executable, "-m", "flyball", "learn", FILE, "--home", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: any(case.run for case in cases_of(runtime.registry)))
        os.kill(process.pid, signal.SIGSTOP)
        under_way = call("cases", "list", FILE, "--home", tmp_path, "--json").last["cases"]
        assert [report["verdict"] for report in under_way] == ["running"], "it must not have ended yet"
        os.kill(process.pid, signal.SIGKILL)
    assert " interrupted" in call("cases", "list", FILE, "--home", tmp_path, "--wide").out
    shown = call("cases", "show", FILE, "c1", "--home", tmp_path).out
    assert "run r1: the process ended before the run did; the next run of learning closes this case" in shown
    assert "verdict: interrupted" in shown
    assert [run.status for run in runtime.registry.runs()] == ["interrupted"]

    learned = call("learn", FILE, "--home", tmp_path, "--workers", 1)
    assert "note: run r1 was interrupted; it left no half version" in learned.out
    reports = call("cases", "list", FILE, "--home", tmp_path, "--json").last["cases"]
    assert [(report["verdict"], report["case"]["status"]) for report in reports] == [
        ("interrupted", "closed"),
        ("promoted", "closed"),
    ]
