"""Each label has the model it would have alone, of the rows where it is known."""

import msgspec
import numpy as np
import pytest

import flyball as fb
from flyball.core import BadDeclaration, BadInput
from flyball.models import TargetKind, TrainingTable, summary_of
from flyball.models.tabular.calibration.window import rows_of
from flyball.testing.tabular_checks import TABULAR_TARGETS, sample_table

TARGET = TABULAR_TARGETS["multilabel"]
MODELS = {"linear": fb.Linear(), "trees": fb.LightGBM(n_estimators=10), "group": fb.GroupMedian("shop", least=5)}


@pytest.mark.parametrize("name", MODELS)
def test_each_label_is_what_a_binary_fit_of_its_known_rows_gives(name: str) -> None:
    table, unseen, model = sample_table(TARGET), sample_table(TARGET, rows=50, seed=4), MODELS[name]
    fitted = fb.OneVsRest(model).fit(table, TARGET, 7)
    opened = fb.OneVsRest(model).open(fitted.arrays, fitted.texts, table.columns, TARGET)
    together = opened.predict(unseen.numbers, unseen.categories)
    for label in range(2):
        rows = np.flatnonzero(~np.isnan(table.target[:, label]))
        assert 0 < len(rows) < len(table)
        alone = rows_of(table, rows)
        alone = msgspec.structs.replace(alone, target=alone.target[:, label], weight=alone.weight[:, label])
        own = model.fit(alone, TargetKind("binary"), 7)
        must = model.open(own.arrays, own.texts, table.columns, TargetKind("binary"))
        assert together[:, label].tolist() == must.predict(unseen.numbers, unseen.categories)[:, 0].tolist()


def test_the_usual_values_are_the_shares_of_what_is_known() -> None:
    table = sample_table(TARGET)
    must = [
        np.average(table.target[known, label], weights=table.weight[known, label])
        for label, known in enumerate((~np.isnan(table.target)).T)
    ]
    assert summary_of(table, TARGET) == pytest.approx(np.array(must))


def test_a_label_that_is_known_of_no_row_is_refused_by_its_name() -> None:
    table: TrainingTable = sample_table(TARGET)
    weight = table.weight.copy()
    weight[:, 1] = 0
    with pytest.raises(BadInput, match="label odd"):
        fb.OneVsRest(fb.Linear()).fit(msgspec.structs.replace(table, weight=weight), TARGET, 7)


def test_models_that_predict_no_probability_are_refused() -> None:
    with pytest.raises(BadDeclaration, match="binary"):
        fb.OneVsRest(fb.conformal(fb.LightGBM(), 0.8))
    with pytest.raises(BadDeclaration, match="a model of tables"):
        fb.OneVsRest(fb.EASE())  # type: ignore[arg-type]


def test_its_parts_are_the_models_inside() -> None:
    inside = fb.calibrated(fb.Linear(), "platt")
    assert fb.OneVsRest(inside).parts == (inside,)
    assert inside.parts == (fb.Linear(),)
    assert fb.Linear().parts == ()
