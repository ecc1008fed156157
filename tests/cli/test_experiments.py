"""What an experiment shows in the terminal and as JSON."""

from pathlib import Path

import pytest
from tests.cli.conftest import call
from tests.experiments import market

FILE = str(Path(market.__file__))
LATE = "2023-11-21"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("market")
    market.market(folder, users=1_500)
    return str(folder)


def test_a_result_is_said_in_sentences_and_numbers(home: str) -> None:
    ran = call("experiments", "show", FILE, "rel1", "--home", home, "--by", "k")
    assert ran.code == 0, ran.err
    for words in ("Units are split as declared", "bought: ", "better.", "CUPED", "k=3", "var."):
        assert words in ran.out
    assert "\ninterval of bought: 95 %, valid at every look, by confidence sequence of two rates.\n" in ran.out
    assert (
        "\nunits: control / candidate, each once, with a window that has closed; open: those whose has not." in ran.out
    )
    shown = call("experiments", "show", FILE, "rel1", "--home", home, "--json").last
    assert shown["metrics"][0]["verdict"] == "better"
    assert shown["comparable"] is True
    early = call("experiments", "show", FILE, "rel1", "--home", home, "--as-of", "2023-11-15T06:00:00Z")
    assert "nothing may be concluded yet" in early.out


def test_a_release_is_shown_with_the_effects_of_its_experiment(home: str) -> None:
    sentences = call("experiments", "show", FILE, "rel1", "--home", home, "--json").last["sentences"]
    assert [line.split(":")[0] for line in sentences[2:6]] == ["primary", *["secondary"] * 3]
    ran = call("releases", "show", FILE, "rel1", "--home", home)
    assert ran.code == 0, ran.err
    (_, shown) = ran.out.split(f"\neffects (all numbers: flyball experiments show {FILE} --home {home} rel1):\n")
    assert shown.splitlines()[1 : len(sentences)] == [f"  {line}" for line in sentences[1:]]
    described = call("releases", "show", FILE, "rel1", "--home", home, "--json").last
    assert described["effects"]["metrics"][0]["verdict"] == "better"


def test_power_is_said_before_the_start(home: str) -> None:
    ran = call("power", FILE, "--home", home, "--as-of", LATE, "--days", "7", "--effect", "20", "--method", "fixed")
    assert ran.code == 0, ran.err
    for words in ("smallest effect", "bought     7", "a change of 20 % is found in"):
        assert words in ran.out
    too_much = call("power", FILE, "--home", home, "--as-of", LATE, "--days", "7", "--effect", "900").out
    assert "bought: a rise of 900 % is impossible. It is at most 1, so it can rise by 0." in too_much
    rows = call("power", FILE, "--home", home, "--as-of", LATE, "--json").last["rows"]
    assert {row["days"] for row in rows} == {7, 14, 28}


def test_the_ledger_and_an_estimate_are_printed(home: str, tmp_path: Path) -> None:
    ran = call("impact", FILE, "--home", home)
    assert ran.code == 0, ran.err
    assert "rel1     v2       ab" in ran.out
    wrote = call("impact", FILE, "--home", home, "--out", tmp_path / "impact.parquet", "--json").last
    assert wrote == {"rows": 1, "file": str(tmp_path / "impact.parquet")}
    assert call("impact", FILE, "--home", home, "--json").last["rows"][0]["verdict"] == "better"
    missing = call("whatif", FILE, "v2", "--home", home)
    assert (missing.code, "v2" in missing.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("experiments", "show", FILE, "rel7"), "rel7"),
        (("experiments", "show", FILE, "rel1", "--by", "country"), "one of the fields of the request"),
        (("power", FILE, "--method", "bayes"), "one of anytime, group_sequential, fixed"),
        (("power", FILE, "--share", "0"), "between 0 and 100"),
        (("power", FILE, "--as-of", "2020-01-01"), "serve first"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(home: str, words: tuple[str, ...], message: str) -> None:
    ran = call(*words, "--home", home)
    assert ran.code in (1, 2)
    assert message in ran.err
