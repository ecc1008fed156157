"""A fault planted in one of three sources is found with its name; the same fault in all of them without one."""

from pathlib import Path

import pytest
from tests.monitoring.watch.shops import DAY_US, DAYS, FAULT_HOUR, START_US, shop

from flyball.monitoring import Finding, Watcher, group_of

SOURCES = ("/in/till-2026-01-01.jsonl", "web", "partner")


def source_of(event: dict[str, object]) -> str:
    return SOURCES[int(str(event["visitor"])) % 2 * (1 + int(str(event["visitor"])) % 4 // 3)]


def planted(folder: Path, what: str, sources: tuple[str, ...]) -> list[Finding]:
    """The findings of the days of the fault, the first time they are seen and again."""

    def change(hour: int, event: dict[str, object]) -> dict[str, object] | None:
        if hour < FAULT_HOUR or source_of(event) not in sources:
            return event
        if what == "outage":
            return None
        return {**event, "price": event["price"] * 3} if what == "price" else {**event, "coupon": "spring"}  # type: ignore[operator]

    runtime = shop(folder, DAYS, change, source_of=source_of)
    rounds = Watcher(runtime, lambda latest: None).step(runtime.clock.now_us(), START_US + 29 * DAY_US)
    return [finding for latest in rounds for finding in latest.decision.findings]


@pytest.mark.parametrize(
    ("what", "subject", "unnamed"), [("price", "events.buy.price", 0), ("outage", "events.buy", 0)]
)
def test_the_source_of_a_fault_is_named_as_soon_as_its_rows_show_it(
    tmp_path: Path, what: str, subject: str, unnamed: int
) -> None:
    findings = [finding for finding in planted(tmp_path, what, SOURCES[:1]) if finding.subject == subject]
    assert len(findings) > 1 + unnamed
    assert not any("source" in finding.evidence for finding in findings[:unnamed])
    for finding in findings[unnamed:]:
        assert "only what till-*.jsonl sends changed (" in finding.message
        assert "), 2 other sources are as before" in finding.message
        assert ("median " if what == "price" else "0 rows, usually ") in str(finding.evidence["source_change"])
        assert (finding.origin, finding.evidence["source"], group_of(finding)) == (
            "own",
            "till-*.jsonl",
            "till-*.jsonl",
        )


def test_a_change_of_all_sources_has_none(tmp_path: Path) -> None:
    findings = planted(tmp_path, "price", SOURCES)
    assert findings
    assert not any("source" in finding.evidence for finding in findings)


def test_a_source_that_stops_is_one_incident_with_the_shift_it_makes(tmp_path: Path) -> None:
    """Items of the web are others than those of the till: without the till the items are distributed otherwise."""

    def change(hour: int, event: dict[str, object]) -> dict[str, object] | None:
        source = source_of(event)
        return None if hour >= FAULT_HOUR and source == SOURCES[0] else {**event, "coupon": source[-5:]}

    runtime = shop(tmp_path, DAYS, change, source_of=source_of)
    rounds = Watcher(runtime, lambda latest: None).step(runtime.clock.now_us(), START_US + 29 * DAY_US)
    findings = [finding for latest in rounds for finding in latest.decision.findings]
    of_source = [finding for finding in findings if finding.monitor == "source_volume"]
    assert {finding.subject for finding in of_source} == {"events.buy.source=till-*.jsonl"}
    assert "source till-*.jsonl of events.buy sent nothing since 2026-02-03T00:00:00Z, expected" in of_source[0].message
    shifts = [finding for finding in findings if finding.subject == "events.buy.coupon"]
    assert shifts
    assert all("till-*.jsonl sends nothing, what 2 other sources send is as before" in seen.message for seen in shifts)
    assert {(finding.origin, group_of(finding)) for finding in findings} == {("own", "till-*.jsonl")}
