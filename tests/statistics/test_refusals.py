"""What is no number gives no result: nan, infinity, text and None are refused by name, or have a stated meaning."""

import inspect
import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from tests.statistics.valid_calls import NO_NUMBERS, valid_calls

import flyball.statistics as room
from flyball.core import BadInput

_NUMBERS: dict[str, Any] = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "text": "text", "None": None}
_MEANING = {
    ("adjusted_ratio_contrast", "theta", "None"): "the least-squares coefficient",
    ("alarms_among", "log_wealth", "inf"): "an infinite e-value was seen",
    ("alarms_among", "log_wealth", "-inf"): "the start",
    ("benjamini_hochberg", "weights", "None"): "all are equal",
    ("best_shares", "costs", "None"): "all are equal",
    ("covariate_weights", "reference", "nan"): "missing",
    ("covariate_weights", "reference", "None in it"): "missing",
    ("covariate_weights", "current", "nan"): "missing",
    ("covariate_weights", "current", "None in it"): "missing",
    ("crossing_probabilities", "bounds", "inf"): "no bound at this look",
    ("crossing_probabilities", "bounds", "-inf"): "crossed at this look",
    ("domain_classifier_test", "a", "nan"): "missing",
    ("domain_classifier_test", "b", "nan"): "missing",
    ("domain_classifier_test", "a", "None in it"): "missing",
    ("domain_classifier_test", "b", "None in it"): "missing",
    ("e_benjamini_hochberg", "e_values", "inf"): "certain",
    ("hash_numbers", "values", "nan"): "a value like others",
    ("hash_numbers", "values", "None in it"): "nan, as NumPy reads it",
    ("hash_numbers", "values", "inf"): "a value like others",
    ("hash_numbers", "values", "-inf"): "a value like others",
    ("label_shift", "counts", "None"): "each row stands for itself",
    ("mean_discrepancy", "bandwidth", "None"): "the median of distances",
    ("mixture_bound", "largest", "inf"): "no limit",
    ("next_log_wealth", "log_wealth", "-inf"): "the start",
    ("next_log_wealth", "log_wealth", "inf"): "an infinite e-value was seen",
    ("next_log_wealth", "e_value", "inf"): "certain",
    ("p_of_e", "log_e", "inf"): "certain",
    ("p_of_e", "log_e", "-inf"): "an e-value of 0",
    ("share_slope", "offered", "None"): "each row once",
    ("winsorize", "low", "-inf"): "no bound",
    ("winsorize", "high", "inf"): "no bound",
}
_LABELS = {("randomized_effect", "stratum"), ("share_slope", "group"), ("sum_by_unit", "units")}
"""Arguments that name things, by numbers or not."""


def _wrong(value: Any) -> Iterator[tuple[str, Any]]:
    """(what is wrong, `value` with that in it)."""
    if isinstance(value, int | float):
        yield from _NUMBERS.items()
    elif isinstance(value, dict) and isinstance(first := next(iter(value)), int | str):
        if isinstance(value[first], int | float):
            yield from ((kind, value | {first: wrong}) for kind, wrong in _NUMBERS.items())
    elif isinstance(value, tuple) and isinstance(value[0], list):
        yield from ((kind, (wrong, value[1])) for kind, wrong in _wrong(value[0]))
    elif isinstance(value, list | tuple | np.ndarray) and np.asarray(value).dtype.kind in "biuf":
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


def test_every_public_function_has_a_call_and_it_is_valid() -> None:
    public = {name for name in room.__all__ if inspect.isfunction(getattr(room, name))}
    assert public - NO_NUMBERS.keys() <= CALLS.keys()
    for name, (function, arguments) in CALLS.items():
        try:
            function(**arguments)
        except BadInput as refused:
            pytest.fail(f"{name}: {refused}")


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
