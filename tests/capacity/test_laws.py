"""Laws find the line that was planted, and say how far they are extrapolated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.capacity.laws import Measured, fitted_law
from flyball.core import BadInput


@given(st.floats(0, 1e6), st.floats(0.1, 1e4), st.floats(0.1, 1e4))
def test_a_planted_line_in_two_sizes_is_found(base: float, by_user: float, by_item: float) -> None:
    points = [
        Measured({"users": users, "items": items}, base + by_user * users + by_item * items)
        for users, items in ((300.0, 500.0), (600.0, 500.0), (600.0, 1_000.0))
    ]
    law = fitted_law(points)
    sizes = {"users": 10_000.0, "items": 20_000.0}
    assert law.at(sizes) == pytest.approx(base + by_user * 10_000 + by_item * 20_000, rel=1e-4)


def test_what_grows_by_less_than_the_noise_is_constant() -> None:
    law = fitted_law([Measured({"items": 500.0}, 1.0), Measured({"items": 1_000.0}, 1.05)], noise=0.1)
    assert law.at({"items": 1e6}) == 1.05
    assert law.beyond({"items": 1e6}) == 0.0


def test_what_shrinks_is_not_extrapolated_below_zero() -> None:
    law = fitted_law([Measured({"items": 500.0}, 2.0), Measured({"items": 1_000.0}, 1.0)])
    assert law.at({"items": 1e9}) > 0


def test_the_farthest_size_says_how_far_beyond_what_was_measured() -> None:
    points = [Measured({"users": 10.0, "items": 10.0}, 20.0), Measured({"users": 20.0, "items": 10.0}, 30.0)]
    points.append(Measured({"users": 20.0, "items": 20.0}, 40.0))
    assert fitted_law(points).beyond({"users": 40.0, "items": 300.0}) == 15.0


def test_one_size_is_no_law() -> None:
    with pytest.raises(BadInput, match="measured sizes of a law must be two or more"):
        fitted_law([Measured({"items": 1.0}, 1.0), Measured({"items": 1.0}, 2.0)])
