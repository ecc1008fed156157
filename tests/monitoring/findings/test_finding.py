"""A finding is known again by its monitor and subject."""

from flyball.monitoring import Finding, fingerprint_of


def test_the_fingerprint_depends_on_monitor_and_subject_alone() -> None:
    first = Finding("volume", "events.Buy", 10, 0, "low", "few rows")
    later = Finding("volume", "events.Buy", 99, 5, "high", "no rows", "own", {"rows": 0})
    assert first.fingerprint == later.fingerprint == fingerprint_of("volume", "events.Buy")
    others = {fingerprint_of("volume", "events.Bu"), fingerprint_of("volumee", "vents.Buy"), first.fingerprint}
    assert len(others) == 3
