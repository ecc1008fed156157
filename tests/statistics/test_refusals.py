"""What is no number gives no result: nan, infinity, text and None are refused by name, or have a stated meaning."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from tests.statistics.valid_calls import valid_calls

from flyball.core import BadInput

_NUMBERS: dict[str, Any] = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "text": "text", "None": None}
_MEANING = {
    ("alarms_among", "log_wealth", "inf"): "an infinite e-value was seen",
    ("alarms_among", "log_wealth", "-inf"): "the start",
    ("benjamini_hochberg", "weights", "None"): "all are equal",
    ("best_shares", "costs", "None"): "all are equal",
    ("crossing_probabilities", "bounds", "inf"): "no bound at this look",
    ("crossing_probabilities", "bounds", "-inf"): "crossed at this look",
    ("domain_classifier_test", "a", "nan"): "missing",
    ("domain_classifier_test", "b", "nan"): "missing",
    ("domain_classifier_test", "a", "None in it"): "missing",
    ("domain_classifier_test", "b", "None in it"): "missing",
    ("e_benjamini_hochberg", "e_values", "inf"): "certain",
    ("mean_discrepancy", "bandwidth", "None"): "the median of distances",
    ("next_log_wealth", "log_wealth", "-inf"): "the start",
    ("next_log_wealth", "log_wealth", "inf"): "an infinite e-value was seen",
    ("next_log_wealth", "e_value", "inf"): "certain",
    ("p_of_e", "log_e", "inf"): "certain",
    ("p_of_e", "log_e", "-inf"): "an e-value of 0",
    ("winsorize", "low", "-inf"): "no bound",
    ("winsorize", "high", "inf"): "no bound",
}
_LABELS = {("sum_by_unit", "units")}


def _wrong(value: Any) -> Iterator[tuple[str, Any]]:
    """(what is wrong, `value` with that in it)."""
    if isinstance(value, int | float):
        yield from _NUMBERS.items()
    elif isinstance(value, dict):
        (first, *_) = value
        yield from ((kind, value | {first: wrong}) for kind, wrong in _NUMBERS.items())
    elif isinstance(value, tuple) and isinstance(value[0], list):
        yield from ((kind, (wrong, value[1])) for kind, wrong in _wrong(value[0]))
    elif isinstance(value, list | tuple | np.ndarray):
        for kind, wrong in _NUMBERS.items():
            changed = np.array(value, dtype=object)
            changed.flat[0] = wrong
            yield (kind if kind != "None" else "None in it"), changed.tolist()
        yield "None", None


def _cases() -> Iterator[Any]:
    for name, (_, arguments) in valid_calls().items():
        for argument, value in arguments.items():
            for kind, wrong in _wrong(value):
                if (name, argument) not in _LABELS and (name, argument, kind) not in _MEANING:
                    yield pytest.param(name, argument, wrong, id=f"{name}-{argument}-{kind}")


CALLS = valid_calls()


@pytest.mark.parametrize(("name", "argument", "wrong"), list(_cases()))
def test_what_is_no_number_is_refused(name: str, argument: str, wrong: Any) -> None:
    function, arguments = CALLS[name]
    with pytest.raises(BadInput) as refused:
        function(**(arguments | {argument: wrong}))
    assert refused.value.what


@pytest.mark.parametrize("name", [name for name in CALLS if name != "domain_classifier_test"])
def test_an_empty_sample_has_an_answer_or_is_refused(name: str) -> None:
    function, arguments = CALLS[name]
    for argument, value in arguments.items():
        if isinstance(value, list | np.ndarray):
            with suppress(BadInput):
                function(**(arguments | {argument: []}))


def test_the_subject_of_a_refusal_is_the_argument() -> None:
    for name, argument, wrong, subject in (
        ("alarms_among", "log_wealth", {"a": math.nan}, "log_wealth of a must be a number, got nan"),
        ("next_log_wealth", "log_wealth", math.nan, "log_wealth must be a number, got nan"),
        ("holm", "p_values", ["x"], r"p-values must be numbers, got \['x'\]"),
        ("kolmogorov_smirnov", "a", (["a"], [1]), r"values of a must be numbers, got \['a'\]"),
        ("sequence_p", "se", math.nan, "se must be finite, got nan"),
    ):
        function, arguments = CALLS[name]
        with pytest.raises(BadInput, match=subject):
            function(**(arguments | {argument: wrong}))
