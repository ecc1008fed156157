"""The drill of poisoning: accounts that push films are found and held, and quality is that of a clean log."""

import pytest
from msgspec.structs import replace

import flyball as fb
from flyball.core import BadInput
from flyball.simulation import PoisonDrillReport, run_poison_drill


@pytest.fixture(scope="module")
def report() -> PoisonDrillReport:
    return run_poison_drill(fb.load_app("movies"), days=5, users=300, items=200)


def test_the_attack_works_and_holding_suspects_undoes_it(report: PoisonDrillReport) -> None:
    clean, poisoned, held = report.lists
    assert poisoned.pushed > clean.pushed + 0.2
    assert poisoned.quality < 0.97 * clean.quality
    assert held.quality >= 0.99 * clean.quality
    assert held.pushed <= clean.pushed + 0.01
    assert report.found_us is not None
    assert report.found_us <= 48 * 3_600_000_000
    assert (report.caught, report.wrong) == (report.attackers, 0)
    assert report.passed


def test_the_report_says_what_fails_it(report: PoisonDrillReport) -> None:
    assert report.text().endswith("passed")
    assert f"held {report.attackers} of {report.attackers} attackers and 0 others" in report.text()
    unseen = replace(report, found_us=None)
    assert "the attack was not found" in unseen.text()
    assert unseen.text().endswith("FAILED")
    clean, poisoned, _ = report.lists
    assert not replace(report, lists=[clean, poisoned, poisoned]).passed


def test_mistakes_are_named() -> None:
    with pytest.raises(BadInput, match="days must be 4 or more, got 3"):
        run_poison_drill(fb.load_app("movies"), days=3)
    with pytest.raises(BadInput, match="world of fraud must be one whose accounts can push targets"):
        run_poison_drill(fb.load_app("fraud"))
