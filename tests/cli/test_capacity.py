"""`flyball plan`: a plan from kept measurements, and what it refuses."""

from pathlib import Path

import pytest
from tests.capacity.planted import planted_profile
from tests.cli.conftest import Run

from flyball.capacity import write_profile


@pytest.fixture
def kept(tmp_path: Path) -> str:
    path = tmp_path / "planted.json"
    write_profile(path, planted_profile())
    return str(path)


def test_it_says_what_a_load_needs_and_what_saturates_first(shop: Run, kept: str) -> None:
    words = ["plan", "movies", "--users", "6000", "--items", "1000", "--requests", "1000", "--events", "500"]
    words += ["--peak", "2", "--keep", "10d", "--profile", kept]
    done = shop(*words)
    assert done.code == 0, done.err
    assert "6,000 users, 1,000 items; at the peak 1,000 requests and 500 events a second, 2 times the mean" in done.out
    assert "serving: 3 machines with 2 processes each, one of which may fail; within 300 ms: 100.000%" in done.out
    assert "saturates first: log worker, at 4.7 times this load" in done.out
    assert "extrapolated by more than 10 times the largest measured size: learn bytes 5,400 times" in done.out
    assert "cost" not in done.out
    result = shop(*words, "--price-cpu-hour", "0.1", "--json").last
    assert result["serving"] == 6
    assert sum(part["cost_month"] for part in result["parts"]) > 0


def test_events_are_those_of_the_sample_where_they_are_not_said(shop: Run, kept: str) -> None:
    result = shop("plan", "movies", "--users", "86400", "--requests", "10", "--profile", kept, "--json").last
    assert result["demand"]["events_per_s"] == pytest.approx(20.0)
    assert result["demand"]["items"] == 1_000


def test_measurements_alone_are_shown(shop: Run, kept: str) -> None:
    done = shop("plan", "movies", "--profile", kept)
    assert done.code == 0
    assert "join an answer to its outcome, us" in done.out
    assert shop("plan", "movies", "--profile", kept, "--json").last["candidate"] == "ials"


def test_half_a_question_is_refused(shop: Run, kept: str) -> None:
    refused = shop("plan", "movies", "--users", "10", "--profile", kept)
    assert refused.code == 2
    assert "flyball plan must be given --users and --requests, both or neither" in refused.err


def test_nothing_to_measure_with_is_refused(shop: Run, tmp_path: Path) -> None:
    refused = shop("plan", "shop.py", "--measure", "--profile", str(tmp_path / "new.json"), "--home", "none")
    assert refused.code in (1, 2)
    assert "flyball" in refused.err
    assert not (tmp_path / "new.json").exists()


def test_stores_to_measure_with_must_differ_by_size(shop: Run, tmp_path: Path) -> None:
    stores = tmp_path / "settings.toml"
    stores.write_text('state = "redis://127.0.0.1:1/0?name=state"\n')
    refused = shop("plan", "movies", "--measure", "--measure-with", str(stores), "--profile", str(tmp_path / "p.json"))
    assert refused.code == 2
    assert "must be URLs with {size} in them, which differs for each size" in refused.err
