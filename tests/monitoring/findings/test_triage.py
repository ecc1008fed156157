"""Triage: planted causes are named, and what nothing explains stays as its monitor said."""

import pytest

from flyball.monitoring import Finding
from flyball.monitoring.findings.triage import TriageContext, table_of, triage

HOUR_US = 3_600_000_000
NONE = TriageContext()


def shift(subject: str, medians: list[float] | None = None, monitor: str = "shift") -> Finding:
    evidence = {} if medians is None else {"medians": medians}
    return Finding(monitor, subject, 10 * HOUR_US, 9 * HOUR_US, "low", "it changed", "unknown", evidence)


def likely(findings: list[Finding], context: TriageContext = NONE) -> list[str]:
    return [finding.evidence.get("likely", "") for finding in triage(findings, context)]


@pytest.mark.parametrize(
    ("medians", "reason"),
    [
        ([19.9, 1_990.0], "the values are 100 times the usual ones"),
        ([19.9, 1_700.0], "the values are 100 times the usual ones"),
        ([2_000.0, 2.1], "the values are 1/1,000 of the usual ones"),
        ([19.9, 40.0], ""),
        ([19.9, 21.0], ""),
        ([0.0, 100.0], ""),
        ([-3.0, 300.0], ""),
        (None, ""),
    ],
)
def test_a_change_of_unit_is_named(medians: list[float] | None, reason: str) -> None:
    (said,) = likely([shift("events.Buy.price", medians)])
    assert said.startswith(reason)
    assert bool(said) == bool(reason)


def test_a_table_that_changed_as_one_has_one_source() -> None:
    findings = [shift(f"events.Buy.{name}") for name in ("price", "country", "note")]
    assert likely(findings) == ["3 columns of events.Buy changed at once, so their source did"] * 3
    assert likely(findings[:2]) == ["", ""]


def test_predictions_that_changed_with_a_release_are_its_doing() -> None:
    finding = shift("predictions.top_score")
    released = TriageContext("v3", 9 * HOUR_US + 60_000_000)
    assert likely([finding], released) == ["v3 became the champion at 1970-01-01T09:01:00Z"]
    assert likely([finding], TriageContext("v3", 5 * HOUR_US)) == [
        "no input changed, so the model, its features or its service did"
    ]
    assert likely([finding, shift("events.Buy.price")], NONE) == ["", ""]


def test_what_no_rule_explains_stays_as_it_was() -> None:
    volume = Finding("volume", "events.Buy", 10, 5, "high", "no rows", "own")
    world = shift("events.Buy.price")
    assert triage([volume, world], NONE) == (volume, world)
    (explained,) = triage([shift("events.Buy.price", [1.0, 100.0])], NONE)
    assert explained.origin == "own"
    assert explained.message == (
        "it changed; likely our own: the values are 100 times the usual ones, as by a change of unit"
    )
    assert [table_of(shift(subject)) for subject in ("events.Buy.price.x", "predictions.level")] == [
        "events.Buy",
        "predictions",
    ]
