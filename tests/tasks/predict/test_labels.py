"""Several labels of one event: each by its own span, learned, measured, served, explained, followed, replayed."""

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.tasks.predict import parcels
from tests.tasks.predict.history import DAY_US, START_US, past_of

import flyball as fb
from flyball.app import App, load_app
from flyball.core import BadDeclaration, ManualClock, ManualStopwatch, Refused, new_id
from flyball.learning import learn
from flyball.operations import catch_up
from flyball.outcomes import Prediction, outcomes_by_version, prediction_record
from flyball.provenance import replay, why
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service
from flyball.simulation import ingest_pieces
from flyball.tasks import EvaluationSet, Predict, Undefined, answers_of, request_of
from flyball.tasks.predict.examples import RequestHistory
from flyball.tasks.predict.offline import PredictTruth
from flyball.tasks.response import Response

FILE = Path(parcels.__file__)
NOW_US = START_US + 40 * DAY_US
TASK: Predict = parcels.app.task  # type: ignore[assignment]


def parcel(number: int, day: float) -> tuple[Any, int]:
    at = START_US + int(day * DAY_US)
    return parcels.Parcel(at=at, parcel=number, km=1.0, glass=False), at


def happened(event_type: Any, number: int, day: float, **fields: Any) -> tuple[Any, int]:
    at = START_US + int(day * DAY_US)
    return event_type(at=at, parcel=number, **fields), at


EVENTS = [
    parcel(1, 0.0),  # nothing came: both are final by day 10
    parcel(2, 1.0),  # late on day 2, damaged on day 9
    parcel(3, 5.0),  # late on day 6; damage may still come
    parcel(4, 6.0),  # returned on day 7: damage will never be known
    parcel(5, 11.0),  # too young for both
    happened(parcels.Late, 2, 2.0),
    happened(parcels.Late, 3, 6.0),
    happened(parcels.Returned, 4, 7.0),
    happened(parcels.Report, 2, 9.0, what="damaged"),
    happened(parcels.Report, 1, 3.0, what="rude"),
]


class TestExamples:
    as_of_us = START_US + 12 * DAY_US

    def history(self, **named: Any) -> RequestHistory:
        task = msgspec.structs.replace(TASK, **named)
        events = sorted(EVENTS, key=lambda event: event[1])
        return RequestHistory(task, past_of(task, events, self.as_of_us))

    def test_each_label_counts_once_its_own_span_has_passed(self) -> None:
        found = self.history().examples(self.as_of_us)
        assert found.rows.tolist() == [0, 1, 2, 3]
        unknown = np.nan
        must = [[0, 0], [1, 1], [1, unknown], [0, unknown]]
        assert np.array_equal(found.target, must, equal_nan=True)
        assert found.weight.tolist() == [[1, 1], [1, 1], [1, 0], [1, 0]]
        assert found.states["censored for damaged"] == 1
        assert (found.states["held for late"], found.young) == (2, 3)

    def test_what_is_evaluated_is_old_enough_for_all_of_them(self) -> None:
        found = self.history().examples(self.as_of_us, all_final=True)
        assert found.rows.tolist() == [0, 1]

    def test_a_weight_and_young_examples_count_label_by_label(self) -> None:
        found = self.history(weight=lambda p: p.km * 2, open_examples="weight").examples(self.as_of_us, young=True)
        assert found.rows.tolist() == [0, 1, 2, 3]
        assert (found.weight[:2] >= 2).all()
        assert (found.weight[2:, 1] == 0).all()


class Served:
    """Forty days of parcels, what was learned from them, answers to two hundred more and their outcomes."""

    def __init__(self, home: Path) -> None:
        self.app: App = load_app(str(FILE))
        self.clock = ManualClock(NOW_US)
        self.runtime = Runtime(self.app, load_settings(home), self.clock)
        ingest_pieces(self.runtime, "jsonl", [b"\n".join(parcels.lines(40, START_US))], "days", "history")
        catch_up(self.runtime)
        self.report = learn(self.runtime, workers=1)
        service = Service(self.runtime, "test", random.Random(1), self.clock, stopwatch=ManualStopwatch())
        service.refresher.step()
        rng = np.random.default_rng(9)
        self.fields = [
            {"parcel": 100_000 + n, "km": float(rng.gamma(2.0, 120.0)), "glass": bool(n % 2)} for n in range(200)
        ]
        asked = [
            request_of(self.app.task.about.request, new_id(NOW_US + n, random.Random(n)), NOW_US + n, fields)
            for n, fields in enumerate(self.fields)
        ]
        self.predictions: list[Prediction] = list(service.engine.answer(asked))
        self.runtime.predictions.append([prediction_record(one) for one in self.predictions])
        self.clock.move_to_us(NOW_US + 4 * DAY_US)
        came = [{"type": "late", "parcel": 100_000 + n, "at": NOW_US + n + DAY_US} for n in range(0, 200, 4)] + [
            {"type": "report", "parcel": 100_000 + n, "what": "damaged", "at": NOW_US + n + 2 * DAY_US}
            for n in range(0, 200, 10)
        ]
        ingest_pieces(self.runtime, "jsonl", [b"\n".join(map(msgspec.json.encode, came))], "after", "history")
        catch_up(self.runtime)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return Served(tmp_path_factory.mktemp("parcels"))


def test_the_winner_is_measured_label_by_label_and_on_average(served: Served) -> None:
    outcomes = {one.name: one.outcome for one in served.report.candidates}
    assert outcomes["linear"] == "passed", served.report
    version = served.runtime.registry.version(served.report.champion or "")
    metrics = {name: metric["value"] for name, metric in version.metrics.items()}
    assert metrics["macro_log_loss"] == pytest.approx((metrics["late:log_loss"] + metrics["damaged:log_loss"]) / 2)
    assert metrics["late:auc"] > 0.7
    assert {"micro_f1@0.5", "hamming_loss@0.5", "subset_accuracy@0.5", "damaged:average_precision"} <= metrics.keys()
    constant = next(one for one in served.report.candidates if one.name == "constant")
    assert constant.outcome == "compared"


def test_answers_are_near_the_true_chances(served: Served) -> None:
    assert served.app.task.about.values == ("late", "damaged")
    found = np.array([prediction.values for prediction in served.predictions])
    must = np.array([parcels.chances(one["km"], one["glass"]) for one in served.fields])
    assert np.abs(found - must).mean(axis=0) == pytest.approx([0, 0], abs=0.05)


def test_outcomes_follow_each_label_by_its_own_span(served: Served) -> None:
    (outcomes,) = outcomes_by_version(served.runtime.outcomes_path, served.clock.now_us()).values()
    late, damaged = outcomes.labels["late"], outcomes.labels["damaged"]
    assert (late.n, late.so_far, damaged.so_far) == (50, 0.25, 0.1)
    assert (late.mature, damaged.mature) == (200, 0)  # four days on, damage may still be reported
    assert late.value == pytest.approx(0.25)


def test_why_explains_each_label_and_replay_gives_the_same_bits(served: Served) -> None:
    prediction = served.predictions[0]
    found = why(served.runtime, prediction.id)
    assert [value.name for value in found.values] == ["late", "damaged"]
    for value in found.values:
        odds = np.log(value.value / (1 - value.value))
        assert sum(part.value for part in value.because) == pytest.approx(odds)
    assert found.values[0].because[0].name.startswith(("km", "base"))
    again = replay(served.runtime, prediction.id)
    assert (again.identical, again.differences) == (True, [])


def test_a_version_outlives_a_new_label_but_not_a_dropped_one(served: Served) -> None:
    declaration = served.app.task.about.declaration
    rude = fb.occurs(parcels.Report, by="parcel", within="10d", where=lambda r: r.what == "rude")
    more = msgspec.structs.replace(TASK, target={"rude": rude, **TASK.target})  # type: ignore[dict-item]
    assert more.restore(declaration).target_kind.classes == ("late", "damaged")
    other = msgspec.structs.replace(TASK, target={"rude": rude, "late": TASK.target["late"]})  # type: ignore[index]
    with pytest.raises(Refused, match="late, damaged"):
        other.restore(declaration)


def one_label(**named: Any) -> Any:
    return fb.occurs(parcels.Late, by="parcel", within="2d", **named)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({}, "two or more"),
        ({"late": one_label()}, "one alone is target=fb.occurs"),
        ({"late": one_label(), "Bad name": one_label()}, "lower-case word"),
        ({"late": one_label(), "slow": fb.elapsed(parcels.Late, by="parcel", within="2d")}, "made by fb.occurs"),
        ({"late": one_label(), "odd": "yes"}, "made by fb.occurs"),
    ],
)
def test_labels_that_cannot_be_are_refused(target: Any, says: str) -> None:
    with pytest.raises(BadDeclaration, match=says):
        fb.Predict(on=parcels.Parcel, target=target)


def test_what_does_not_fit_several_labels_is_refused() -> None:
    with pytest.raises(BadDeclaration, match="multilabel for this target"):
        fb.Predict(on=parcels.Parcel, target=TASK.target, kind="binary")
    with pytest.raises(BadDeclaration, match="probability of an event"):
        fb.Predict(on=parcels.Parcel, target=TASK.target, decide=fb.decide(false_approve=1.0, false_decline=1.0))
    with pytest.raises(BadDeclaration, match="conformal|Conformal"):
        TASK.bind({"intervals": fb.conformal(fb.LightGBM(), 0.8)})
    with pytest.raises(BadDeclaration, match="FTRL is one of binary, multiclass"):
        fb.Predict(on=parcels.Parcel, target=fb.elapsed(parcels.Late, by="parcel", within="2d")).bind(
            {"stacked": fb.Stacking((fb.Linear(), fb.FTRL()))}
        )
    with pytest.raises(BadDeclaration, match="FTRL is one of binary, multiclass"):
        fb.Predict(on=parcels.Parcel, target=fb.elapsed(parcels.Late, by="parcel", within="2d")).bind(
            {"rows": fb.FTRL()}
        )


class TestMetrics:
    """Against loops over the cells, with resampled units and unknown cells."""

    rng = np.random.default_rng(3)
    values = rng.random((60, 2))
    target = (rng.random((60, 2)) < values).astype(float)
    known = rng.random((60, 2)) < 0.8
    weight = np.where(known, rng.choice([1.0, 2.0], (60, 1)), 0.0)
    unit_of = np.arange(60) // 6
    drawn = np.array([[1.0] * 10, [2, 0, 1, 1, 0, 3, 1, 1, 1, 0]])

    def measured(self, name: str) -> Any:
        target = np.where(self.known, self.target, np.nan)
        evaluation: Any = EvaluationSet(
            window_us=(0, 1),
            at_us=np.arange(60),
            fields=[{}] * 60,
            contexts=[None] * 60,
            units=[str(unit) for unit in range(10)],
            unit_of=self.unit_of,
            truth=PredictTruth(target, self.weight),
        )
        answers = answers_of([Response(values=tuple(row)) for row in self.values.tolist()])
        prepared: Any = TASK.offline().plan().metric(name).prepare(answers, evaluation)
        return prepared(self.drawn).tolist()

    def cells(self, drawn: Any, labels: tuple[int, ...] = (0, 1)) -> list[tuple[float, float, float]]:
        """(probability, what came, weight) of the known cells."""
        return [
            (self.values[row, label], self.target[row, label], self.weight[row, label] * drawn[self.unit_of[row]])
            for row in range(60)
            for label in labels
            if self.known[row, label]
        ]

    def test_log_loss(self) -> None:
        def loss(cells: Any) -> float:
            total = sum(-w * np.log(p if y else 1 - p) for p, y, w in cells)
            return float(total / sum(w for _, _, w in cells))

        assert self.measured("micro_log_loss") == pytest.approx([loss(self.cells(one)) for one in self.drawn])
        each = [[loss(self.cells(one, (label,))) for label in (0, 1)] for one in self.drawn]
        assert self.measured("macro_log_loss") == pytest.approx(np.mean(each, axis=1))
        assert self.measured("damaged:log_loss") == pytest.approx([one[1] for one in each])

    @pytest.mark.parametrize("threshold", [0.5, 0.3])
    def test_f1_hamming_and_subset(self, threshold: float) -> None:
        def f1(cells: Any) -> float:
            hits = sum(w for p, y, w in cells if p >= threshold and y)
            return float(2 * hits / sum(w * ((p >= threshold) + y) for p, y, w in cells))

        assert self.measured(f"micro_f1@{threshold}") == pytest.approx([f1(self.cells(one)) for one in self.drawn])
        each = [[f1(self.cells(one, (label,))) for label in (0, 1)] for one in self.drawn]
        assert self.measured(f"macro_f1@{threshold}") == pytest.approx(np.mean(each, axis=1))
        assert self.measured(f"late:f1@{threshold}") == pytest.approx([one[0] for one in each])
        wrong = [
            sum(w for p, y, w in self.cells(one) if (p >= threshold) != y) / sum(w for _, _, w in self.cells(one))
            for one in self.drawn
        ]
        assert self.measured(f"hamming_loss@{threshold}") == pytest.approx(wrong)
        right = []
        for one in self.drawn:
            rows = [row for row in range(60) if self.known[row].all()]
            counted = [self.weight[row, 0] * one[self.unit_of[row]] for row in rows]
            hit = [((self.values[row] >= threshold) == self.target[row]).all() for row in rows]
            right.append(np.average(hit, weights=counted))
        assert self.measured(f"subset_accuracy@{threshold}") == pytest.approx(right)

    def test_average_precision(self) -> None:
        def precision(cells: Any) -> float:
            ranked = sorted(cells, reverse=True)
            hits = seen = total = 0.0
            for _, y, w in ranked:
                seen, hits = seen + w, hits + w * y
                total += w * y * hits / seen if seen else 0.0
            return total / hits

        micro = [precision(self.cells(one)) for one in self.drawn]
        assert self.measured("micro_average_precision") == pytest.approx(micro)
        each = [[precision(self.cells(one, (label,))) for label in (0, 1)] for one in self.drawn]
        assert self.measured("macro_average_precision") == pytest.approx(np.mean(each, axis=1))

    def test_a_threshold_beyond_probabilities_is_refused(self) -> None:
        with pytest.raises(BadDeclaration, match="between 0 and 1"):
            TASK.offline().plan().metric("micro_f1@1")

    def test_a_label_that_never_came_leaves_its_ranking_metrics_undefined(self) -> None:
        metric = TASK.offline().plan().metric("late:auc")
        answers = answers_of([Response(values=(0.5, 0.5))] * 4)
        truth = PredictTruth(np.zeros((4, 2)), np.ones((4, 2)))
        evaluation: Any = EvaluationSet(
            window_us=(0, 1),
            at_us=np.arange(4),
            fields=[{}] * 4,
            contexts=[None] * 4,
            units=["a"],
            unit_of=np.zeros(4, np.int64),
            truth=truth,
        )
        assert isinstance(metric.prepare(answers, evaluation), Undefined)
