"""`flyball backtest`: the policies in one table."""

from pathlib import Path

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
