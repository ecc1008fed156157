"""Boosted trees over tables: they learn what was planted, encode without looking ahead, and explain what they say."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball as fb
from flyball.core import BadDeclaration
from flyball.models import TableColumn, TabularFit, TargetKind, TrainingTable
from flyball.models.tabular.boosted import means_before, means_of

COLUMNS = (
    TableColumn("x", "number"),
    TableColumn("shop", "category"),
    TableColumn("noise", "number"),
    TableColumn("person", "category"),
)
SHOPS, PEOPLE = 5, 300
KINDS = {
    "number": TargetKind("number"),
    "quantiles": TargetKind("quantiles", quantiles=(0.1, 0.5, 0.9)),
    "binary": TargetKind("binary"),
    "multiclass": TargetKind("multiclass", classes=("low", "mid", "high")),
}
SMALL = fb.LightGBM(n_estimators=60, num_leaves=7, learning_rate=0.1)


def table(kind: str, rows: int = 4_000, seed: int = 1) -> tuple[TrainingTable, np.ndarray]:
    """Rows whose target depends on x, the shop and the person, and what is to be expected of each."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 2))
    numbers[rng.random((rows, 2)) < 0.05] = np.nan
    categories = np.column_stack([rng.integers(-1, SHOPS, rows), rng.integers(-1, PEOPLE, rows)]).astype(np.int32)
    person = np.random.default_rng(99).normal(size=PEOPLE + 1)
    expected = 3 * np.sign(np.nan_to_num(numbers[:, 0])) + 2.0 * (categories[:, 0] == 2) + 2 * person[categories[:, 1]]
    target: Any = expected + rng.normal(size=rows)
    if kind == "binary":
        target = (target > 0).astype(float)
    if kind == "multiclass":
        target = np.digitize(target, [-2.0, 2.0]).astype(float)
    vocabularies = {"shop": [f"s{n}" for n in range(SHOPS)], "person": [f"p{n}" for n in range(PEOPLE)]}
    made = TrainingTable(
        columns=COLUMNS,
        numbers=numbers,
        categories=categories,
        vocabularies=vocabularies,
        target=target,
        weight=np.ones(rows),
        at_us=np.arange(rows, dtype=np.int64),
    )
    return made, expected


def opened(kind: str, model: Any = SMALL, seed: int = 1) -> Any:
    fitted = model.fit(table(kind)[0], KINDS[kind], seed)
    return model.open(fitted.arrays, fitted.texts, COLUMNS, KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_same_bits_in_any_batch_and_a_fit_the_same_bytes(kind: str) -> None:
    unseen, _ = table(kind, rows=60, seed=2)
    predictor = opened(kind)
    values = predictor.predict(unseen.numbers, unseen.categories)
    assert values.shape == (60, len(KINDS[kind].outputs))
    alone = [predictor.predict(unseen.numbers[[row]], unseen.categories[[row]])[0] for row in range(60)]
    assert np.array_equal(values, alone)
    first, second = (SMALL.fit(table(kind)[0], KINDS[kind], seed=3).arrays for _ in range(2))
    assert {name: array.tobytes() for name, array in first.items()} == {n: a.tobytes() for n, a in second.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_sum_to_the_prediction_before_the_link(kind: str) -> None:
    unseen, _ = table(kind, rows=50, seed=2)
    predictor = opened(kind)
    values = predictor.predict(unseen.numbers, unseen.categories)
    added = predictor.contributions(unseen.numbers, unseen.categories)
    assert added.shape == (50, values.shape[1], len(COLUMNS) + 1)
    margin = added.sum(axis=2)
    if kind == "binary":
        assert values == pytest.approx(1 / (1 + np.exp(-margin)), abs=1e-9)
    elif kind == "multiclass":
        assert np.log(values[:, 0] / values[:, 2]) == pytest.approx(margin[:, 0] - margin[:, 2], abs=1e-9)
        assert values.sum(axis=1) == pytest.approx(1.0)
    else:
        assert values == pytest.approx(margin, abs=1e-9)
    weight = np.abs(added[:, :, :-1]).mean(axis=(0, 1))
    assert weight[2] < 0.25 * min(weight[0], weight[3]), "noise adds little, the person much"


def test_it_learns_what_was_planted() -> None:
    unseen, expected = table("number", rows=2_000, seed=2)
    values = opened("number", fb.LightGBM()).predict(unseen.numbers, unseen.categories)[:, 0]
    # Of the persons some 13 rows each were seen, so their part is known to a root of 1/13 or so.
    assert np.abs(values - expected).mean() < 0.9
    assert np.abs(np.mean(unseen.target) - expected).mean() > 2.5
    without_people = opened("number", fb.LightGBM(prior=1e9)).predict(unseen.numbers, unseen.categories)[:, 0]
    assert np.abs(without_people - expected).mean() > 1.3


def test_quantiles_hold_their_shares_and_probabilities_are_those_that_come() -> None:
    unseen, _ = table("quantiles", rows=4_000, seed=2)
    values = opened("quantiles").predict(unseen.numbers, unseen.categories)
    below = (unseen.target[:, None] <= values).mean(axis=0)
    assert below == pytest.approx([0.1, 0.5, 0.9], abs=0.05)
    unseen, _ = table("binary", rows=4_000, seed=2)
    probability = opened("binary").predict(unseen.numbers, unseen.categories)[:, 0]
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (low <= probability) & (probability < low + 0.25)
        error = 5 * np.sqrt(0.25 / inside.sum()) + 0.05
        assert unseen.target[inside].mean() == pytest.approx(probability[inside].mean(), abs=error)
    assert opened("multiclass").predict(unseen.numbers, unseen.categories).min() > 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-5, 5), st.integers(1, 3)), min_size=1, max_size=30))
def test_a_row_is_encoded_by_rows_before_it_alone(rows: list[tuple[int, int, int]]) -> None:
    codes, labels, weight = (np.array(column) for column in zip(*rows, strict=True))
    found = means_before(codes.astype(np.int32), labels[:, None].astype(float), weight.astype(float), prior=2.0)
    for row, (code, _, _) in enumerate(rows):
        before = rows[:row]
        overall = sum(w * y for _, y, w in before) / sum(w for _, _, w in before) if before else 0.0
        own = [(y, w) for c, y, w in before if c == code]
        naive = (sum(w * y for y, w in own) + 2.0 * overall) / (sum(w for _, w in own) + 2.0)
        assert found[row, 0] == pytest.approx(naive, abs=1e-9)
    learned = means_of(codes.astype(np.int32), 4, labels[:, None].astype(float), weight.astype(float), prior=2.0)
    overall = np.average(labels, weights=weight)
    for code in (0, 1, 2, 3, -1):
        of = codes == code
        naive = ((weight * labels)[of].sum() + 2.0 * overall) / (weight[of].sum() + 2.0)
        assert learned[code, 0] == pytest.approx(naive)


def test_one_class_one_row_and_no_row_known_have_a_defined_result() -> None:
    made, _ = table("binary", rows=1)
    for target in (0.0, 1.0):
        one = TrainingTable(**{**_fields(made), "target": np.array([target])})
        fitted = SMALL.fit(one, KINDS["binary"], 1)
        value = SMALL.open(fitted.arrays, {}, COLUMNS, KINDS["binary"]).predict(one.numbers, one.categories)
        assert value[0, 0] == pytest.approx(target, abs=1e-6)


def _fields(made: TrainingTable) -> dict[str, Any]:
    return {name: getattr(made, name) for name in made.__struct_fields__}


@pytest.mark.parametrize(
    "wrong", [{"n_estimators": 0}, {"num_leaves": 1}, {"learning_rate": 0.0}, {"lambda_l2": -1.0}, {"most": -1}]
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadDeclaration, match=next(iter(wrong))):
        fb.LightGBM(**wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_keeps_the_trees_and_adds_a_tenth(kind: str) -> None:
    start, more = SMALL.fit(table(kind)[0], KINDS[kind], 1), table(kind, seed=3)[0]
    first, second = (SMALL.update(start, more, KINDS[kind], 1) for _ in range(2))
    for name, before in start.arrays.items():
        assert np.array_equal(first.arrays[name], second.arrays[name])
        if name.startswith("trees"):
            trees = [
                bytes(text).decode().partition("Tree=0\n")[2].split("Tree=") for text in (before, first.arrays[name])
            ]
            assert len(trees[1]) == round(1.1 * len(trees[0]))
            assert trees[1][: len(trees[0]) - 1] == trees[0][:-1]


def test_updates_follow_what_changed_at_a_fraction_of_the_trees() -> None:
    """Everything is 5 more from now on; a fit on old and new rows says something between."""
    old, _ = table("number")
    changed = [
        msgspec.structs.replace(made, target=made.target + 5)
        for made, _ in (table("number", 1_000, s) for s in range(5, 9))
    ]
    model = fb.LightGBM(n_estimators=100, num_leaves=7, learning_rate=0.1)
    learned = [model.fit(old, KINDS["number"], 1)]
    for made in changed[:3]:
        learned.append(model.update(learned[-1], made, KINDS["number"], 1))
    errors = []
    for fitted in learned:
        predictor = model.open(fitted.arrays, fitted.texts, COLUMNS, KINDS["number"])
        errors.append(
            float(np.abs(predictor.predict(changed[3].numbers, changed[3].categories)[:, 0] - changed[3].target).mean())
        )
    assert errors[0] > 4.5
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < errors[0] / 2


def test_an_update_keeps_the_codes_of_texts() -> None:
    """The new rows' vocabulary has another order and a text more; rows of old texts are told apart as before."""
    made, _ = table("number")
    start = SMALL.fit(made, KINDS["number"], 1)
    known = TabularFit(
        start.arrays, {f"vocabulary_{n}": made.vocabularies[name] for n, name in enumerate(made.category_names)}
    )
    order = np.array([3, 1, 4, 0, 2])
    shops = ["s" + str(number) for number in order] + ["new"]
    turned = np.append(np.argsort(order), -1).astype(np.int32)
    other = msgspec.structs.replace(
        made,
        categories=np.column_stack([turned[made.categories[:, 0]], made.categories[:, 1]]),
        vocabularies={**made.vocabularies, "shop": shops},
    )
    same, recoded = SMALL.update(known, made, KINDS["number"], 1), SMALL.update(known, other, KINDS["number"], 1)
    assert recoded.texts["vocabulary_0"] == [*made.vocabularies["shop"], "new"]
    assert np.array_equal(same.arrays["trees_0"], recoded.arrays["trees_0"])
    assert np.array_equal(same.arrays["means_1"], recoded.arrays["means_1"])


def test_a_new_text_counts_as_an_unknown_one_by_what_was_learned() -> None:
    made, _ = table("number")
    start = SMALL.fit(made, KINDS["number"], 1)
    grown = {**made.vocabularies, "person": [*made.vocabularies["person"], "p-new"]}
    updated = SMALL.update(start, msgspec.structs.replace(made, vocabularies=grown), KINDS["number"], 1)
    again = SMALL.update(
        TabularFit(
            start.arrays, {"vocabulary_0": made.vocabularies["shop"], "vocabulary_1": made.vocabularies["person"]}
        ),
        msgspec.structs.replace(made, vocabularies=grown),
        KINDS["number"],
        1,
    )
    assert again.arrays["means_1"].shape == (PEOPLE + 2, 1)
    assert np.array_equal(again.arrays["means_1"][PEOPLE], start.arrays["means_1"][-1])
    assert np.array_equal(again.arrays["means_1"][-1], start.arrays["means_1"][-1])
    assert updated.texts["vocabulary_1"][-1] == "p-new"


def test_no_new_rows_leave_everything_as_it_was() -> None:
    made, _ = table("binary")
    start = SMALL.fit(made, KINDS["binary"], 1)
    empty = table("binary", rows=0)[0]
    updated = SMALL.update(start, empty, KINDS["binary"], 1)
    assert np.array_equal(updated.arrays["trees_0"], start.arrays["trees_0"])
