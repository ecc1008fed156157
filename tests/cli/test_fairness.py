"""Quality by group in the terminal and as JSON, and a gate on the gap, over a planted region of worse quality."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.cli.conftest import call
from tests.monitoring.performance.bank import answer
from tests.tasks.predict import payments, regions

import flyball as fb
from flyball.app import App, load_app
from flyball.core import ManualClock
from flyball.events import Record
from flyball.learning import learn
from flyball.operations import catch_up
from flyball.runtime import Runtime, load_settings
from flyball.simulation import ingest_pieces

FILE = str(Path(regions.__file__))
START_US = 1_767_225_600_000_000
DAYS = 16


def opened(app: App, folder: Path) -> Runtime:
    return Runtime(app, load_settings(folder), ManualClock(START_US + DAYS * regions.DAY_US))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regions")
    runtime = opened(load_app(FILE), folder)
    ingest_pieces(runtime, "jsonl", [b"\n".join(regions.lines(DAYS, START_US))], "month", "history")
    catch_up(runtime)
    assert learn(runtime, workers=1).champion
    runtime.predictions.append(list(answers()))
    catch_up(runtime)
    return folder


def answers() -> Iterator[Record]:
    """Answers of v1 to all payments, by the risk that is seen; of the south, only from noon on."""
    for number, line in enumerate(regions.lines(DAYS, START_US)):
        event = msgspec.json.decode(line)
        at_us = event.pop("at")
        if event.pop("type") == "payment" and (
            event["region"] != "south" or at_us % regions.DAY_US > regions.DAY_US / 2
        ):
            probability = 1 / (1 + np.exp(2.5 - 3 * event["risk"]))
            yield answer(at_us, number, str(event["payment"]), "payment", event, values=[float(probability)])


def test_it_shows_each_group_and_the_largest_gaps(home: Path) -> None:
    ran = call("fairness", FILE, "--home", str(home), "--wide")
    assert ran.code == 0, ran.err
    for words in (
        "By region",
        "By shop.kind",
        "v1 (linear, champion), evaluated on",
        "the intervals hold for all pairs",
    ):
        assert words in ran.out
    rows = {line.split()[0]: line for line in ran.out.split("Largest gaps")[1].splitlines() if line.strip()}
    assert rows["true_positive_rate"].rstrip().endswith("certain")
    assert rows["true_positive_rate"].split("]")[1].split()[1:2] == ["south"]
    assert "units are too few, 30 are needed" in ran.out


def test_answers_are_compared_where_their_labels_are_final(home: Path) -> None:
    ran = call("fairness", FILE, "--home", str(home), "--wide", "--days", "9")
    assert ran.code == 0, ran.err
    live = ran.out.split(" answers from ")[1]
    assert "with a final label (it takes 5d)" in live
    rows = {line.split()[0]: line for line in live.split("Largest gaps")[1].splitlines() if line.strip()}
    assert rows["brier"].rstrip().endswith("certain")
    labels = live.split("Labels by region")[1].splitlines()
    assert "of labeled" in labels[1]
    assert any(line.startswith("south") and "1d" in line for line in labels)
    assert "reweighted to the times of day of all answers" in live


def test_json_has_every_pair(home: Path) -> None:
    ran = call("fairness", FILE, "--home", str(home), "--json", "--version", "v1")
    by = {groups["by"]: groups for groups in ran.last["evaluated"]}
    assert ran.last["unknown"] == ""
    assert [sampling["by"] for sampling in ran.last["answers"]["sampling"]] == ["region", "shop.kind"]
    assert {group["group"] for group in by["region"]["groups"]} >= {"north", "south", "west"}
    assert by["region"]["largest"]["true_positive_rate"]["pairs"] == 3
    assert not by["shop.kind"]["largest"]["true_positive_rate"]["certain"]
    pairs = [gap for gap in by["region"]["gaps"] if gap["metric"] == "brier"]
    assert len(pairs) == 3


def test_a_gate_on_the_gap_refuses_the_version(home: Path) -> None:
    gates = fb.gates(min_examples=20, max_gap={"true_positive_rate/region": 0.1, "selection_rate/shop.kind": 0.5})
    reported = learn(opened(regions.make_app(gates=gates), home), workers=1)
    assert not reported.released
    learned = next(candidate for candidate in reported.candidates if candidate.name == "linear")
    by_name = {gate["name"]: gate for gate in learned.gates}
    refused = by_name["max_gap true_positive_rate/region"]
    assert not refused["passed"]
    assert "differs most between region=" in refused["reason"]
    assert "region=south, by 0." in refused["reason"]
    assert by_name["max_gap selection_rate/shop.kind"]["passed"]


def test_an_application_without_groups_learns_how_to_declare_them(tmp_path: Path) -> None:
    ran = call("fairness", str(Path(payments.__file__)), "--home", str(tmp_path))
    assert ran.code != 0
    assert 'the task must declare groups, such as groups=("region",), got none' in ran.err
