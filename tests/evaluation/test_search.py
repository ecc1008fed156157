"""A search varies the parameters of a model and of every model within it."""

import pytest

import flyball as fb
from flyball.evaluation import parameter_of, search, space_of
from flyball.evaluation.search import with_parameters
from flyball.models import TabularModel

LINEAR, TREES = fb.Linear(), fb.LightGBM()
WRAPPED: dict[str, tuple[TabularModel, set[str]]] = {
    "calibrated": (fb.calibrated(LINEAR), {"method", "model.l2"}),
    "downsampled": (fb.calibrated(fb.downsampled(LINEAR, 0.1)), {"method", "model.rate", "model.model.l2"}),
    "conformal": (fb.conformal(LINEAR), {"model.l2"}),
    "a label each": (fb.OneVsRest(fb.calibrated(LINEAR)), {"model.method", "model.model.l2"}),
    "stacking": (
        fb.Stacking((LINEAR, fb.calibrated(LINEAR))),
        {"folds", "l2", "models.0.l2", "models.1.method", "models.1.model.l2"},
    ),
    "alone": (LINEAR, {"l2"}),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_the_space_reaches_the_models_within(name: str) -> None:
    model, paths = WRAPPED[name]
    assert set(space_of(name, model).values) == paths


@pytest.mark.parametrize("name", WRAPPED)
def test_the_planted_parameter_of_the_innermost_model_is_found(name: str) -> None:
    model, paths = WRAPPED[name]
    (deepest,) = [path for path in paths if path.endswith("l2") and path.count(".") == max(p.count(".") for p in paths)]
    found = search(
        [space_of(name, model)], lambda tried, share: -abs(parameter_of(tried, deepest) - 30.0), budget=60
    ).best[name]
    assert parameter_of(found, deepest) == 30.0
    assert type(found) is type(model)


def test_parameters_at_paths_are_replaced_and_no_others() -> None:
    model = fb.Stacking((LINEAR, fb.calibrated(TREES, share=0.3)), folds=3)
    changed = with_parameters(model, {"l2": 5.0, "models.1.model.num_leaves": 7, "models.0.l2": 2.0})
    assert changed == fb.Stacking(
        (fb.Linear(l2=2.0), fb.calibrated(fb.LightGBM(num_leaves=7), share=0.3)), folds=3, l2=5.0
    )
    assert with_parameters(model, {}) == model
