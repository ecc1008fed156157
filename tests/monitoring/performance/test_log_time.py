"""Labels are final by the log: in every report alike, and the advice is one that helps."""

import re
from pathlib import Path

import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, WITHIN_DAYS, answer, bank, bank_app, market

from flyball.core import ManualClock, Refused
from flyball.monitoring import exposure_report, fairness_report, performance_report
from flyball.monitoring.performance.log_time import LAGS_FROM_US, LogTime, lag_text
from flyball.operations import catch_up, status
from flyball.runtime import Runtime

GROUPED = {"groups": ("merchant",)}


def later(runtime: Runtime, days: float) -> Runtime:
    """The same home, so many days after the clock stood at the end of its log."""
    now_us = runtime.clock.now_us() + int(days * DAY_US)
    return Runtime(runtime.app, runtime.settings, ManualClock(now_us))


@pytest.mark.parametrize(("behind_us", "lags"), [(LAGS_FROM_US - 1, False), (LAGS_FROM_US, True)])
def test_a_log_lags_from_an_hour_behind_the_clock_on(behind_us: int, lags: bool) -> None:
    time = LogTime(START_US, START_US + behind_us)
    assert (time.as_of_us, time.lags) == (START_US + 1, lags)
    assert time.text() == f"the log's latest event is of 2026-01-01T00:00:00Z{', which lags behind the clock' * lags}"
    assert LogTime(0, START_US).text() == "the log holds no event"


def test_status_counts_the_same_labels_as_final_as_the_reports_however_late_the_clock_is(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=8, daily=48, app=bank_app(**GROUPED))
    event = {"payment": 9_999, "card": 1, "merchant": "acme", "amount": 1.0}
    latest_us = START_US + 8 * DAY_US - 1_200_000_000
    runtime.log.append([runtime.schema.check("payment", event, latest_us, latest_us)])
    catch_up(runtime)
    final = (8 - WITHIN_DAYS) * 48  # the last of them half an hour before midnight
    for days in (0, 30):
        at = later(runtime, days)
        label = status(at).outcomes["v1"].labels["chargeback"]
        assert (label.mature, label.open) == (final, 8 * 48 - final)
        assert fairness_report(at, days=8).labeled == final
        report = performance_report(at, last_us=4 * DAY_US, before_us=4 * DAY_US)
        assert report.labeled + report.before_labeled == final
        lag = "labels are final by the log, not by the clock: the log's latest event is of 2026-01-08T23:40:00Z, "
        expected = f"{lag}which lags behind the clock" if days else ""
        assert status(at).lag == report.lag == fairness_report(at, days=8).lag == expected


def test_more_days_are_advised_where_they_help(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=8, daily=2, app=bank_app(**GROUPED))
    until_us = START_US + 12 * DAY_US
    with pytest.raises(Refused, match=r"the first answers are of 2026-01-01.*: look at more days with --days 9\Z"):
        fairness_report(runtime, days=1, until_us=until_us)
    assert fairness_report(runtime, days=9, until_us=until_us).labeled == 8 * 2


def test_where_no_answer_is_old_enough_it_is_said_when_its_label_is_final(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=2, daily=48, app=bank_app(**GROUPED))
    begins = (
        "got none: the first answers are of 2026-01-01T00:00:00Z, and their labels final from 2026-01-04T00:00:00Z "
        "on; the log's latest event is of 2026-01-02T23:42:40Z"
    )
    for at, ends in (
        (runtime, ": look again in 1d18m"),
        (later(runtime, 9), ", which lags behind the clock: ingest the events since"),
    ):
        with pytest.raises(Refused, match=re.escape(f"in the 28 days looked at, {begins}{ends}") + r"\Z"):
            fairness_report(at, days=28)
    with pytest.raises(Refused, match="looked at, got none: no answer of v9 is in the log yet"):
        fairness_report(runtime, days=28, version="v9")


def test_a_longer_time_to_compare_with_is_advised_only_where_there_is_one(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=8, daily=20, app=bank_app())
    until_us = START_US + 8 * DAY_US
    short = performance_report(runtime, last_us=DAY_US, before_us=DAY_US, until_us=until_us)
    assert short.unknown["before"].endswith("compare with a longer time, by --before")
    young = bank(tmp_path / "young", days=2, daily=20, app=bank_app())
    whole = performance_report(young, last_us=DAY_US, before_us=DAY_US, until_us=START_US + 2 * DAY_US)
    assert whole.unknown["before"].endswith("so a longer time has no more")


def test_answers_behind_the_latest_event_are_named_as_such(tmp_path: Path) -> None:
    runtime = market(tmp_path, days=0)
    lists = {"items": ["i1"], "scores": [1.0], "sources": ["model"]}
    request = {"user": 1, "k": 3, "context": None, "without": []}
    runtime.predictions.append([answer(START_US, 1, "1", "recommendrequest", request, **lists)])
    catch_up(runtime)
    words = "looked at, got none: the first answers are of 2026-01-01T00:00:00Z, and the log holds no event: ingest the"
    with pytest.raises(Refused, match=words):
        exposure_report(runtime, last_us=DAY_US, every_us=DAY_US)
    with pytest.raises(Refused, match=words):
        performance_report(runtime, last_us=DAY_US, before_us=DAY_US)


def test_the_log_of_a_simulated_home_does_not_lag(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=3)
    late = later(runtime, 9)
    assert lag_text(late)
    late.layout.simulated.touch()
    assert lag_text(late) == ""
