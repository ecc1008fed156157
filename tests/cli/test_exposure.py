"""`flyball exposure` as a user types it."""

from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.monitoring.exposure.shop import narrowing_lists, shop
from tests.monitoring.performance.bank import bank

APP = """
from tests.monitoring.exposure.shop import shop_app

app = shop_app()
"""


@pytest.fixture
def shop_home(run: Run, tmp_path: Path) -> Run:
    """`shop.py` and the home of three days whose lists show fewer and fewer products."""
    (tmp_path / "shop.py").write_text(APP)
    shop(
        tmp_path / "home", narrowing_lists(), [(0.1, 1, "a"), (30, 7, "b"), (71.9, 2, "b")], products="abcdefghijklmnop"
    )
    return run


def test_the_table_has_a_line_for_each_period_and_version(shop_home: Run) -> None:
    shown = shop_home("exposure", "shop.py", "--home", "home", "--last", "3d", "--every", "1d", "--until", "2026-01-04")
    assert shown.code == 0
    out = shown.out.splitlines()
    assert out[0] == "120 lists, 2026-01-01T00:00:00Z to 2026-01-04T00:00:00Z; the catalog has 16 items"
    first = out[2].split()
    assert first[:4] == ["from", "version", "lists", "gini"]
    assert [line.split()[:3] for line in out[3:6]] == [
        ["2026-01-01T00:00", "all", "40"],
        ["2026-01-02T00:00", "all", "40"],
        ["2026-01-02T00:00", "v1", "20"],
    ]
    assert "0.75 ±" in out[3]
    assert "coverage: share of the catalog that was shown at all" in out


def test_json_has_ends_of_intervals(shop_home: Run) -> None:
    document = shop_home(
        "exposure", "shop.py", "--home", "home", "--last", "2d", "--every", "2d", "--until", "2026-01-03", "--json"
    ).last
    assert document["lists"] == 80
    assert set(document["rows"][0]["measures"]["gini"]) == {"value", "low", "high"}
    assert [row["version"] for row in document["rows"]] == ["", "v1", "v2"]


def test_lengths_that_do_not_fit_and_tasks_without_lists_are_refused(shop_home: Run, tmp_path: Path) -> None:
    refused = shop_home("exposure", "shop.py", "--home", "home", "--last", "3d", "--every", "2d")
    assert refused.code == 2
    assert "must be 1 to 400 periods long, got '3d'" in refused.err
    (tmp_path / "bank.py").write_text("from tests.monitoring.performance.bank import bank_app\n\napp = bank_app()\n")
    bank(tmp_path / "bank", days=2, daily=5)
    refused = shop_home("exposure", "bank.py", "--home", "bank")
    assert refused.code == 1
    assert "the task must show lists of items, got predict" in refused.err
