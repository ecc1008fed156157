"""`fb.watch`: what it takes, and what it says about what it does not take."""

from typing import Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration


def test_the_defaults_look_every_hour() -> None:
    assert fb.watch().looks_a_month == 720
    assert fb.watch("1d", ignore=["predictions"]).ignore == ("predictions",)


@pytest.mark.parametrize(
    ("arguments", "must"),
    [
        ({"every": "7h"}, "a part of a day"),
        ({"every": "2d"}, "a part of a day"),
        ({"every": "10s"}, "5m"),
        ({"every": 3}, "every of watch"),
        ({"days": 3}, "from 7 to 365"),
        ({"days": True}, "from 7 to 365"),
        ({"false_findings": 0}, "above 0"),
        ({"false_findings": float("nan")}, "above 0"),
        ({"false_findings": "1"}, "above 0"),
        ({"least": 1.0}, "above 0 and below 1"),
        ({"least": 0}, "above 0 and below 1"),
        ({"ignore": "predictions"}, "a list of subjects"),
        ({"ignore": [3]}, "a list of subjects"),
    ],
)
def test_what_it_does_not_take_is_named(arguments: dict[str, Any], must: str) -> None:
    with pytest.raises(BadDeclaration, match=must):
        fb.watch(**arguments)
