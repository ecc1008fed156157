"""Logged predictions as columns: what was planted is read, labels become final, unusable answers are left out."""

from pathlib import Path

import numpy as np
import pytest
from tests.monitoring.performance.bank import (
    DAY_US,
    START_US,
    WITHIN_DAYS,
    answer,
    bank,
    bank_app,
    calibrated,
    kitchen,
    market,
)

import flyball as fb
from flyball.core import NotFound
from flyball.monitoring.performance.logged import kind_of, labels_of, logged
from flyball.monitoring.performance.slices import slice_names


def read(runtime, until_day: int = 100, as_of_day: int = 100, by=()):  # type: ignore[no-untyped-def]
    (label,) = labels_of(runtime.app.task.about)
    return logged(runtime, label, START_US, START_US + until_day * DAY_US, START_US + as_of_day * DAY_US, by)


def test_probabilities_and_what_became_of_them(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=10, daily=60, change=lambda day, scores: (scores, (scores > 0.4).astype(float)))
    rows = read(runtime, as_of_day=10, by=("merchant", "version"))
    assert len(rows) == 600
    assert rows.kind == "probability"
    assert (np.diff(rows.at_us) >= 0).all()
    assert rows.mature.tolist() == [at <= START_US + (10 - WITHIN_DAYS) * DAY_US for at in rows.at_us.tolist()]
    final = rows.only(rows.labeled)
    assert np.array_equal(final.actual, final.scores > 0.4)
    assert np.array_equal(rows.flagged, rows.scores >= 0.5)
    assert rows.slices["merchant"].tolist()[:4] == ["corner", "acme", "acme", "corner"]
    assert set(rows.slices["version"]) == {"v1"}
    assert rows.units == len(set(rows.unit.tolist())) < 600  # some cards pay twice
    day = rows.between(START_US + DAY_US, START_US + 2 * DAY_US)
    assert len(day) == 60


def test_numbers_with_their_span(tmp_path: Path) -> None:
    rows = read(kitchen(tmp_path, days=2))
    assert rows.kind == "number"
    assert set(rows.scores) == {30.0}
    assert rows.spans[0].tolist() == [20.0, 45.0]
    assert rows.actual.mean() == pytest.approx(30, rel=0.1)


def test_the_position_of_what_was_taken(tmp_path: Path) -> None:
    rows = read(market(tmp_path, days=3, hits=lambda day: float(day == 1)))
    assert rows.kind == "list"
    assert rows.scores.tolist() == [3.0] * 300
    assert rows.actual.tolist() == [0.0] * 100 + [2.0] * 100 + [0.0] * 100


def test_a_decision_that_prevents_the_label_leaves_it_unknown(tmp_path: Path) -> None:
    app = bank_app(decide=fb.decide(false_approve=1.0, false_decline=1.0, control=0.1))
    runtime = bank(tmp_path, days=1, daily=3, app=app)
    request = {"payment": 77, "card": 1, "merchant": "acme", "amount": 1.0}
    for number, (decision, propensity) in enumerate([("decline", 1.0), ("approve", 0.1), ("approve", 1.0)]):
        made = answer(
            START_US + number + 1,
            900 + number,
            "1",
            "payment",
            request,
            values=[0.7],
            decision=decision,
            decision_propensity=propensity,
        )
        runtime.predictions.append([made])
    rows = read(runtime)
    new = rows.only(rows.scores == 0.7)
    assert new.flagged.tolist() == [True, True, False]  # one of the control group stands for ten that are declined
    assert np.isnan(new.actual).tolist() == [True, False, False]
    assert new.weight.tolist() == pytest.approx([1.0, 10.0, 1.0])


def test_answers_without_values_or_a_version_are_left_out(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=1, daily=5)
    request = {"payment": 77, "card": 1, "merchant": "acme", "amount": 1.0}
    runtime.predictions.append([answer(START_US + 1, 900, "1", "payment", request)])
    assert len(read(runtime)) == 5


def test_what_rows_are_sliced_by_is_known(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=1, daily=5)
    assert slice_names(runtime.app.task.about) == ("version", "level", "decision", *list_of_fields())
    with pytest.raises(NotFound, match="no slice 'shop'; known: version, level, decision, payment"):
        read(runtime, by=("shop",))


def list_of_fields() -> tuple[str, ...]:
    return ("payment", "card", "merchant", "amount")


def test_kinds_of_tasks() -> None:
    assert kind_of(bank_app().task.about) == "probability"
    assert [label.within_us for label in labels_of(bank_app().task.about)] == [WITHIN_DAYS * DAY_US]
    assert calibrated(0, np.ones(1))[0] is not None
