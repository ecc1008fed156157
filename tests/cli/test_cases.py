"""`flyball cases` and `flyball versions show`: why learning began, and what came of it."""

from pathlib import Path

import pytest
from tests.cli.conftest import call
from tests.learning.changing import filled

from flyball.app import load_app
from flyball.learning import learn
from flyball.registry import Case, open_case, refuse_case

FILE = str(Path(__file__).parents[1] / "learning" / "changing.py")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    runtime = filled(folder, load_app(FILE), 5)
    learn(runtime, workers=1, by="ann")
    waiting = Case(app="changing", trigger="fb.on_drift()", kind="drift", cause="km drifted", opened_us=5_000_000)
    refuse_case(runtime.registry, open_case(runtime.registry, waiting), 6_000_000, "cooldown of 6h")
    return folder


def test_the_list_shows_what_became_of_each(home: Path) -> None:
    shown = call("cases", "list", FILE, "--home", home, "--wide").out
    assert "started by ann" in shown
    assert "promoted" in shown
    assert "fb.on_drift()" in shown
    reports = call("cases", "list", FILE, "--home", home, "--json").last["cases"]
    assert [(report["case"]["id"], report["verdict"], report["version"]) for report in reports] == [
        ("c1", "promoted", "v1"),
        ("c2", "waiting", ""),
    ]
    newest = call("cases", "list", FILE, "--home", home, "--limit", 1, "--payoff", "--json").last["cases"]
    assert [report["case"]["id"] for report in newest] == ["c2"]


def test_one_case_is_shown_with_run_gates_release_and_payoff(home: Path) -> None:
    lines = call("cases", "show", FILE, "c1", "--home", home).out.splitlines()
    assert lines[0] == "case c1 of 2026-01-06T00:00:00Z: by hand"
    assert lines[1] == "cause: started by ann"
    assert lines[2].startswith("expected: gain unknown, cost unknown (flyball freshness")
    assert any(line.startswith("run r1, ") for line in lines)
    assert "  linear: passed its gates" in lines
    assert "release rel1 of v1: champion" in lines
    assert lines[-2:] == ["verdict: promoted", "payoff: immediate releases have no control to compare with"]
    payoff = call("cases", "show", FILE, "c1", "--home", home, "--json").last["payoff"]
    assert (payoff["version"], payoff["case"]) == ("v1", "c1")


def test_one_that_waits_says_since_when_and_why(home: Path) -> None:
    shown = call("cases", "show", FILE, "c2", "--home", home).out
    assert "waited from 1970-01-01T00:00:06Z: cooldown of 6h" in shown
    assert "verdict: waiting" in shown


def test_an_unknown_case_is_an_error_that_names_those_there_are(home: Path) -> None:
    missed = call("cases", "show", FILE, "c9", "--home", home)
    assert missed.code == 2
    assert "c1" in missed.err
    assert "flyball cases list" in missed.err


def test_before_the_first_there_are_none(tmp_path: Path) -> None:
    assert "no cases yet" in call("cases", "list", FILE, "--home", tmp_path).out


def test_a_version_shows_why_it_was_learned(home: Path) -> None:
    shown = call("versions", "show", FILE, "v1", "--home", home).out
    assert "v1 (linear, linear): champion" in shown
    assert "case c1, by hand: started by ann (promoted)" in shown
    assert "release rel1: immediate, champion" in shown
    assert "mae: " in shown
    document = call("versions", "show", FILE, "v1", "--home", home, "--json").last
    assert (document["version"]["id"], document["cases"][0]["case"]["id"]) == ("v1", "c1")
    assert "c1" in call("impact", FILE, "--home", home, "--wide").out
