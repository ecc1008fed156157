"""Silences: what they cover, and until when."""

import pytest
from tests.monitoring.incidents.world import HOUR, START, finding

from flyball.core import BadInput
from flyball.monitoring.incidents.silence import Silence, check_matches, silence_of


def silence(**matches: str) -> Silence:
    return Silence(id="sil1", matches=matches, starts_us=START, ends_us=START + HOUR, by="ann", reason="a move")


def test_all_matchers_must_match() -> None:
    seen = finding("events.Watch.minute")
    assert silence(monitor="miss*").covers(seen, START)
    assert silence(monitor="missing", group="events.Watch").covers(seen, START)
    assert not silence(monitor="missing", group="events.Rate").covers(seen, START)
    assert silence(subject="events.*", severity="low", origin="own").covers(seen, START)


def test_it_begins_at_its_start_and_ends_before_its_end() -> None:
    times = (START - 1, START, START + HOUR - 1, START + HOUR)
    assert [silence(monitor="*").covers(finding(), at_us) for at_us in times] == [False, True, True, False]
    assert silence_of(finding(), [silence(monitor="other"), silence(monitor="*")], START) == "sil1"


def test_mistakes_are_named() -> None:
    with pytest.raises(BadInput, match="such as monitor=volume, got 'none'"):
        check_matches({})
    with pytest.raises(BadInput, match="one of monitor, subject, group, severity, origin, got 'table'"):
        check_matches({"table": "x"})
    with pytest.raises(BadInput, match="pattern of monitor"):
        check_matches({"monitor": ""})
    with pytest.raises(
        BadInput, match=r"pattern of monitor must be one of .* \(did you mean missing\?\), got 'mising'"
    ):
        check_matches({"monitor": "mising"})
    assert check_matches({"monitor": "*-daily"}) == {"monitor": "*-daily"}
    with pytest.raises(BadInput, match="pattern of severity must be one that matches low or high, got 'medium'"):
        check_matches({"severity": "medium"})
    with pytest.raises(BadInput, match="pattern of origin must be one that matches own or world or unknown, got 'us'"):
        check_matches({"origin": "us"})
    assert check_matches({"severity": "h*", "origin": "own"}) == {"severity": "h*", "origin": "own"}
