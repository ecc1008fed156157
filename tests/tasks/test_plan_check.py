"""A release that does not fit the application is refused where it is declared."""

from typing import Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration
from flyball.policy import ReleasePlan, ab, bandit, canary, interleave
from flyball.tasks import check_plan
from flyball.testing import faulty

ABOUT = faulty.app.task.about


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (ab(unit="device"), r"unit of ab\(...\) must be of fields of the request: user, k,.* got .device."),
        (canary(only={"land": "NL"}), r"only of canary\(...\) must be of fields"),
        (ab(overrides={"candidate": {"land": "NL"}}), r"overrides of ab\(...\) must be of fields"),
        (canary(only={"k": "ten"}), r"only of canary\(...\) for k must be what the field can hold .* got .ten."),
        (canary(only={"k": [5, 5_000]}), r"only of canary\(...\) for k must be what the field can hold .* got .5000."),
        (
            ab(overrides={"candidate": {"user": "ann"}}),
            r"overrides of ab\(...\) for candidate for user must be what the field can hold",
        ),
        (
            canary(success={"liekd": 0.1}),
            r"success of canary\(...\) must be among metrics .* or labels: bought, positive",
        ),
        (fb.immediate(harmful={"hidden": 0.1}), r"harmful of immediate\(...\) must be among"),
        (interleave(credit="bought"), r"credit of interleave\(...\) must be among labels of the task: positive"),
        (bandit(reward="bought"), r"reward of bandit\(...\) must be among labels of the task: positive"),
    ],
)
def test_what_nothing_has_is_named(plan: ReleasePlan, words: str) -> None:
    with pytest.raises(BadDeclaration, match=words):
        check_plan(plan, ABOUT, ["bought"])


def test_a_value_is_written_as_its_field_holds_it() -> None:
    from flyball.apps.fraud import app

    check_plan(canary(only={"amount": [5.0, "7.5"]}), app.task.about, ())
    with pytest.raises(
        BadDeclaration, match=r"only of canary\(...\) for amount must be as the field holds it: 5.0, got"
    ):
        check_plan(canary(only={"amount": 5}), app.task.about, ())


def test_the_watch_lasts_longer_than_a_harmful_label_takes() -> None:
    from flyball.apps.fraud import app

    harmful = {"chargeback": 0.01}
    words = r"must be longer than the 21d after which the harmful label chargeback is final, such as 28d, got .7d."
    for plan in (canary(harmful=harmful), fb.immediate(harmful=harmful)):
        with pytest.raises(BadDeclaration, match=words):
            check_plan(plan, app.task.about, ())
    check_plan(canary(harmful=harmful, watch="28d"), app.task.about, ())
    check_plan(ab(harmful=harmful), app.task.about, ())


def test_what_fits_passes() -> None:
    fits: list[Any] = [
        ab(unit="user", only={"k": 5}, success={"bought": 0.1}, harmful={"positive": 0.1}),
        interleave(credit="positive"),
        interleave(),
        bandit(reward="positive"),
    ]
    for plan in fits:
        check_plan(plan, ABOUT, ["bought"])


def test_a_number_cannot_be_drafted() -> None:
    from flyball.apps.delivery import app

    with pytest.raises(BadDeclaration, match=r"release=interleave\(...\) must be of a task that answers with lists"):
        check_plan(interleave(), app.task.about, ())


@pytest.mark.parametrize("rankers", [("control",), ("a", "a"), ("a", "b", "c", "d"), ("",)])
def test_rankers_have_names_of_their_own(rankers: tuple[str, ...]) -> None:
    with pytest.raises(BadDeclaration, match="one to 3 different names"):
        interleave(*rankers)
