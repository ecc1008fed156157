"""What differs between two plain values of a declaration, in its words."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.policy import differences, in_words, trace

STARS = trace(lambda r: (r.stars >= 4) & (r.device != "tv")).plain()
RATED = {"event": "Rate", "where": STARS, "at_least": 1, "within_us": 86_400_000_000}
WATCHED = {"event": "Watch", "where": None, "at_least": 2, "within_us": 86_400_000_000}


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        ([RATED, WATCHED], [RATED], ["positive Watch (at_least 2, within 1d), now gone"]),
        ([RATED], [RATED, WATCHED], ["now also positive Watch (at_least 2, within 1d)"]),
        ([RATED], [{**RATED, "within_us": 3_600_000_000}], ["positive.within 1d, now 1h"]),
        ([RATED], [{**RATED, "where": None}], ["positive.where (stars >= 4) & (device != 'tv'), now nothing"]),
        (None, [WATCHED], ["positive nothing, now Watch (at_least 2, within 1d)"]),
        ([0.1, 0.5], [0.5], ["positive (0.1, 0.5), now 0.5"]),
        (False, True, ["positive no, now yes"]),
        ("def f(n):\n    return n", "def f(n):\n    return 2 * n", ["positive with return n, now return 2 * n"]),
    ],
)
def test_only_what_differs_is_said(before: Any, now: Any, lines: list[str]) -> None:
    assert differences("positive", before, now) == lines


plain = st.recursive(
    st.booleans() | st.integers(-5, 10**12) | st.text("ab", min_size=1, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["of", "within_us", "where", "by"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(plain, plain)
def test_values_that_differ_have_differences_and_equal_ones_none(before: Any, now: Any) -> None:
    assert differences("x", before, before) == []
    assert bool(differences("x", before, now)) == (before != now)


@given(plain)
def test_words_do_not_depend_on_the_order_of_keys(value: Any) -> None:
    turned = msgspec.json.decode(msgspec.json.encode(value, order="sorted"))
    assert in_words(turned) == in_words(value)
