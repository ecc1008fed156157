"""Policies as text."""

import pytest

import flyball as fb
from flyball.core import BadInput
from flyball.learning import RetrainingPolicy, parse_policy
from flyball.learning.retraining_policies import CONTINUAL, SCHEDULED, STATEFUL, TRIGGERED, default_policies

DAY_US = 86_400_000_000


LOSS = fb.on_performance("mae", worse_by="5%")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("manual", RetrainingPolicy("manual", "manual")),
        ("every:2d", RetrainingPolicy("every:2d", SCHEDULED, period_us=2 * DAY_US)),
        ("update:12h", RetrainingPolicy("update:12h", STATEFUL, period_us=DAY_US // 2, continues=True)),
        ("volume:500", RetrainingPolicy("volume:500", TRIGGERED, labels=500)),
        ("update:volume:500", RetrainingPolicy("update:volume:500", CONTINUAL, labels=500, continues=True)),
        ("performance:5%", RetrainingPolicy("performance:5%", TRIGGERED, performance=LOSS)),
        (
            "update:performance:5%",
            RetrainingPolicy("update:performance:5%", CONTINUAL, performance=LOSS, continues=True),
        ),
        (
            "performance:0.25",
            RetrainingPolicy("performance:0.25", TRIGGERED, performance=fb.on_performance("mae", worse_by=0.25)),
        ),
        (
            "every:1d@7d",
            RetrainingPolicy("every:1d@7d", SCHEDULED, period_us=DAY_US, window="7d", window_us=7 * DAY_US),
        ),
        (
            "performance:5%@drift",
            RetrainingPolicy("performance:5%@drift", TRIGGERED, performance=LOSS, window="drift"),
        ),
    ],
)
def test_a_policy_of_a_text(text: str, expected: RetrainingPolicy) -> None:
    assert parse_policy(text, "mae") == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "manual:1d", "every", "every:soon", "every:0s", "volume:0", "volume:-3", "performance:", "nightly:1d"),
        *("update:", "update:manual", "every:1d@", "every:1d@0s", "every:1d@soon", "update:1d@7d"),
    ],
)
def test_another_text_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(BadInput, match="polic"):
        parse_policy(text, "mae")


def test_by_default_there_is_one_of_each_stage() -> None:
    able = default_policies("mae", DAY_US, True)
    assert [policy.stage for policy in able] == ["manual", SCHEDULED, STATEFUL, CONTINUAL]
    unable = default_policies("mae", DAY_US, False)
    assert [policy.text for policy in unable] == ["manual", "every:1d", "performance:5%"]
    assert [policy.stage for policy in unable] == ["manual", SCHEDULED, TRIGGERED]
