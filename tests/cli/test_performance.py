"""`flyball performance` as a user types it."""

from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Run
from tests.monitoring.performance.bank import bank

APP = """
from tests.monitoring.performance.bank import bank_app

app = bank_app()
"""


@pytest.fixture
def bank_home(run: Run, tmp_path: Path) -> Run:
    """`bank.py` and the home of 24 days; from day 20 on outcomes have little to do with the scores."""
    (tmp_path / "bank.py").write_text(APP)

    def change(day: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return scores, (scores if day < 20 else 0.9 - scores)

    bank(tmp_path / "home", days=24, daily=200, change=change)
    return run


def test_what_is_worse_is_named_and_exits_1(bank_home: Run) -> None:
    shown = bank_home(
        "performance", "bank.py", "--home", "home", "--until", "2026-01-22", "--before", "14d", "--by", "merchant"
    )
    assert shown.code == 1
    lines = shown.out.splitlines()
    assert lines[0] == "chargeback, 2026-01-21T00:00:00Z to 2026-01-22T00:00:00Z, compared with 14d before"
    assert "worse than before: auc (measured), log_loss (measured), brier (measured)" in shown.out
    assert "brier of merchant=acme (measured)" in shown.out


def test_a_day_without_labels_is_estimated(bank_home: Run) -> None:
    shown = bank_home("performance", "bank.py", "--home", "home", "--until", "2026-01-25", "--before", "21d")
    assert shown.code == 0
    assert "\n200 predictions, 0 with a label that is final (it takes 3d); 3," in shown.out
    assert "estimated" in shown.out
    assert "measured" not in shown.out
    assert shown.out.splitlines()[-1] == "nothing is worse than before, by 8 comparisons"


def test_json_has_all_of_it(bank_home: Run) -> None:
    report = bank_home("performance", "bank.py", "--home", "home", "--until", "2026-01-20", "--before", "14d", "--json")
    assert report.code == 0
    document = report.last
    assert (document["label"], document["kind"], document["labeled"]) == ("chargeback", "probability", 200)
    assert {row["metric"]["basis"] for row in document["metrics"]} == {"measured"}
    assert {row["verdict"] for row in document["metrics"]} == {"same"}
    assert set(document["metrics"][0]["metric"]["now"]) == {"value", "low", "high"}


def test_a_slice_that_is_no_field_is_refused(bank_home: Run) -> None:
    refused = bank_home("performance", "bank.py", "--home", "home", "--by", "shop", "--last", "1d", "--before", "2d")
    assert refused.code == 2
    assert "no slice 'shop'; known: version, level, decision, payment, card, merchant, amount" in refused.err


def test_an_unusual_run_of_equal_answers_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text(APP)

    def change(day: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (scores, scores) if day < 11 else (np.full_like(scores, 0.25), scores)

    bank(tmp_path / "home", days=12, daily=100, change=change)
    shown = run("performance", "bank.py", "--home", "home", "--before", "10d")
    assert "answers in a row were the same from 2026-01-12T" in shown.out
    assert "which is unusual" in shown.out
