"""Arguments are checked at their edges, and a refusal says which one, where, and what it must be."""

import math

import numpy as np
import pytest

from flyball.core import BadInput
from flyball.statistics.checks import (
    SIDES,
    check_alpha,
    check_counts,
    check_positive,
    check_side,
    check_vector,
    class_probabilities,
    doubles,
    finite,
    number,
    number_array,
)


def test_alpha_lies_between_0_and_1_without_them() -> None:
    assert check_alpha(1e-12) == 1e-12
    assert check_alpha(1 - 1e-12) == 1 - 1e-12
    for wrong in (0, 1, -0.1, 1.5, math.nan):
        with pytest.raises(BadInput, match="beta must be between 0 and 1, such as 0.05, got"):
            check_alpha(wrong, "beta")


def test_a_side_is_one_of_three() -> None:
    assert [check_side(side) for side in SIDES] == ["two", "greater", "less"]
    with pytest.raises(BadInput, match="side must be one of two, greater, less, got 'both'"):
        check_side("both")


@pytest.mark.parametrize("wrong", [0, -1, math.inf, math.nan])
def test_positive_is_above_0_and_finite(wrong: float) -> None:
    check_positive(first=5e-324, second=1e308)
    with pytest.raises(BadInput, match="second must be a number above 0"):
        check_positive(first=1, second=wrong)


def test_doubles_keep_shape_and_values_limits_included() -> None:
    checked = doubles("rewards", [[0, 1], [1, 0]], 0, 1)
    assert (checked.dtype, checked.tolist()) == (np.float64, [[0.0, 1.0], [1.0, 0.0]])
    assert doubles("rewards", []).shape == (0,)


@pytest.mark.parametrize(
    ("values", "limits", "message"),
    [
        ([1, math.nan, math.inf], (), "rewards at position 1 must be finite, got nan"),
        ([[0, 0], [0, 2]], (0, 1), r"rewards at position 1, 1 must be within \[0, 1\], got 2.0"),
        ([-1e-12], (0,), r"rewards at position 0 must be within \[0, inf\]"),
        ([math.inf], (0,), r"rewards at position 0 must be within \[0, inf\], got inf"),
    ],
)
def test_the_first_wrong_double_is_named_by_its_position(
    values: list[float], limits: tuple[float, ...], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        doubles("rewards", values, *limits)


@pytest.mark.parametrize("wrong", [(-1, 5), (6, 5), (2.5, 5), (2, 5.5), ([1, 6], [2, 5]), (math.nan, 5)])
def test_successes_are_whole_numbers_up_to_the_trials(wrong: tuple[float, float]) -> None:
    check_counts({"control": (0, 0), "treatment": ([0, 5], [5, 5])})
    with pytest.raises(BadInput, match="successes of treatment must be whole numbers from 0 to the trials"):
        check_counts({"control": (0, 0), "treatment": wrong})


@pytest.mark.parametrize("wrong", [0.5, [[0.5]], [[]]])
def test_a_vector_has_one_dimension(wrong: object) -> None:
    assert check_vector("p-values", np.array([])).tolist() == []
    with pytest.raises(BadInput, match=r"p-values must be of shape \(n,\), one dimension, got"):
        check_vector("p-values", np.array(wrong))


def test_probabilities_of_classes_sum_to_1_in_each_row() -> None:
    assert class_probabilities("scores", [[0.3, 0.7], [1, 0]]).tolist() == [[0.3, 0.7], [1.0, 0.0]]
    with pytest.raises(BadInput, match="sum of a row of scores at row 1 must be 1, got 1.8"):
        class_probabilities("scores", [[0.5, 0.5], [0.9, 0.9]])
    for wrong in ([0.5, 0.5], [[1.0]], np.zeros((0, 2))):
        with pytest.raises(BadInput, match=r"scores must be of shape \(rows, classes\)"):
            class_probabilities("scores", wrong)


def test_a_number_is_no_text_and_not_nan() -> None:
    assert (number("x", 3), number("x", -math.inf)) == (3.0, -math.inf)
    for wrong in (math.nan, "3", b"3", None, [1.0, 2.0]):
        with pytest.raises(BadInput, match="x must be a number, got"):
            number("x", wrong)


def test_an_array_of_numbers_may_have_nan_but_no_text() -> None:
    assert number_array("x", [1, math.inf]).tolist() == [1.0, math.inf]
    for wrong in (["a"], "a", None, [[1], [1, 2]]):
        with pytest.raises(BadInput, match="x must be numbers, got"):
            number_array("x", wrong)


def test_finite_names_the_argument_wherever_it_stands() -> None:
    @finite("width", "most")
    def area(height: float, width: object, most: float | None = None) -> str:
        return f"{height} {width} {most}"

    assert area(math.nan, [1, 2]) == "nan [1, 2] None"
    for arguments, named in (((1, math.nan), {}), ((1,), {"width": [1, math.inf]})):
        with pytest.raises(BadInput, match="width .*must be finite"):
            area(*arguments, **named)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="most must be finite, got nan"):
        area(1, 2, math.nan)
