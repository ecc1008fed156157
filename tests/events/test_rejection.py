"""What a rejection says: one stable word, what the value must be, and what it is."""

from typing import Annotated, Literal

import pytest

import flyball as fb
from flyball.events import Rejected, Schema

START_US = 1_770_000_000_000_000


class Parcel(fb.Event):
    user: Annotated[str, fb.Ref("user")]
    size: Literal["small", "large"]
    weights: list[int]
    stars: Annotated[int, fb.integer(1, 5)] = 3


GOOD = {"user": "u", "size": "small", "weights": [1, 2]}


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ({"size": "huge"}, "bad_choice", "size must be one of small, large, got 'huge'"),
        ({"weights": [1, "x"]}, "wrong_type", r"weights\[1\] must be an integer, got 'x'"),
        ({"stars": 6}, "out_of_range", "stars must be an integer <= 5, got 6"),
        ({"user": ""}, "bad_text", "user must be 1 to 400 bytes, got 0"),
    ],
)
def test_a_value_that_its_field_does_not_allow(fields: dict[str, object], reason: str, detail: str) -> None:
    with pytest.raises(Rejected, match=f"^{reason}: {detail}"):
        Schema([Parcel]).check("parcel", {**GOOD, **fields}, START_US, START_US)


def test_a_field_that_is_not_given() -> None:
    with pytest.raises(Rejected, match="^missing_field: size must be given"):
        Schema([Parcel]).check("parcel", {"user": "u", "weights": []}, START_US, START_US)
