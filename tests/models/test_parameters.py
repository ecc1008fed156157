"""What a model's constructor refuses, and what it says."""

from collections.abc import Callable

import pytest

from flyball.core import BadDeclaration
from flyball.models import (
    EASE,
    MODELS,
    Hybrid,
    ImplicitALS,
    ItemKNN,
    LambdaMART,
    Popular,
    Pruned,
    Random,
    Recommender,
    Stages,
)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: ItemKNN(kk=3), "a parameter of ItemKNN must be one of k, shrink, got 'kk'"),
        (lambda: Random(k=3), "a parameter of Random must be left out, got 'k'"),
        (lambda: ItemKNN(k="30"), "ItemKNN's k must be a whole number, got '30'"),
        (lambda: ItemKNN("30"), "ItemKNN's k must be a whole number, got '30'"),
        (lambda: EASE(l2="much"), "EASE's l2 must be a number, got 'much'"),
        (lambda: Popular(half_life=3), "Popular's half_life must be text or None, got 3"),
        (
            lambda: Stages(rank=LambdaMART(n_estimators="many")),
            "LambdaMART's n_estimators must be a whole number",
        ),
        (lambda: Stages(ItemKNN()), "Stages' retrieve must be a tuple of models"),
        (
            lambda: Hybrid(model={"factors": 8}),
            "Hybrid's model must be an ImplicitALS, such as",
        ),
        (lambda: Pruned(EASE(l3=8)), "a parameter of EASE must be one of l2, items, got 'l3'"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_it_must_be(declare: Callable[[], object], message: str) -> None:
    with pytest.raises(BadDeclaration, match=message):
        declare()


def test_right_parameters_are_taken() -> None:
    for model in MODELS.values():
        assert model() == model()
    assert ImplicitALS(16, reg=1).reg == 1
    assert Popular(half_life=None, smoothing=5) == Popular(smoothing=5.0)


def test_an_annotation_that_only_type_checkers_know_is_reported() -> None:
    class Mine(Recommender, frozen=True):
        most: "Decimal | None" = None  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(BadDeclaration, match="annotations of Mine must be names that exist .*'Decimal'"):
        Mine()
