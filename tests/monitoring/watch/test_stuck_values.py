"""A value that fills a run of rows is stuck; one that only some rows have, or that usually repeats, is not."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.monitoring.watch.shops import DAY_US, DAYS, FAULT_HOUR, START_US, shop

from flyball.monitoring import Finding, Watcher
from flyball.monitoring.watch.stuck_values import stuck_run


def rated(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    at = pl.Series(np.arange(rows) * 1_000_000).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"at": at, "stars": rng.choice([1, 2, 3, 4, 5], rows, p=[0.1, 0.1, 0.2, 0.3, 0.3])})


def test_a_run_of_one_value_is_found_with_its_first_row() -> None:
    rng = np.random.default_rng(1)
    usual, now = rated(rng, 400), rated(rng, 40)
    stuck = now.with_columns(stars=pl.when(pl.int_range(40) >= 10).then(1).otherwise(pl.col("stars")))
    run = stuck_run(stuck, usual, "stars", 0.6)
    assert run is not None
    assert (run.value, 30 <= run.rows <= 31, run.since_us // 1_000_000 in (9, 10)) == ("1", True, True)
    assert run.words.startswith(f"{run.rows} rows in a row hold 1 since 1970-01-01T00:00:")
    assert stuck_run(stuck.sample(fraction=1, shuffle=True, seed=1), usual, "stars", 0.6) == run, "rows have times"
    empty = now.with_columns(stars=pl.when(pl.int_range(40) >= 10).then(None).otherwise(pl.col("stars")))
    missing = stuck_run(empty, usual, "stars", 0.6)
    assert missing is not None
    assert missing.value == "missing"


@pytest.mark.parametrize("seed", range(10))
def test_half_of_the_rows_or_usual_ones_are_not_stuck(seed: int) -> None:
    rng = np.random.default_rng([seed, 2])
    usual, now = rated(rng, 400), rated(rng, 40)
    half = now.with_columns(stars=pl.when(pl.Series(rng.random(40) < 0.5)).then(1).otherwise(pl.col("stars")))
    assert stuck_run(now, usual, "stars", 0.1) is None
    assert stuck_run(half, usual, "stars", 0.4) is None


def test_values_that_usually_repeat_for_hours_are_not_stuck() -> None:
    """Rain goes on for some 60 rows, and so it does today."""
    at = pl.Series(np.arange(3_000) * 1_000_000).cast(pl.Datetime("us", "UTC"))
    weather = pl.DataFrame({"at": at, "rain": np.random.default_rng(3).random(60).repeat(50)})
    today = pl.DataFrame({"at": at[:60], "rain": np.full(60, 9.0)})
    assert stuck_run(today, weather, "rain", 1.0) is None
    assert stuck_run(today, weather.head(5), "rain", 1.0) is None, "too few rows to say"


def planted(folder: Path, share: float) -> list[Finding]:
    """The findings about prices, where `share` of them are 1 from the fault on."""
    rng = np.random.default_rng(4)

    def change(hour: int, event: dict[str, object]) -> dict[str, object]:
        return {**event, "price": 1.0} if hour >= FAULT_HOUR and rng.random() < share else event

    runtime = shop(folder, DAYS, change)
    rounds = Watcher(runtime, lambda latest: None).step(runtime.clock.now_us(), START_US + 29 * DAY_US)
    findings = [finding for latest in rounds for finding in latest.decision.findings]
    return [finding for finding in findings if finding.subject == "events.buy.price"]


def test_prices_that_are_all_one_are_our_own_fault_and_half_of_them_are_open(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "half").mkdir()
    stuck = planted(tmp_path / "all", 1.0)
    assert len(stuck) > 1
    for finding in stuck:
        assert finding.origin == "own"
        assert "likely our own: " in finding.message
        assert " rows in a row hold 1.0 since 2026-02-03T00:" in finding.message
    half = planted(tmp_path / "half", 0.5)
    assert half
    assert {finding.origin for finding in half} & {"own"} == set()
