"""Arguments of releases that could never mean what was meant are refused where they are written."""

from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest

from flyball.core import BadDeclaration
from flyball.policy import ReleasePlan, ab, bandit, canary, immediate, interleave, shadow, switchback

Makes = Callable[..., ReleasePlan]
NONSENSE: list[Any] = [None, nan, inf, -1, True, "", "x", b"x", [], {}, (), object(), {"x": nan}, {3: 1}, [None]]
ARGUMENTS: list[tuple[Makes, dict[str, Any], list[str]]] = [
    (
        canary,
        {},
        [
            *(
                "step_time",
                "patience",
                "silence",
                "watch",
                "guardrails",
                "success",
                "harmful",
                "shadow",
                "shadow_sample",
            ),
            *("shadow_slices", "unit", "layer", "traffic", "only", "overrides", "holdout", "holdout_for", "alpha"),
            "answers",
        ],
    ),
    (ab, {}, ["weights", "days"]),
    (bandit, {"reward": "liked"}, ["reward", "policy", "explore", "every", "group", "days"]),
    (switchback, {}, ["period", "burn_in", "unit"]),
    (interleave, {}, ["credit", "within", "days"]),
    (shadow, {}, ["sample", "steps", "slices", "budget"]),
    (immediate, {}, ["watch", "guardrails", "harmful", "holdout", "alpha"]),
]


@pytest.mark.parametrize(
    ("make", "needed", "argument"), [(make, needed, name) for make, needed, names in ARGUMENTS for name in names]
)
def test_nonsense_is_taken_as_nothing_or_refused_by_name(make: Makes, needed: dict[str, Any], argument: str) -> None:
    refused = []
    for value in NONSENSE:
        try:
            make(**{**needed, argument: value})
        except BadDeclaration as error:
            refused.append(str(error))
    assert len(refused) >= 5
    assert all(argument.rstrip("s") in message for message in refused), refused


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: canary(overrides={"candidate": {}}), "overrides of canary(...) for candidate must be values by field"),
        (lambda: canary(overrides={"red": {"group": "staff"}}), "must be of arms of the release: control, candidate"),
        (lambda: ab({"control": 1, "blue": 1}, overrides={"candidate": {"group": "staff"}}), "control, blue"),
        (lambda: canary(only={"country": []}), "only of canary(...) for country must be a value or several"),
        (lambda: canary(only={"country": None}), "only of canary(...) for country must be a value or several"),
        (lambda: canary(guardrails={"failed": 2}), "for failed must be a share below 1, such as 0.01"),
        (
            lambda: canary(guardrails={"faild": 0.1}),
            "guardrails of canary(...) must be among failed, late, empty, slow",
        ),
        (lambda: ab({"control": 1, "candidate": 1e-9}), "for candidate must be 0.01 % of all weights or more"),
        (lambda: ab({"control": 1, "champion": 1}), "an arm in weights of ab(...) must be a name of letters"),
        (lambda: ab({"control": 1, "a b": 1}), "an arm in weights of ab(...) must be a name of letters"),
        (lambda: ab({"control": True, "candidate": 1}), "two arms or more, each with a weight above 0"),
        (lambda: ab(days=1e300), "days must be at most 3,650"),
        (lambda: bandit(reward="liked", silense="1h"), "other arguments of bandit(...) must be among weights, days"),
        (lambda: interleave(weights={"control": 1}), "other arguments of interleave(...) must be among days"),
        (lambda: shadow(patience="1d"), "other arguments of shadow(...) must be among step_time, silence"),
    ],
)
def test_what_would_do_something_else_than_was_meant_is_refused(make: Callable[[], ReleasePlan], words: str) -> None:
    with pytest.raises(BadDeclaration) as refused:
        make()
    assert words in str(refused.value)


def test_values_are_kept_as_text() -> None:
    plan = canary(only={"country": "NL", "age": [17, 18], "new": True}, overrides={"candidate": {"user": {7}}})
    assert plan.targets == {"country": ("NL",), "age": ("17", "18"), "new": ("True",)}
    assert plan.overrides == {"candidate": {"user": ("7",)}}
