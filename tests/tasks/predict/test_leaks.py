"""A column that tells the outcome by itself is named when learning; one that is merely good is not."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.tasks.predict import payments

import flyball as fb
from flyball.core import BadDeclaration, ManualClock
from flyball.learning import LearnReport, learn
from flyball.operations import catch_up
from flyball.runtime import Runtime, load_settings
from flyball.simulation import ingest_pieces
from flyball.tasks import TrainingData
from flyball.tasks.predict.leaks import concordance, leaking_columns

START_US = 1_767_225_600_000_000
ROWS = 4_000


def data(numbers: np.ndarray, target: np.ndarray) -> TrainingData:
    names = [f"x{index}" for index in range(numbers.shape[1])]
    texts = {"columns": ["shop", *names], "column_kinds": ["category", *["number"] * len(names)]}
    shops = np.arange(len(target))[:, None] % 7
    return TrainingData({"numbers": numbers, "categories": shops, "target": target.astype(float)}, texts, 0)


def table_of_texts(codes: np.ndarray, target: np.ndarray, classes: list[str] | None = None) -> TrainingData:
    names = [f"t{index}" for index in range(codes.shape[1])]
    texts = {"columns": names, "column_kinds": ["category"] * len(names), "classes": classes or []}
    arrays = {"numbers": np.empty((len(target), 0)), "categories": codes, "target": target.astype(float)}
    return TrainingData(arrays, texts, 0)


def found(table: TrainingData, kind: str) -> list[str]:
    return [leak.sentence for leak in leaking_columns(table, kind)]


def first_words(sentences: list[str]) -> list[str]:
    return [words.split(":")[0] for words in sentences]


@pytest.mark.parametrize("share", [0.5, 0.01])
def test_a_text_that_is_written_after_the_outcome_is_found(share: float) -> None:
    rng = np.random.default_rng(0)
    target = rng.random(ROWS) < share
    good = np.where(rng.random(ROWS) < 0.8, target, rng.integers(0, 2, ROWS))
    status = np.where(target, rng.integers(5, 8, ROWS), rng.integers(0, 5, ROWS))  # such as "refunded"
    remark = np.where(target, rng.integers(0, 3, ROWS), -1)
    sentences = found(table_of_texts(np.stack([good, status, remark], axis=1), target), "binary")
    assert first_words(sentences) == ["column t1 gives the outcome away", "column t2 gives the outcome away"]
    assert "its value alone orders 100.00%" in sentences[0]
    assert "whether it is filled in alone orders 100.00%" in sentences[1]


def test_a_number_written_as_text_is_found() -> None:
    minutes = np.random.default_rng(0).integers(5, 60, ROWS)
    sentences = found(table_of_texts(np.stack([minutes, minutes // 20], axis=1), minutes), "number")
    assert first_words(sentences) == ["column t0 gives the outcome away"]


def test_a_class_and_a_label_that_a_column_tells_are_named() -> None:
    rng = np.random.default_rng(0)
    target, names = rng.integers(0, 3, ROWS), ["late", "lost", "on time"]
    copied, lost = (target + 2) % 3, np.where(target == 1, 4, rng.integers(0, 4, ROWS))
    codes = np.stack([rng.integers(0, 9, ROWS), copied, lost], axis=1)
    sentences = found(table_of_texts(codes, target, names), "multiclass")
    assert [words.split(" gives")[0] for words in sentences] == ["column t1", "column t2"]
    assert "column t2 gives the outcome away (class lost): its value" in sentences[1]
    labels = np.stack([target == code for code in range(3)], axis=1) * 1.0
    labels[::3, 1] = np.nan  # not known yet
    assert "(label lost)" in found(table_of_texts(codes[:, 2:], labels, names), "multilabel")[0]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "number"])
def test_columns_of_noise_are_silent_over_many_seeds(kind: str) -> None:
    """Identifiers of their own, frequent and rare texts, numbers; targets with as few as one example of a class."""
    false_alarms = []
    for seed in range(100):
        rng, rows = np.random.default_rng(seed), 400
        codes = np.stack([np.arange(rows), rng.integers(0, 100, rows), rng.integers(0, 3, rows)], axis=1)
        target = rng.choice(4, rows, p=[0.5, 0.48, 0.015, 0.005])
        outcome = {
            "binary": (target == 3) * 1.0,
            "multiclass": target,
            "multilabel": np.stack([target == code for code in range(4)], axis=1),
            "number": rng.normal(size=rows),
        }[kind]
        table = table_of_texts(codes, outcome, list("abcd"))
        table.arrays["numbers"] = rng.normal(size=(rows, 20))
        table.texts["columns"] += [f"x{index}" for index in range(20)]
        table.texts["column_kinds"] += ["number"] * 20
        false_alarms += found(table, kind)
    assert false_alarms == []


@pytest.mark.parametrize("share", [0.5, 0.01])
def test_a_copy_of_a_rare_or_frequent_outcome_is_found_however_it_is_written(share: float) -> None:
    rng = np.random.default_rng(0)
    target = rng.random(ROWS) < share
    good = target + rng.normal(0, 0.8, ROWS)  # an area of about 0.81
    late = np.where(target, rng.random(ROWS), np.nan)  # such as the time of the chargeback
    copied = np.where(target, -7.0, 3.0) + rng.random(ROWS)
    sentences = found(data(np.stack([good, late, copied], axis=1), target), "binary")
    assert [words.split(" gives")[0] for words in sentences] == ["column x1", "column x2"]
    assert "whether it is filled in alone orders 100.00%" in sentences[0]
    assert "its value alone orders" in sentences[1]
    assert 'ignore=("x2",)' in sentences[1]


def test_a_number_in_other_units_is_found_and_a_good_one_is_not() -> None:
    rng = np.random.default_rng(0)
    minutes = rng.gamma(4.0, 8.0, ROWS)
    numbers = np.stack([minutes * 60, minutes + rng.normal(0, 5, ROWS)], axis=1)
    assert [words.split(" gives")[0] for words in found(data(numbers, minutes), "quantiles")] == ["column x0"]


def test_chance_few_rows_and_one_class_say_nothing() -> None:
    rng = np.random.default_rng(0)
    assert concordance(rng.random(ROWS), rng.random(ROWS) < 0.2) == pytest.approx(0.5, abs=0.03)
    target = rng.random(20) < 0.5
    assert found(data(target[:, None].astype(float), target), "binary") == []
    nothing = np.zeros(ROWS)
    assert found(data(rng.random((ROWS, 1)), nothing), "binary") == []


@pytest.mark.parametrize(("positives", "certain"), [(29, False), (30, True), (2_000, True)])
def test_a_copy_of_the_outcome_is_certain_with_thirty_examples_of_each_class(positives: int, certain: bool) -> None:
    target = np.arange(ROWS) % (ROWS // positives) == 0
    assert abs(int(target.sum()) - positives) <= 1
    target[np.flatnonzero(target)[positives:]] = False
    (leak,) = leaking_columns(data(target[:, None] * 2.0, target), "binary")
    assert leak.certain == certain
    assert ('gates=fb.gates(leaks="warn") lets the version serve' in leak.sentence) == certain


def test_a_column_that_is_wrong_now_and_then_is_suspicious_and_not_certain() -> None:
    rng = np.random.default_rng(0)
    target = rng.random(ROWS) < 0.5
    column = np.where(rng.random(ROWS) < 0.0005, ~target, target) + 0.0
    (leak,) = leaking_columns(data(column[:, None], target), "binary")
    assert not leak.certain
    assert 'gates=fb.gates(leaks="refuse") lets no such version serve' in leak.sentence


def test_a_number_is_certain_when_nothing_is_left_to_predict_and_not_when_it_is_rounded() -> None:
    rng = np.random.default_rng(0)
    minutes = rng.gamma(4.0, 8.0, ROWS)
    columns = np.stack([minutes * 60 + 3, np.round(minutes, 1), minutes + rng.normal(0, 5, ROWS)], axis=1)
    leaks = leaking_columns(data(columns, minutes), "number")
    assert [leak.certain for leak in leaks] == [True, False]


class Payment(fb.Event):
    payment: payments.PaymentId
    amount: float
    dispute_fee: float | None = None  # filled in by the back office, weeks later


class Chargeback(fb.Event):
    payment: payments.PaymentId


def learned(
    home: Path, days: int = 10, ignore: tuple[str, ...] = (), leaks: str = "certain", fee_of_others: float | None = None
) -> LearnReport:
    task = fb.Predict(on=Payment, target=fb.occurs(Chargeback, by="payment", within="2d"), ignore=ignore)
    gates, candidates = fb.gates(leaks=leaks), {"linear": fb.Linear()}
    app = fb.App("leak", events=[Payment, Chargeback], task=task, candidates=candidates, gates=gates)
    rng, lines = np.random.default_rng(1), []
    for number in range(days * 200):
        at_us, fraud = START_US + number * payments.DAY_US // 200, rng.random() < 0.1
        fee = {"dispute_fee": 15.0} if fraud else {"dispute_fee": fee_of_others}
        lines.append((at_us, {"type": "payment", "payment": number + 1, "amount": float(rng.random()), **fee}))
        if fraud:
            lines.append((at_us + payments.DAY_US, {"type": "chargeback", "payment": number + 1}))
    ended = [msgspec.json.encode({**fields, "at": at}) for at, fields in sorted(lines, key=lambda line: line[0])]
    runtime = Runtime(app, load_settings(home), ManualClock(START_US + days * payments.DAY_US))
    ingest_pieces(runtime, "jsonl", [b"\n".join(ended)], "month", "history")
    catch_up(runtime)
    return learn(runtime, workers=1)


def test_learning_names_a_field_that_was_filled_in_later(tmp_path: Path) -> None:
    notes = learned(tmp_path / "leak").notes
    (warning,) = [note for note in notes if note.startswith("warning: ")]
    assert "column dispute_fee gives the outcome away: whether it is filled in" in warning
    quiet = learned(tmp_path / "corrected", ignore=("dispute_fee",)).notes
    assert not [note for note in quiet if note.startswith("warning: ")]


@pytest.mark.parametrize("leaks", ["certain", "refuse"])
def test_a_planted_leak_is_refused(tmp_path: Path, leaks: str) -> None:
    refused = learned(tmp_path, leaks=leaks, fee_of_others=0.0)
    assert not refused.released
    (linear,) = [candidate for candidate in refused.candidates if candidate.name == "linear"]
    assert linear.outcome == "rejected"
    assert "no_leaks: column dispute_fee gives the outcome away" in linear.reason


def test_it_serves_where_it_is_only_to_be_warned_of_or_is_left_out(tmp_path: Path) -> None:
    warned = learned(tmp_path / "warned", leaks="warn", fee_of_others=0.0)
    assert warned.released
    assert any(note.startswith("warning: column dispute_fee") for note in warned.notes)
    left_out = learned(tmp_path / "left_out", ignore=("dispute_fee",), fee_of_others=0.0)
    assert not any("no_leaks" in candidate.reason for candidate in left_out.candidates)
    with pytest.raises(BadDeclaration, match=r"leaks of gates\(...\) must be one of certain, refuse, warn, got 'no'"):
        fb.gates(leaks="no")


def test_too_short_a_past_is_reported_with_the_length_that_it_takes(tmp_path: Path) -> None:
    """The test window begins at 0.8 (T - 2 days), and a label must be final before: T > 4.5 days."""
    report = learned(tmp_path / "short", days=4)
    assert report.status == "too_little_data"
    assert "requests must reach back 4.5 days and some days more, they reach back 4.0 days" in report.reason
