"""A source that stops is found and named; sources that come, go, are renamed, or stop all at once are not."""

from datetime import UTC

import numpy as np
import pytest

from flyball.monitoring.findings.budget import MonitorState, decide_findings, suspects_of
from flyball.monitoring.findings.finding import Finding
from flyball.monitoring.watch.counted import CountedLook
from flyball.monitoring.watch.season import earlier_windows, like_window, weekday_of
from flyball.monitoring.watch.source_rows import source_key
from flyball.monitoring.watch.source_volume import observe_sources

DAY_US, START_US, STOPS, DAYS = 86_400_000_000, 1_767_571_200_000_000, 28, 40
ADX, BIDCO, CENTO, OTHER = (number << 32 for number in (1, 2, 3, 4))
NAMES = {ADX: "adx", BIDCO: "bidco", CENTO: "cento", OTHER: "other"}
TABLE = "events.impression"
RATES = {ADX: 700, BIDCO: 450, CENTO: 250, OTHER: 0}


def volumes(rates: dict[int, int], since: int = STOPS) -> dict[str, dict[int, int]]:
    """Rows of days, clustered and more on weekends, from `since` on with other rates."""
    rng = np.random.default_rng(3)
    counted: dict[str, dict[int, int]] = {source_key(source, TABLE): {} for source in RATES}
    for day in range(DAYS):
        weekend = 1.4 if day % 7 >= 5 else 1.0
        for source, usual in RATES.items():
            mean = rates.get(source, usual) if day >= since else usual
            rows = int(rng.poisson(mean * weekend * rng.lognormal(0, 0.12)))
            if rows or day >= since:
                counted[source_key(source, TABLE)][START_US + day * DAY_US] = rows
    return counted


def found(counted: dict[str, dict[int, int]]) -> list[Finding]:
    """The new findings of all days."""
    states: dict[str, MonitorState] = {}
    findings = []
    for day in range(14, DAYS):
        start_us = START_US + day * DAY_US

        def season(at_us: int) -> list[int]:
            like = like_window(earlier_windows(at_us, DAY_US, 28, UTC), weekday_of(at_us, UTC))
            return [at_us, *(window.start_us for window in like)]

        seasons = [season(start_us - back * DAY_US) for back in range(20)]
        look = CountedLook(start_us, DAY_US, seasons, [], suspects_of(states, start_us))
        known = {key: {at: rows for at, rows in counts.items() if at <= start_us} for key, counts in counted.items()}
        seen = list(observe_sources(look, known, NAMES))
        decision = decide_findings(states, seen, since_us=start_us, at_us=start_us + DAY_US, run_length=30)
        states = decision.states
        findings += [finding for finding in decision.findings if finding.fingerprint in decision.new]
    return findings


def test_a_source_that_stops_is_named_with_since_when_and_what_was_expected() -> None:
    (finding,) = found(volumes({CENTO: 0}))
    assert (finding.monitor, finding.subject) == ("source_volume", f"{TABLE}.source=cento")
    assert (finding.origin, finding.severity, finding.evidence["source"]) == ("own", "high", "cento")
    assert "source cento of events.impression sent nothing since 2026-02-02T00:00:00Z, expected 2" in finding.message
    assert finding.message.endswith("2 other sources send as usual")
    assert finding.since_us == START_US + STOPS * DAY_US


@pytest.mark.parametrize(
    ("rates", "why"),
    [
        ({}, "nothing happened"),
        ({CENTO: 0, OTHER: 250}, "it was renamed"),
        ({CENTO: 0, BIDCO: 700}, "another one sends its rows"),
        ({ADX: 0, BIDCO: 0, CENTO: 0}, "all stopped, which is of the table"),
        ({CENTO: 200}, "too little is missing"),
    ],
)
def test_what_is_not_of_one_source_is_no_finding_of_one(rates: dict[int, int], why: str) -> None:
    assert found(volumes(rates)) == [], why


def test_a_file_that_came_once_is_not_missed() -> None:
    counted = volumes({})
    counted[source_key(OTHER, TABLE)] = {START_US + day * DAY_US: 5_000 * (day == 4) for day in range(4, DAYS)}
    assert found(counted) == []


def test_a_table_of_one_source_is_left_to_its_volume() -> None:
    key = source_key(ADX, TABLE)
    assert found({key: volumes({ADX: 0})[key]}) == []
