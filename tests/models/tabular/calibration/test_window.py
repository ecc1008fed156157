"""A window to calibrate on holds only rows whose label is final: of younger rows only the quick labels are known."""

import msgspec
import numpy as np
import pytest
from tests.models.tabular.tables import table_of

import flyball as fb
from flyball.models import TargetKind, TrainingTable
from flyball.models.tabular.calibration.window import final_rows, split_newest

RATE, ROWS, FINAL = 0.2, 4_000, 3_000
BINARY = TargetKind("binary")


def young() -> TrainingTable:
    """Happens in one row of five, and is known soon; that it did not is known only of the oldest three in four. The
    young ones that happened count once, and the negatives are weighted for those that are not known yet."""
    happened = np.random.default_rng(8).random(ROWS) < RATE
    final = np.arange(ROWS) < FINAL
    table = table_of(ROWS, target=happened.astype(float), weight=np.where(happened, 1.0, ROWS / FINAL))
    final_weight = final.astype(float)
    rows = np.flatnonzero(final | happened)
    return msgspec.structs.replace(
        table,
        numbers=table.numbers[rows],
        categories=table.categories[rows],
        target=table.target[rows],
        weight=table.weight[rows],
        at_us=table.at_us[rows],
        final_weight=final_weight[rows],
    )


@pytest.mark.parametrize("method", ["isotonic", "platt", "beta"])
def test_probabilities_are_calibrated_on_labels_that_are_final(method: str) -> None:
    table = young()
    assert np.average(table.target, weights=table.weight) == pytest.approx(RATE, abs=0.03)
    for model in (fb.calibrated(fb.Constant(), method), fb.OneVsRest(fb.calibrated(fb.Constant(), method))):  # type: ignore[arg-type]
        target = BINARY
        asked = table
        if isinstance(model, fb.OneVsRest):
            target = TargetKind("multilabel", classes=("happened",))
            wide = {name: getattr(table, name)[:, None] for name in ("target", "weight", "final_weight")}
            asked = msgspec.structs.replace(table, **wide)
        learned = model.fit(asked, target, 1)
        predicted = model.open(learned.arrays, learned.texts, table.columns, target).predict(
            table.numbers[:1], table.categories[:1]
        )
        assert predicted[0, 0] == pytest.approx(RATE, abs=0.04)


def test_the_newest_of_the_final_rows_are_the_window_weighted_as_among_themselves() -> None:
    older, newest = split_newest(young(), 0.25)
    assert (len(older), len(newest)) == (2_250, 750)
    assert newest.at_us.tolist() == list(range(2_250, 3_000))
    assert set(newest.weight) == set(older.weight) == {1.0}
    assert newest.final_weight is None


def test_where_every_label_is_final_nothing_changes() -> None:
    table = table_of(50)
    assert final_rows(table) is table
