"""The application that `flyball new --kind predict` writes: its world's lines, in order, as it says they are made."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Run

from flyball.app import load_app
from flyball.cli.template_predict import example_lines
from flyball.core import parse_timestamp
from flyball.simulation import DAY_US

HOUR_US = 3_600_000_000


@pytest.fixture
def repairs(run: Run) -> Path:
    assert run("new", "repairs", "--kind", "predict").code == 0
    return Path("repairs.py")


def test_the_lines_are_the_same_each_time_and_in_the_file_beside_it(repairs: Path) -> None:
    lines = example_lines(repairs, repairs_a_day=100)
    assert lines == example_lines(repairs, repairs_a_day=100) == Path("repairs-events.jsonl").read_bytes()


def test_they_are_of_thirty_days_in_the_order_of_time_with_repairs_before_their_ends(repairs: Path) -> None:
    events = [json.loads(line) for line in example_lines(repairs, repairs_a_day=100).splitlines()]
    ats = [event["at"] for event in events]
    start_us = parse_timestamp("2026-01-01")
    assert ats == sorted(ats)
    assert start_us <= ats[0]
    assert ats[-1] < start_us + 30 * DAY_US
    begun: dict[int, tuple[int, dict[str, Any]]] = {}
    kinds: Counter[str] = Counter()
    ratios = []
    for at_us, event in zip(ats, events, strict=True):
        kinds[event["type"]] += 1
        if event["type"] == "repair":
            assert event["repair"] not in begun
            begun[event["repair"]] = at_us, event
            continue
        since_us, repair = begun[event["repair"]]
        assert event["workshop"] == repair["workshop"]
        ratios.append((at_us - since_us) / HOUR_US / expected_hours(repair))
    assert kinds["repair"] == pytest.approx(3_000, rel=0.1)
    assert kinds["abandoned"] / (kinds["abandoned"] + kinds["repaired"]) == pytest.approx(0.03, abs=0.012)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.02), "the median hours are the expected ones"
    assert np.std(np.log(ratios)) == pytest.approx(0.2, abs=0.02)


def expected_hours(repair: dict[str, Any]) -> float:
    """By the words of the world: old things take longer, phones less than bicycles, the harbor is slow."""
    hours = {"phone": 2.0, "laptop": 5.0, "bicycle": 3.0}[repair["device"]] + 0.8 * float(repair["years"])
    return hours * 1.8 if repair["workshop"] == "harbor" else hours


def test_what_it_declares_is_a_target_in_hours_that_closes_after_three_days(repairs: Path) -> None:
    task: Any = load_app(str(repairs)).task
    (label,) = {label.name: label for label in task.about.labels}.values()
    assert label.within_us == 3 * DAY_US
    assert [event.__name__ for event in label.censored_by] == ["Abandoned"]
    assert label.elapsed_unit_us == HOUR_US
