"""`flyball profiles` as a user types it."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.cli.conftest import Run

from flyball.core import parse_timestamp


@pytest.fixture
def files(run: Run) -> Run:
    """`before.csv`, 14 days of orders, and `now.csv`, one day in which every second country is another."""
    rng = np.random.default_rng(1)
    rows = 14 * 300
    at = [1_767_225_600_000_000 + int(number * 86_400e6 / 300) for number in range(rows)]
    before = pl.DataFrame({"at": at, "country": rng.choice(["de", "fr"], rows), "amount": rng.normal(10, 1, rows)})
    before.write_csv("before.csv")
    before.tail(300).with_columns(country=pl.Series(["it", "de"] * 150)).write_csv("now.csv")
    before.tail(300).write_csv("same.csv")
    return run


def test_a_file_is_shown_column_by_column(files: Run) -> None:
    shown = files("profiles", "show", "before.csv", "--time", "at")
    assert shown.code == 0
    assert "4,200 rows, 2 columns, 14 windows from 2026-01-01T00:00:00Z to 2026-01-15T00:00:00Z" in shown.out
    as_json = files("profiles", "show", "before.csv", "--time", "at", "--json").last
    assert as_json["rows"] == 4_200
    country = as_json["columns"]["country"]
    assert (country["kinds"], country["missing"], country["distinct"]) == ({"text": 4_200}, 0, 2)
    assert as_json["columns"]["amount"]["quantiles"]["0.5"] == pytest.approx(10, abs=0.1)


def test_a_shift_exits_1_and_says_what_changed(files: Run) -> None:
    files("profiles", "show", "before.csv", "--time", "at", "--out", "before.profile")
    shifted = files("profiles", "compare", "before.profile", "now.csv", "--time", "at")
    assert shifted.code == 1
    assert "300 rows compared with 4,200 rows in 14 windows" in shifted.out
    assert "country  values" in shifted.out
    assert "→" in shifted.out
    same = files("profiles", "compare", "before.profile", "same.csv", "--time", "at")
    assert (same.code, same.out.splitlines()[-1]) == (0, "4 comparisons without a shift")


def test_json_has_every_comparison(files: Run) -> None:
    result = files("profiles", "compare", "before.csv", "now.csv", "--time", "at", "--json")
    assert result.code == 1
    shifts = {(shift["column"], shift["aspect"]): shift["shifted"] for shift in result.last["shifts"]}
    assert shifts == {
        ("country", "values"): True,
        ("country", "missing"): False,
        ("amount", "values"): False,
        ("amount", "missing"): False,
    }


def test_wrong_files_are_refused_with_what_to_name(files: Run) -> None:
    assert "named with one of .csv" in files("profiles", "show", "before.txt").err
    assert "named with .profile, got 'x.csv'" in files("profiles", "show", "before.csv", "--out", "x.csv").err
    assert not Path("x.csv").exists()
    Path("bad.profile").write_bytes(b"x")
    assert "that flyball profiles show --out wrote" in files("profiles", "compare", "bad.profile", "now.csv").err


def test_changes_of_an_application_are_shown(shop: Run) -> None:
    assert shop("ingest", "shop.py", "shop-events.jsonl").code == 0
    quiet = shop("profiles", "changes", "shop.py", "--before", "7d")
    assert (quiet.code, quiet.out.splitlines()[-1]) == (0, "2 comparisons without a shift")
    events = [json.loads(line) for line in Path("shop-events.jsonl").read_text().splitlines()]
    buys = [event for event in events if event["type"] == "buy"]
    latest = max(parse_timestamp(event["at"]) for event in events)
    later = [{**buy, "price": 90_000.0, "at": latest + 60_000_000 * number} for number, buy in enumerate(buys[:99])]
    lines = "\n".join(map(json.dumps, later))
    assert shop("ingest", "shop.py", "-", "--as", "history", stdin=lines).code == 0
    changed = shop("profiles", "changes", "shop.py", "buy", "--before", "7d")
    assert changed.code == 1
    assert "buy.price" in changed.out
    assert "→ 90000" in changed.out
    assert "no event type 'sell'; known: view, buy" in shop("profiles", "changes", "shop.py", "sell").err
    nothing = shop("profiles", "changes", "shop.py", "--until", "2020-01-01T00:00:00Z")
    assert nothing.code != 0
    assert "nothing could be compared: view has no rows in the last window" in nothing.err
