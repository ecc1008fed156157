"""Gates: what may be declared, and what a mistake is answered with."""

import pytest

from flyball.core import BadDeclaration
from flyball.policy import gates


def test_bounds_become_gates_of_metrics_in_order() -> None:
    declared = gates(at_least={"coverage@20": 0.1}, at_most={"rmse": 2})
    assert [(gate.metric, gate.at_least, gate.at_most) for gate in declared.metrics] == [
        ("coverage@20", 0.1, None),
        ("rmse", None, 2.0),
    ]


def test_durations_are_microseconds() -> None:
    declared = gates(max_answer="20ms", max_fit="1h")
    assert (declared.max_answer_us, declared.max_fit_us) == (20_000, 3_600_000_000)


def test_an_unknown_choice_is_answered_with_all() -> None:
    with pytest.raises(
        BadDeclaration, match=r"leaks of gates\(...\) must be one of certain, refuse, warn, got 'never'"
    ):
        gates(leaks="never")


@pytest.mark.parametrize("side", ["at_least", "at_most", "max_gap"])
@pytest.mark.parametrize("bounds", [0.1, [1], "auc"])
def test_bounds_that_name_no_metric_are_answered_with_an_example(side: str, bounds: object) -> None:
    with pytest.raises(BadDeclaration, match=rf"{side} of gates\(...\) must be a mapping, such as "):
        gates(**{side: bounds})  # type: ignore[arg-type]


def test_a_gap_is_a_size() -> None:
    with pytest.raises(BadDeclaration, match="for auc/region must be a number from 0, since a gap is"):
        gates(max_gap={"auc/region": -0.1})
    assert gates(max_gap={"auc/region": 0}).metrics[0].at_most == 0
