"""Rates as text."""

import pytest

from flyball.core import BadInput
from flyball.limits import LONGEST_S, Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("200/s, burst 400", Rate(5_000_000, 400)),
        ("3/s", Rate(333_333_334, 2)),
        ("10/s,burst 20", Rate(100_000_000, 20)),
        ("60/m", Rate(1_000_000_000, 1)),
        ("1/h", Rate(3_600_000_000_000, 1)),
        ("none", None),
    ],
)
def test_a_rate(text: str, rate: Rate | None) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "200", "0/s", "-1/s", "1/d", "1/s burst 2", "1/s, burst 0", "1/h, burst 2", "١/s"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(BadInput, match="rate must be "):
        parse_rate(text)


def test_no_bucket_takes_longer_than_an_hour_to_fill() -> None:
    rate = parse_rate(f"1/s, burst {LONGEST_S}")
    assert rate is not None
    assert rate.burst == LONGEST_S
    with pytest.raises(BadInput, match="burst of a rate must be from 1 to what comes in an hour at the rate"):
        parse_rate(f"1/s, burst {LONGEST_S + 1}")
