"""Rules of alerts: what may be declared, and what a monitor's delay is."""

import re
from typing import Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration


def test_without_rules_alerts_fire_at_the_first_look() -> None:
    delay = fb.alerts().delay("volume")
    assert (delay.looks, delay.lasts_us) == (1, 0)


def test_the_first_rule_that_matches_counts() -> None:
    plan = fb.alerts(after={"miss*": "10m", "volume": 3, "*": 2})
    assert plan.delay("missing-daily").lasts_us == 600_000_000
    assert [plan.delay(name).looks for name in ("missing", "volume", "shift")] == [1, 3, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_call": "ann"}, "on_call of fb.alerts(...) must be a list of names"),
        ({"on_call": ["ann", ""]}, "must be a list of names"),
        ({"on_call": ["ann", "ann"]}, "names that differ from each other"),
        ({"after": 0}, "a number of looks from 1 on, got 0"),
        ({"after": {"volume": True}}, "a number of looks, such as 2, or a duration"),
        ({"after": {"volumes": 2}}, "monitor in after of fb.alerts(...) must be one of calibration, consumer,"),
        ({"after": {"volumes": 2}}, "or a pattern of them with * (did you mean volume?), got 'volumes'"),
        ({"after": {"fresh*": 2}}, "or a pattern of them with *, got 'fresh*'"),
        ({"after": "soon"}, "after of fb.alerts(...) must be a duration as text"),
        ({"acknowledge": "0s"}, "acknowledge of fb.alerts(...) must be a duration as text"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadDeclaration, match=re.escape(message)):
        fb.alerts(**arguments)
