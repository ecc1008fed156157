"""`flyball backtest`: the policies in one table, the same from one process and from several."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import call
from tests.learning.changing import filled

from flyball.app import load_app

FILE = str(Path(__file__).parents[1] / "learning" / "changing.py")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backtest")
    filled(folder, load_app(FILE), 6)
    return folder


def test_policies_in_one_table(home: Path) -> None:
    options = ("--policy", "manual", "--policy", "every:1d", "--windows", 2)
    lines = call("backtest", FILE, "--home", home, *options).out.splitlines()
    assert lines[0].startswith("linear on ")
    assert "in 2 windows of 1d from 2026-01-0" in lines[0]
    assert any(line.startswith("every:1d") and "scheduled stateless" in line for line in lines)
    document = call("backtest", FILE, "--home", home, *options, "--json").last
    assert [(result["policy"], result["runs"]) for result in document["policies"]] == [("manual", 0), ("every:1d", 1)]


def test_an_unknown_policy_says_which_there_are(home: Path) -> None:
    done = call("backtest", FILE, "--home", home, "--policy", "nightly")
    assert done.code == 2
    assert "policy must be manual, every:1d, volume:500 or performance:5%, with update: in front" in done.err


def untimed(document: dict[str, Any]) -> dict[str, Any]:
    policies = [result | {"seconds": 0, "ratio": 0} for result in document["policies"]]
    return document | {"policies": policies, "seconds": 0}


def test_two_workers_print_what_one_does_whatever_the_threads_of_linear_algebra(home: Path) -> None:
    printed = []
    for threads, workers in (("2", "1"), ("1", "2")):
        options = ["--home", str(home), "--windows", "2", "--policy", "every:1d", "--workers", workers, "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "flyball", "backtest", FILE, *options],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        printed.append(untimed(json.loads(done.stdout.splitlines()[-1])))
    assert printed[0] == printed[1]
    first, second = printed[0]["policies"][0]["models"]
    assert first.keys() == second.keys()
    assert first != second
