"""What an observation says is what its finding says."""

from flyball.monitoring import Observation


def test_a_finding_has_all_that_was_observed() -> None:
    seen = Observation("shift", "events.Buy.price", 90.0, True, "median 3 → 5", "high", "world", {"p": 0.001})
    finding = seen.finding(20, 10)
    assert (finding.monitor, finding.subject, finding.message) == ("shift", "events.Buy.price", "median 3 → 5")
    assert (finding.at_us, finding.since_us, finding.severity, finding.origin) == (20, 10, "high", "world")
    assert finding.evidence == {"p": 0.001}
