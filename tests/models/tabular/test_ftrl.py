"""FTRL: the published algorithm written out, going on bit for bit, and what is learned from planted rows."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest

import flyball as fb
from flyball.core import BadDeclaration
from flyball.models import TableColumn, TargetKind, TrainingTable
from flyball.testing.tabular_checks import TABULAR_TARGETS, sample_table

COLUMNS = (TableColumn("shop", "category"), TableColumn("person", "category"))
BINARY = TargetKind("binary")


def clicks(rows: int, seed: int) -> TrainingTable:
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(-1, 4, rows), rng.integers(-1, 30, rows)]).astype(np.int32)
    chance = 1 / (1 + np.exp(-np.where(codes[:, 0] == 2, 2.0, -1.0)))
    return TrainingTable(
        columns=COLUMNS,
        numbers=np.zeros((rows, 0)),
        categories=codes,
        vocabularies={"shop": [f"s{n}" for n in range(4)], "person": [f"p{n}" for n in range(30)]},
        target=(rng.random(rows) < chance).astype(float),
        weight=rng.choice([1.0, 2.0], rows),
        at_us=np.arange(rows, dtype=np.int64),
    )


def part(table: TrainingTable, first: int, end: int) -> TrainingTable:
    names = ("numbers", "categories", "target", "weight", "at_us")
    return msgspec.structs.replace(table, **{name: getattr(table, name)[first:end] for name in names})


def published(table: TrainingTable, alpha: float, beta: float, l1: float, l2: float) -> dict[Any, float]:
    """Algorithm 1 as it is printed: {feature: coefficient}, for the base without l1."""
    z: dict[Any, float] = {}
    n: dict[Any, float] = {}

    def coefficient(feature: Any) -> float:
        bound = 0.0 if feature == "base" else l1
        total = z.get(feature, 0.0)
        if abs(total) <= bound:
            return 0.0
        return -(((beta + math.sqrt(n[feature])) / alpha + l2) ** -1) * (total - math.copysign(bound, total))

    for codes, y, weight in zip(table.categories.tolist(), table.target.tolist(), table.weight.tolist(), strict=True):
        active = [(place, code) for place, code in enumerate(codes) if code >= 0] + ["base"]
        now = {feature: coefficient(feature) for feature in active}
        gradient = (1 / (1 + math.exp(-sum(now.values()))) - y) * weight
        for feature in active:
            before = n.get(feature, 0.0)
            sigma = (math.sqrt(before + gradient**2) - math.sqrt(before)) / alpha
            z[feature] = z.get(feature, 0.0) + gradient - sigma * now[feature]
            n[feature] = before + gradient**2
    return {feature: coefficient(feature) for feature in z}


def test_coefficients_are_those_of_the_published_algorithm() -> None:
    table = clicks(500, 1)
    for alpha, beta, l1, l2 in ((0.1, 1.0, 0.0, 0.0), (0.5, 0.5, 0.3, 2.0), (0.05, 1.0, 5.0, 0.0)):
        model = fb.FTRL(alpha=alpha, beta=beta, l1=l1, l2=l2, bits=26)
        must = published(table, alpha, beta, l1, l2)
        fitted = model.fit(table, BINARY, 1)
        slots = {int(slot) for name in ("slots_0", "slots_1") for slot in fitted.arrays[name]}
        assert len(slots) == 34, "no two of these texts share a slot"
        known = table.categories[(table.categories >= 0).all(axis=1)]
        found = model.open(fitted.arrays, {}, COLUMNS, BINARY).contributions(np.zeros((len(known), 0)), known)
        wanted = [[must[0, shop], must[1, person], must["base"]] for shop, person in known.tolist()]
        assert found[:, 0] == pytest.approx(np.array(wanted), abs=1e-12)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_an_update_goes_on_bit_for_bit(kind: str) -> None:
    target = TABULAR_TARGETS[kind]
    table, model = sample_table(target), fb.FTRL()
    once = model.fit(table, target, 1)
    learned = model.fit(part(table, 0, 150), target, 1)
    kept = {name: array.tobytes() for name, array in learned.arrays.items()}
    for first, end in ((150, 151), (151, 400)):
        learned_next = model.update(learned, part(table, first, end), target, 1)
        if first == 150:
            assert {name: array.tobytes() for name, array in learned.arrays.items()} == kept
        learned = learned_next
    assert {n: a.tobytes() for n, a in learned.arrays.items()} == {n: a.tobytes() for n, a in once.arrays.items()}


def test_texts_keep_their_coefficients_in_another_vocabulary() -> None:
    table, model = clicks(300, 1), fb.FTRL(bits=26)
    shops = ["new", *table.vocabularies["shop"]]
    moved = np.where(table.categories[:, :1] >= 0, table.categories[:, :1] + 1, -1)
    other = msgspec.structs.replace(
        table,
        categories=np.hstack([moved, table.categories[:, 1:]]).astype(np.int32),
        vocabularies={**table.vocabularies, "shop": shops},
    )
    first, second = (
        model.fit(table, BINARY, 1),
        model.update(model.fit(part(table, 0, 100), BINARY, 1), part(other, 100, 300), BINARY, 1),
    )
    before = model.open(first.arrays, {}, COLUMNS, BINARY).predict(table.numbers, table.categories)
    after = model.open(second.arrays, {}, COLUMNS, BINARY).predict(other.numbers, other.categories)
    assert before.tobytes() == after.tobytes()


def test_it_learns_what_was_planted() -> None:
    model = fb.FTRL(l1=5.0)
    fitted = model.fit(clicks(20_000, 1), BINARY, 1)
    rows = np.array([[2, -1], [1, -1]], np.int32)
    found = model.open(fitted.arrays, {}, COLUMNS, BINARY).predict(np.zeros((2, 0)), rows)
    assert found[:, 0] == pytest.approx([0.88, 0.27], abs=0.03)


def test_rare_texts_stay_at_zero() -> None:
    """No gradient is above its weight, so a text of less weight than l1 in all cannot leave 0."""
    table = clicks(500, 1)
    of_person = np.bincount(table.categories[:, 1] + 1, table.weight, 31)[1:]
    rows = np.column_stack([np.full(30, -1), np.arange(30)]).astype(np.int32)
    for l1, zero in ((20.0, of_person <= 20), (0.0, np.zeros(30, bool))):
        model = fb.FTRL(l1=l1, bits=26)
        found = model.open(model.fit(table, BINARY, 1).arrays, {}, COLUMNS, BINARY).contributions(
            np.zeros((30, 0)), rows
        )
        assert (found[zero, 0, 1] == 0).all()
        if l1:
            assert zero.sum() >= 5
        else:
            assert (found[:, 0, 1] != 0).all()


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"l1": -1.0}, {"bits": 40}, {"beta": 0.0, "l2": 0.0}])
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadDeclaration, match=next(iter(wrong))):
        fb.FTRL(**wrong)
