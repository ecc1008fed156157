"""The payoff of a case is the row of the impact ledger of its version."""

from pathlib import Path

import msgspec
from tests.learning.changing import START_US, changing, filled

from flyball.experiments import impact_ledger
from flyball.learning import learn, with_payoffs
from flyball.releases import case_reports


def test_the_payoff_is_that_of_the_ledger_which_names_the_case(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(), 5)
    learn(runtime, workers=1, by="ann")
    reports = case_reports(runtime.registry)
    now_us = runtime.clock.now_us()
    (row,) = impact_ledger(runtime, now_us).rows
    assert (reports[0].verdict, reports[0].version, row.case) == ("promoted", "v1", "c1")
    assert reports[0].case.cause == "started by ann"
    assert [report.payoff for report in with_payoffs(runtime, reports, now_us)] == [msgspec.to_builtins(row)]
    assert now_us > START_US


def test_without_a_release_nothing_is_measured(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(), 1)
    assert learn(runtime, START_US + 5, workers=1).status == "too_little_data"
    reports = case_reports(runtime.registry)
    assert [report.verdict for report in reports] == ["too little data"]
    assert with_payoffs(runtime, reports, runtime.clock.now_us()) == reports
