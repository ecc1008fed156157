"""The ledger: signs, pairs, exports; a release that cannot be measured is still in it."""

from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from tests.experiments.market import ARMS, START_US, candidate_of, market, register, release

import flyball as fb
from flyball.core import BadInput
from flyball.experiments import ImpactRow, compared, export_impact, impact_ledger, impact_table, predicted
from flyball.operations import catch_up
from flyball.policy import metric
from flyball.registry import add_versions, begin_run, end_run


def row(number: int, predicted: float | None, measured: float | None, verdict: str = "undecided") -> ImpactRow:
    return ImpactRow(
        release=f"rel{number}",
        kind="ab",
        state="ended",
        version=f"v{number}",
        over="v1",
        started_us=START_US,
        ended_us=0,
        offline_metric="ndcg@3",
        predicted=predicted,
        online_metric="bought",
        measured=measured,
        verdict=verdict,
    )


def test_offline_and_online_are_compared_over_changes_that_have_both() -> None:
    rows = [row(1, 0.1, 0.02, "better"), row(2, 0.2, -0.01), row(3, -0.1, -0.03, "worse"), row(4, 0.3, 0.05, "better")]
    (pair,) = compared([*rows, row(5, None, 0.4), row(6, 0.4, None)])
    assert (pair.changes, pair.agreed, pair.decided, pair.decided_agreed) == (4, 3, 3, 3)
    assert pair.correlation == pytest.approx(0.7947, abs=1e-3)
    assert pair.low is not None
    assert pair.low < 0 < pair.correlation
    assert pair.sentence.startswith("ndcg@3 pointed the way bought went in 3 of 4 changes, in 3 of the 3 that were")
    (few,) = compared(rows[:2])
    assert "too few for a correlation" in few.sentence


def report(better: str, **difference: float) -> Any:
    evaluated = {
        "knn": {"name": "knn", "role": "candidate", "kind": "k"},
        "v1": {"name": "v1", "role": "champion", "kind": "k"},
    }
    return {
        "evaluation": {
            "requests": 10,
            "units": 10,
            "start_us": 0,
            "end_us": 1,
            "last_us": 1,
            "seed": 1,
            "resamples": 100,
            "better": {"ndcg@3": better},
            "evaluated": evaluated,
            "differences": {"ndcg@3": {"knn": {"v1": difference}}},
        }
    }


def test_a_ledger_has_what_was_expected_and_what_came(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=1_500)
    registry = runtime.registry
    run = begin_run(registry, "market", 5, 6)
    usual = candidate_of(run, "knn", "ItemKNN")
    add_versions(registry, [usual] * 3)
    end_run(registry, run, "done", 7, report=report("high", value=0.02, low=0.01, high=0.03))
    immediate = msgspec.structs.replace(
        release(), id="rel2", kind="immediate", arms=(ARMS[0], msgspec.structs.replace(ARMS[1], version="v3"))
    )
    draft = msgspec.structs.replace(release(), id="rel3", started_us=0)
    _after(runtime, immediate, draft)
    catch_up(runtime)
    ledger = impact_ledger(runtime, runtime.clock.now_us())
    first, second = ledger.rows
    assert (first.release, first.version, first.online_metric, first.verdict) == ("rel1", "v2", "bought", "better")
    assert first.measured_low is not None
    assert first.measured_high is not None
    assert first.measured_low < 0.1 < first.measured_high
    assert second.missing == "immediate releases have no control to compare with"
    columns, rows = impact_table(ledger)
    assert len(columns) == len(rows[0])
    lower = predicted(registry, "v2", "ndcg@3")
    assert lower is not None
    assert (lower.value, lower.low, lower.high) == (0.02, 0.01, 0.03)
    assert predicted(registry, "v9", "ndcg@3") is None
    for kind in ("csv", "parquet", "json"):
        assert export_impact(ledger, tmp_path / f"impact.{kind}", kind) == 2
    assert pl.read_parquet(tmp_path / "impact.parquet")["release"].to_list() == ["rel1", "rel2"]
    assert msgspec.json.decode((tmp_path / "impact.json").read_bytes())["rows"][0]["verdict"] == "better"
    assert "rel1" in (tmp_path / "impact.csv").read_text()
    with pytest.raises(BadInput, match="one of csv, parquet, json"):
        export_impact(ledger, tmp_path / "impact.xls", "xls")


def test_where_low_is_better_a_fall_is_a_gain(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=0)
    run = begin_run(runtime.registry, "market", 5, 6)
    version = candidate_of(run, "knn", "ItemKNN")
    add_versions(runtime.registry, [version])
    end_run(runtime.registry, run, "done", 7, report=report("low", value=-0.02, low=-0.04, high=0.01))
    gain = predicted(runtime.registry, "v1", "ndcg@3")
    assert gain is not None
    assert (gain.value, gain.low, gain.high) == (0.02, -0.01, 0.04)


def test_what_is_measured_online_is_compared_with_the_same_offline(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=0)
    run = begin_run(runtime.registry, "market", 5, 6)
    add_versions(runtime.registry, [candidate_of(run, "knn", "ItemKNN")] * 2)
    both = report("low", value=-0.02, low=-0.04, high=0.01)
    both["evaluation"]["better"] |= {"log_loss": "low", "coverage": 0.8}
    both["evaluation"]["differences"] |= {
        name: {"knn": {"v1": {"value": -0.3, "low": -0.5, "high": -0.1}}} for name in ("log_loss", "coverage")
    }
    end_run(runtime.registry, run, "done", 7, report=both)
    assert predicted(runtime.registry, "v2", "coverage") is None, "a difference is no gain where a target is set"
    for loss, name, value in (("log_loss", "log_loss", 0.3), ("brier", "ndcg@3", 0.02), ("coverage", "ndcg@3", 0.02)):
        runtime.app.metrics = {loss: metric.model(loss, role="primary", better="low")}
        runtime.app.choose = fb.best("ndcg@3")
        (row,) = impact_ledger(runtime, runtime.clock.now_us()).rows
        assert (row.offline_metric, row.predicted) == (name, value)


def _after(runtime: Any, *releases: Any) -> None:
    """Further releases, behind the one that the market has registered."""
    register(runtime, *releases, first=1)


def test_two_candidates_of_one_run_were_compared_there(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=0)
    run = begin_run(runtime.registry, "market", 5, 6)
    add_versions(runtime.registry, [candidate_of(run, "knn", "ItemKNN"), candidate_of(run, "ease", "EASE")])
    known = report("high")
    known["evaluation"]["differences"] = {"ndcg@3": {"knn": {"ease": {"value": 0.02, "low": -0.01, "high": 0.04}}}}
    end_run(runtime.registry, run, "done", 7, report=known)
    for version, over, expected in (("v1", "v2", (0.02, -0.01, 0.04)), ("v2", "v1", (-0.02, -0.04, 0.01))):
        gain = predicted(runtime.registry, version, "ndcg@3", over)
        assert gain is not None
        assert (gain.value, gain.low, gain.high) == expected
    assert predicted(runtime.registry, "v1", "ndcg@3") is None
