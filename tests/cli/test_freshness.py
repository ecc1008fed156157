"""`flyball freshness`: three tables and a recommendation, and errors that say what to do."""

from pathlib import Path

import pytest
from tests.cli.conftest import call
from tests.learning.changing import filled

from flyball.app import load_app

FILE = str(Path(__file__).parents[1] / "learning" / "changing.py")
OPTIONS = ("--age", "1d", "--age", "2d", "--last", "2d", "--windows", "1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("freshness")
    filled(folder, load_app(FILE), 7)
    return folder


def test_tables_and_a_recommendation(home: Path) -> None:
    shown = call("freshness", FILE, "--home", home, *OPTIONS, "--wide").out
    for words in ("training data", "1d older", "worse by", "runs a month", "every 2d", "better than all by"):
        assert words in shown
    assert "no loss by age is certain up to 2d" in shown
    document = call("freshness", FILE, "--home", home, *OPTIONS, "--json").last
    assert [age["age_us"] // 86_400_000_000 for age in document["ages"]] == [1, 2]
    assert (document["candidate"], document["decays"], document["cadence_us"]) == ("linear", False, None)
    assert [window["name"] for window in document["windows"]] == ["all", "2d"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--candidate", "trees"), "candidate"),
        (("--age", "soon"), "--age must be numbers with units"),
        (("--span", "0s"), "span must be longer than 0"),
        (("--age", "300d"), "choose fewer or shorter test windows, or lesser ages"),
    ],
)
def test_what_cannot_be_measured_says_what_to_do(home: Path, options: tuple[str, ...], message: str) -> None:
    done = call("freshness", FILE, "--home", home, *options)
    assert done.code != 0
    assert message in done.err
