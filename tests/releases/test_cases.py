"""What became of a case, read off its run and the release of its version."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball.registry import INTERRUPTED, Case, Registry, Run, open_case, refuse_case
from flyball.releases import CaseReport, Release, case_table, payoff_text, waiting_cases
from flyball.releases.cases import _report

CASE = Case(id="c4", app="shop", trigger="fb.on_drift()", kind="drift", cause="km drifted", opened_us=0, run="r2")
RUN = Run(id="r2", app="shop", as_of_us=0, started_us=0, status="done")
CANDIDATES = [
    {"name": "popular", "outcome": "compared", "reason": ""},
    {"name": "svd", "outcome": "passed", "reason": ""},
    {"name": "ease", "outcome": "rejected", "reason": "worse than the champion"},
]


def report(run: Run | None, state: Any = None, served: bool = False, case: Case = CASE) -> CaseReport:
    releases = {}
    if state is not None:
        releases["v7"] = Release(id="rel3", kind="canary", state=state, arms=(), salt="")
    return _report(case, run, releases, {"v7"} if served else set())


def done(chosen: str) -> Run:
    return msgspec.structs.replace(RUN, report={"chosen": chosen, "candidates": CANDIDATES, "seconds": 2.5})


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("canary", "in release"),
        ("held", "in release"),
        ("champion", "promoted"),
        ("retired", "promoted"),
        ("rolled_back", "undone"),
        ("aborted", "undone"),
        ("ended", "ended"),
        (None, "not released"),
    ],
)
def test_the_verdict_follows_the_release(state: Any, verdict: str) -> None:
    described = report(done("v7"), state)
    assert (described.verdict, described.version, described.seconds) == (verdict, "v7", 2.5)
    assert described.gates == {"svd": "", "ease": "worse than the champion"}
    assert described.release_state == (state or "")


def test_a_champion_without_a_release_was_promoted_by_hand() -> None:
    assert report(done("v7"), served=True).verdict == "promoted"


@pytest.mark.parametrize(
    ("run", "case", "verdict"),
    [
        (None, {"status": "waiting"}, "waiting"),
        (None, {"status": "running"}, "running"),
        (None, {"status": "closed", "refusals": [{"at_us": 1, "reason": "cooldown"}]}, "withdrawn"),
        (None, {"status": "closed"}, "failed"),
        (msgspec.structs.replace(RUN, status="running"), {}, "running"),
        (msgspec.structs.replace(RUN, status="failed"), {}, "failed"),
        (None, {"status": "interrupted"}, "interrupted"),
        (None, {"status": "closed", "outcome": INTERRUPTED}, "interrupted"),
        (msgspec.structs.replace(RUN, status="interrupted"), {}, "interrupted"),
        (msgspec.structs.replace(RUN, status="too_little_data"), {}, "too little data"),
        (done(""), {}, "rejected"),
    ],
)
def test_without_a_version_the_verdict_is_that_of_the_run(run: Run | None, case: Any, verdict: str) -> None:
    assert report(run, case=msgspec.structs.replace(CASE, **case)).verdict == verdict


ROW = {
    "offline_metric": "ndcg@20",
    "predicted": 0.0123,
    "online_metric": "bought",
    "measured": 0.02,
    "measured_low": -0.01,
    "measured_high": None,
    "missing": "",
}


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (None, None),
        (ROW, "bought +0.02 [-0.01, no limit]"),
        ({**ROW, "measured": None}, "expected ndcg@20 +0.0123; not measured yet"),
        ({**ROW, "measured": None, "predicted": None, "missing": "no control"}, "no control"),
    ],
)
def test_the_payoff_in_words(row: Any, text: str | None) -> None:
    described = msgspec.structs.replace(report(done("v7"), "champion"), payoff=row)
    assert payoff_text(described) == text
    columns, rows = case_table([described])
    assert dict(zip(columns, rows[0], strict=True)) == {
        "case": "c4",
        "opened": "1970-01-01T00:00:00Z",
        "trigger": "fb.on_drift()",
        "cause": "km drifted",
        "run": "r2",
        "version": "v7",
        "verdict": "promoted",
        "payoff": text,
    }


def test_a_payoff_that_rounds_to_zero_has_no_minus() -> None:
    row = {
        "predicted": -0.0,
        "offline_metric": "mae",
        "missing": "",
        "measured": None,
        "online_metric": "absolute_error",
        "measured_low": -0.0,
        "measured_high": None,
    }
    report = CaseReport(case=CASE, verdict="promoted", payoff=row)
    assert payoff_text(report) == "expected mae +0; not measured yet"
    assert payoff_text(msgspec.structs.replace(report, payoff={**row, "measured": -0.0})) == (
        "absolute_error +0 [+0, no limit]"
    )


def test_cases_that_wait_say_why(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    waiting = open_case(registry, msgspec.structs.replace(CASE, id="", run=""))
    assert waiting_cases(registry) == []
    refuse_case(registry, waiting, 1, "v4 was rolled back")
    assert waiting_cases(registry) == ["c1 of fb.on_drift() waits: v4 was rolled back"]
