"""`flyball drill`: what a person and a script see of it. What drills find out is in tests/simulation/test_drill.py."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import Run

from flyball.simulation import DrillReport

FITTED = """
import sys
from flyball.cli.common import limit_threads
limit_threads()
assert "numpy" not in sys.modules
import numpy as np
from flyball.models import Linear, TargetKind, TrainingTable
rng = np.random.default_rng(1)
rows, target = rng.normal(size=(4_000, 50)), rng.normal(size=4_000)
print(Linear()._ridge(rows, target, np.ones(4_000)).tobytes().hex())
"""


def test_what_is_fitted_in_a_drill_does_not_depend_on_the_threads_of_linear_algebra() -> None:
    """Without the limit these bits differ between one thread and two, where there are two processors."""
    command = [sys.executable, "-c", FITTED]
    fitted = [
        subprocess.run(
            command, env={**os.environ, "OPENBLAS_NUM_THREADS": count}, capture_output=True, text=True, check=True
        ).stdout
        for count in ("1", "2")
    ]
    assert fitted[0] == fitted[1] != ""


REPORT = DrillReport(
    app="movies",
    drill="no-effect",
    planted="nothing",
    seed=3,
    digest="ab12",
    expected="neither aborted nor called better",
    outcome="canary",
    passed=True,
    events=[],
    answers=12,
    units=7,
    all_answers=345,
    lasted_us=3_600_000_000,
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks of the driver, which answers with "report"."""
    noted: dict[str, Any] = {"report": REPORT}

    def run_drill(app: Any, name: str, **options: Any) -> DrillReport:
        noted.update(app=app.name, name=name, **options)
        report: DrillReport = noted["report"]
        return report

    monkeypatch.setattr("flyball.simulation.run_drill", run_drill)
    return noted


def test_the_seed_the_days_and_settings_of_the_world_are_handed_on(run: Run, asked: dict[str, Any]) -> None:
    got = run("drill", "no-effect", "movies", "--seed", 3, "--days", 2, "--world-set", "users=50")
    assert got.code == 0, got.err
    assert [asked[name] for name in ("app", "name", "seed", "days", "users")] == ["movies", "no-effect", 3, 2, 50]
    assert "the new version had 12 of 345 answers, of 7 units, within 1h" in got.out
    assert "passed: it must be neither aborted nor called better; it is canary" in got.out


def test_a_drill_that_fails_exits_1_and_prints_its_report_all_the_same(run: Run, asked: dict[str, Any]) -> None:
    asked["report"] = msgspec.structs.replace(REPORT, passed=False, outcome="champion")
    got = run("drill", "no-effect", "movies")
    assert (got.code, "FAILED: it must be neither aborted" in got.out) == (1, True)
    got = run("drill", "no-effect", "movies", "--json")
    assert (got.code, got.last["passed"], got.last["answers"]) == (1, False, 12)


def test_a_drill_that_does_not_exist_is_refused_with_those_that_do(run: Run) -> None:
    got = run("drill", "no-such", "movies")
    assert (got.code, got.out) == (2, "")
    for name in ("drill must be one of", "bad-release", "silent-degradation", "got 'no-such'"):
        assert name in got.err


def test_an_application_without_a_world_is_refused_with_how_to_get_one(shop: Run) -> None:
    text = Path("shop.py").read_text()
    without = "\n".join(line for line in text.splitlines() if "world=" not in line)
    assert without != text
    Path("shop.py").write_text(without)
    got = shop("drill", "no-effect", "shop.py")
    assert got.code != 0
    assert "must be one that names a world of simulated users" in got.err
    assert "Traceback" not in got.err
