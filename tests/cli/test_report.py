"""The report of a version in the terminal, as JSON and as a picture."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.cli.conftest import call
from tests.tasks.predict import payments

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.learning import learn
from flyball.operations import catch_up
from flyball.runtime import Runtime, load_settings
from flyball.simulation import ingest_pieces

FILE = str(Path(payments.__file__))
START_US = 1_767_225_600_000_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bank")
    runtime = Runtime(load_app(FILE), load_settings(folder), ManualClock(START_US + 15 * payments.DAY_US))
    ingest_pieces(runtime, "jsonl", [b"\n".join(payments.lines(15, START_US, a_day=300))], "month", "history")
    catch_up(runtime)
    assert learn(runtime, workers=1).champion
    return str(folder)


def test_it_shows_metrics_calibration_decisions_costs_and_slices(home: str) -> None:
    ran = call("report", FILE, "--home", home)
    assert ran.code == 0, ran.err
    for words in ("average_precision", "Reliability of the predicted", "Decisions at the chosen", "chosen *"):
        assert words in ran.out
    for words in (
        " a day asked for on the test window",
        "reviews_per_day=8 is the most",
        "By hour",
        "By weekday",
        "constant",
        "Fri",
        "note: ",
        "left out as",
    ):
        assert words in ran.out


def test_json_holds_the_tables_and_the_baselines(home: str) -> None:
    ran = call("report", FILE, "--home", home, "--json")
    tables = {table["name"]: table for table in ran.last["report"]["tables"]}
    assert set(tables) == {"reliability", "confusion", "cost_curve"}
    assert tables["cost_curve"]["rows"][tables["cost_curve"]["marked"]][0] == "chosen"
    assert set(ran.last["baselines"]) == {"constant"}
    assert {part["by"] for part in ran.last["report"]["slices"]} == {"hour", "weekday"}


def test_a_picture_is_drawn_into_the_file(home: str, tmp_path: Path) -> None:
    ran = call("report", FILE, "--home", home, "--plot", str(tmp_path / "bank.svg"), "--metric", "saved")
    assert ran.code == 0, ran.err
    texts = [element.text for element in ElementTree.parse(tmp_path / "bank.svg").iter() if element.text]
    assert any(text.startswith("payments v") for text in texts)
    assert any(text.startswith("saved by hour") for text in texts)


def test_windows_in_a_row_are_shown_once_they_were_evaluated(home: str, tmp_path: Path) -> None:
    before = call("report", FILE, "--home", home)
    assert "not evaluated on several windows in a row yet: flyball report" in before.out
    assert call("report", FILE, "--home", home, "--json").last["prequential"] is None
    picture = tmp_path / "bank.svg"
    now = call("report", FILE, "--home", home, "--windows", "2", "--plot", str(picture))
    assert now.code == 0, now.err
    assert "2 windows in a row, each after training on what was known then (s1, " in now.out
    for later in (now, call("report", FILE, "--home", home)):
        rows = [line.split() for line in later.out.split("windows in a row")[-1].splitlines()]
        head = next(number for number, row in enumerate(rows) if row[:1] == ["metric"])
        assert {"constant", "linear", "calibrated"} <= set(rows[head])
        assert rows[head + 1][0] == "cost"
        assert rows[head + 3][:3] == ["mean", "±", "deviation"]
    kept = call("report", FILE, "--home", home, "--json").last["prequential"]
    assert len(kept["windows"]) == 2
    assert kept["windows"][0]["end_us"] <= kept["windows"][1]["start_us"]
    assert "cost in windows in a row" in picture.read_text()


def test_what_is_not_there_is_said(home: str, tmp_path: Path) -> None:
    for words, message in (
        (("v99",), "version 'v99'"),
        (("--plot", "bank.png"), "--plot must be a file whose name ends in .svg, got 'bank.png'"),
        (("--metric", "ndcg"), "metric of slices 'ndcg'"),
    ):
        ran = call("report", FILE, *words, "--home", home)
        assert ran.code == 2
        assert message in ran.err, ran.err
