"""Policies as text."""

import pytest

import flyball as fb
from flyball.core import BadInput
from flyball.learning import RetrainingPolicy, parse_policy
from flyball.learning.retraining_policies import default_policies

DAY_US = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("manual", RetrainingPolicy("manual", "manual")),
        ("every:2d", RetrainingPolicy("every:2d", "scheduled", period_us=2 * DAY_US)),
        ("update:12h", RetrainingPolicy("update:12h", "continued", period_us=DAY_US // 2, continues=True)),
        ("volume:500", RetrainingPolicy("volume:500", "triggered", labels=500)),
        (
            "performance:5%",
            RetrainingPolicy("performance:5%", "triggered", performance=fb.on_performance("mae", worse_by="5%")),
        ),
        (
            "performance:0.25",
            RetrainingPolicy("performance:0.25", "triggered", performance=fb.on_performance("mae", worse_by=0.25)),
        ),
    ],
)
def test_a_policy_of_a_text(text: str, expected: RetrainingPolicy) -> None:
    assert parse_policy(text, "mae") == expected


@pytest.mark.parametrize(
    "text", ["", "manual:1d", "every", "every:soon", "every:0s", "volume:0", "volume:-3", "performance:", "nightly:1d"]
)
def test_another_text_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(BadInput, match="polic"):
        parse_policy(text, "mae")


def test_by_default_there_is_one_of_each_stage() -> None:
    assert [policy.stage for policy in default_policies("mae", DAY_US, True)] == [
        "manual",
        "scheduled",
        "triggered",
        "continued",
    ]
    assert [policy.text for policy in default_policies("mae", DAY_US, False)] == [
        "manual",
        "every:1d",
        "performance:5%",
    ]
