"""The offline interface of predictions: examples, fitting and evaluating candidates."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import NOTHING, BadInput, Doubles, Ints, counted_units, find_zone, format_timestamp, local_days
from flyball.models import Artifact, TabularFit, TrainingTable, summary_of
from flyball.policy import Decide
from flyball.tasks.defaults import evaluation_of
from flyball.tasks.evaluation import EvaluationPlan, EvaluationSet
from flyball.tasks.past import Past
from flyball.tasks.predict.columns import BASELINE, columns_in, time_columns, vocabularies_in
from flyball.tasks.predict.declaration import DAY, TIMES, Predict
from flyball.tasks.predict.leaks import leaking_columns
from flyball.tasks.predict.notes import (
    TEST_SHARE,
    left_out_notes,
    needed_past,
    one_class_notes,
    too_few,
    undeclared_classes,
    weighting_notes,
)
from flyball.tasks.predict.plan import evaluation_plan
from flyball.tasks.predict.thresholds import BALANCE, COST_FIELDS, DAY_US, KEPT, thresholds_for
from flyball.tasks.task import Examples, Holdout, Trained, TrainingData

if TYPE_CHECKING:
    from flyball.tasks.predict.examples import Labeled, RequestHistory

MOST_EVALUATED = 20_000


class PredictTruth(msgspec.Struct, frozen=True):
    """The outcomes of the requests: `target` and `weight` as in a training table, float64 (requests,) or, of several
    labels, (requests, labels).

    `costs`: of mistakes on each, see `cost_matrix`; None where nothing is decided by costs. `days`: the calendar day of
    each in the task's zone, int64 (requests,). `requests`: how many requests each stands for, where that is not its
    weight.
    """

    target: Doubles
    weight: Doubles
    costs: Doubles | None = None
    days: Ints | None = None
    requests: Doubles | None = None

    def take(self, rows: NDArray[np.int64]) -> "PredictTruth":
        return PredictTruth(
            self.target[rows],
            self.weight[rows],
            None if self.costs is None else self.costs[rows],
            None if self.days is None else self.days[rows],
            None if self.requests is None else self.requests[rows],
        )

    def day_of(self, at_us: Ints) -> Ints:
        """The day of each request, which came at `at_us`: in UTC where no zone is known."""
        return at_us // DAY_US if self.days is None else self.days


class PredictOffline:
    """Learns and evaluates predictions of one task."""

    def __init__(self, task: Predict) -> None:
        self._task = task
        self._history: RequestHistory | None = None

    def plan(self) -> EvaluationPlan:
        """The evaluation plan: metrics by kind of target, and baselines."""
        return evaluation_plan(self._task)

    def examples(
        self,
        past: Past,
        min_examples: int,
        seed: int,
        metrics: Sequence[str] = (),
        window_us: tuple[int, int] | None = None,
    ) -> Examples | str:
        """The training examples and the evaluation set.

        Candidates are evaluated on the last fifth of the requests with a final label, or on those in the window.

        What is learned from was known just before the first of them, so between the last example and the first
        evaluated request lies as much time as a label needs. With a window nobody learns from what is known now.
        """
        from flyball.tasks.predict.reweighting import weighted_data

        history = self._history_of(past)
        final = history.examples(past.as_of_us, all_final=True)
        chosen = _tested(history.at_us[final.rows], window_us)
        pool = len(chosen)
        if pool < max(min_examples, 1):
            return too_few(self._task, final, min_examples, pool, window_us)
        start_us, end_us = window_us or (
            int(history.at_us[final.rows[chosen[0]]]),
            int(history.at_us[final.rows[chosen[-1]]]) + 1,
        )
        young = self._task.open_examples == "weight"
        before = history.examples(start_us - 1, young)
        if not len(before.rows):
            return (
                f"nothing to learn from: no request had a final label before the test window, which starts at "
                f"{format_timestamp(start_us)}; events that happened long ago must be ingested as history, not as live"
                f"{needed_past(self._task, final)}"
            )
        if pool > MOST_EVALUATED:
            sampled_rows = np.random.default_rng(seed).choice(pool, MOST_EVALUATED, replace=False)
            chosen = chosen[np.sort(sampled_rows)]
        data_of = partial(weighted_data, self._task, history, table_of=self._table_of, seed=seed)
        train = data_of(before)
        now = train if window_us else data_of(history.examples(past.as_of_us, young))
        evaluation = self._evaluation(history, final, chosen, (start_us, end_us), pool)
        notes = (*evaluation.notes, *weighting_notes(train, now))
        evaluation = msgspec.structs.replace(evaluation, notes=notes)
        rule = f"the last {TEST_SHARE:.0%} of the requests with a final label" if window_us is None else "as requested"
        return Examples(
            train,
            now,
            self._remarked(evaluation, train, final.target[chosen]),
            Holdout(start_us, end_us, pool / len(final.rows), pool, rule),
            self._summary(before, len(chosen), start_us),
        )

    def count_labels(self, past: Past, as_of_us: int) -> int:
        """The requests with a final label at `as_of_us`."""
        return len(self._history_of(past).examples(as_of_us, all_final=True).rows)

    def groups_of_requests(
        self, past: Past, requests: Sequence[Mapping[str, Any]], at_us: Ints
    ) -> dict[str, list[str | None]]:
        """See `GroupsRequests`."""
        from flyball.tasks.predict.group_values import groups_of_requests

        return groups_of_requests(self._task, past, requests, at_us)

    def _remarked(self, evaluation: EvaluationSet, train: TrainingData, tested: Doubles) -> EvaluationSet:
        """The evaluation set with what a person should know of the examples. `tested`: the targets evaluated on."""
        kind = self._task.target_kind
        targets = {"learn from": train.arrays["target"], "evaluate on": tested}
        leaks = leaking_columns(train, kind.kind)
        return msgspec.structs.replace(
            evaluation,
            notes=(*evaluation.notes, *one_class_notes(kind, targets)),
            leaks=tuple(leak.sentence for leak in leaks),
            certain_leaks=tuple(leak.sentence for leak in leaks if leak.certain),
        )

    def _summary(self, before: "Labeled", tested: int, start_us: int) -> str:
        """One sentence for the person who waits."""
        summary = (
            f"{len(before.rows):,} examples of {self._task.on.__name__}, {before.young:,} too young; evaluated on "
            f"{counted_units(tested, 'request')} after {format_timestamp(start_us)}"
        )
        if before.control:
            summary += f"; {before.control:,} of a control group stand for those that were declined"
        return summary

    def _history_of(self, past: Past) -> "RequestHistory":
        """The request history of `past`, created once for all windows."""
        from flyball.tasks.predict.examples import RequestHistory

        if self._history is None or self._history.past is not past:
            self._history = RequestHistory(self._task, past)
        return self._history

    def _evaluation(
        self, history: "RequestHistory", final: "Labeled", chosen: Any, window_us: tuple[int, int], pool: int
    ) -> EvaluationSet:
        from flyball.tasks.predict.examples import cost_matrix
        from flyball.tasks.predict.group_values import group_values

        task, rows = self._task, final.rows[chosen]
        frame = history.frame[rows.tolist()]
        names = [name for name in task.on.__struct_fields__ if name != "at"]
        fields = frame.select(names).to_dicts()
        units: dict[str, Any] = {}
        zone = find_zone(task.zone)
        days = local_days(history.at_us[rows].tolist(), zone)
        if task.unit:
            by_day = task.unit == DAY and DAY not in names
            names_of = [str(day) for day in days] if by_day else [str(field[task.unit]) for field in fields]
            names_of_units, unit_of = np.unique(np.array(names_of), return_inverse=True)
            units = {"units": names_of_units.tolist(), "unit_of": unit_of.astype(np.int64)}
        times = time_columns(history.at_us[rows].tolist(), zone)
        costs = cost_matrix(task.decide, frame) if isinstance(task.decide, Decide) else None
        requests = None
        if costs is not None and final.declared is not None:
            requests = final.weight[chosen] / final.declared[chosen]
        notes = [*left_out_notes(task, final), *undeclared_classes(task, history.frames)]
        return evaluation_of(
            history.at_us[rows],
            fields,
            PredictTruth(final.target[chosen], final.weight[chosen], costs, np.array(days, np.int64), requests),
            window_us,
            **units,
            slices={
                **{name: [None if row[name] is None else str(row[name]) for row in fields] for name in task.slices},
                **{name: list(times[name]) for name in TIMES if name not in task.slices},
                **group_values(task, history, rows),
            },
            pool=pool,
            notes=tuple(notes),
        )

    def train(self, candidate: Any, data: TrainingData, past: Past, seed: int) -> Trained:
        """Fit one candidate. Raises what its `fit` raises, and `BadInput` if there are no examples."""
        if not len(data.arrays["target"]):
            raise BadInput("examples", "one or more", NOTHING)
        target, table = self._task.target_kind, self._table_of(data)
        fitted = candidate.fit(table, target, seed)
        if not isinstance(getattr(fitted, "arrays", None), dict):
            raise BadInput(f"what {type(candidate).__name__}.fit returns", "a TabularFit", type(fitted).__name__)
        own = {name: values for name, values in data.texts.items() if name not in ("classes", COST_FIELDS)}
        clash = sorted((own.keys() & fitted.texts.keys()) | ({BASELINE, *KEPT} & fitted.arrays.keys()))
        if clash:
            raise BadInput(f"names in what {type(candidate).__name__} learned", "other than the task's own", clash)
        arrays = {**fitted.arrays, BASELINE: summary_of(self._table_of(data, balanced=False), target)}
        notes = [fitted.note]
        if isinstance(self._task.decide, Decide):
            kept, names, note = thresholds_for(self._task, candidate, data, self._table_of, seed)
            arrays |= kept
            own |= names
            notes.append(note)
        return Trained(arrays, {**own, **fitted.texts}, "; ".join(note for note in notes if note))

    def unable_to_continue(self, candidate: Any) -> str:
        """A model needs `update`; a decision by costs and the weights of open labels are learned from everything."""
        if not hasattr(candidate, "update"):
            return f"{type(candidate).__name__} cannot continue from what it learned"
        if isinstance(self._task.decide, Decide):
            return "the thresholds of its decisions are learned from everything"
        if self._task.reweight is not None:
            return "the weights of examples change with the latest requests"
        if self._task.balance:
            return "the weights of groups change with every example"
        return "the weights of open labels change with time" if self._task.open_examples == "weight" else ""

    def unseen(self, data: TrainingData, learned_us: int, examples: int) -> int | str:
        """The requests whose label became final since; or a text where earlier ones came or went, which a model that
        reads each request once could not follow."""
        count = len(data.arrays["at_us"])
        fresh = len(self.since(data, learned_us - self._task.within_us).arrays["at_us"])
        if count - fresh == examples:
            return fresh
        return f"of the {examples:,} examples known then there are {count - fresh:,} now"

    def continued(self, candidate: Any, learned: Artifact, learned_us: int, data: TrainingData, seed: int) -> Trained:
        """What the candidate had learned, updated with the requests whose label became final since."""
        task = self._task
        fresh = self.since(data, learned_us - task.within_us)
        before = TabularFit({name: array for name, array in learned.arrays.items() if name != BASELINE}, learned.texts)
        fitted = candidate.update(before, self._table_of(fresh), task.target_kind, seed)
        own = {name: values for name, values in data.texts.items() if name not in ("classes", COST_FIELDS)}
        arrays = {**fitted.arrays, BASELINE: summary_of(self._table_of(data, balanced=False), task.target_kind)}
        return Trained(arrays, {**own, **fitted.texts}, fitted.note)

    def share(self, data: TrainingData, share: float, seed: int) -> TrainingData:
        """A random share of the examples, ordered by time; a larger share contains a smaller one."""
        count = len(data.arrays["target"])
        rows = np.sort(np.random.default_rng(seed).permutation(count)[: max(1, round(share * count))])
        return msgspec.structs.replace(data, arrays={name: array[rows] for name, array in data.arrays.items()})

    def example_times(self, data: TrainingData) -> Ints:
        """The time of each request."""
        return data.arrays["at_us"]

    def since(self, data: TrainingData, from_us: int) -> TrainingData:
        """The requests from `from_us` on; vocabularies keep their entries."""
        recent = data.arrays["at_us"] >= from_us
        return msgspec.structs.replace(data, arrays={name: array[recent] for name, array in data.arrays.items()})

    def _table_of(self, data: TrainingData, balanced: bool = True) -> TrainingTable:
        return table_of(data, tuple(target.within_us for target in self._task.targets.values()), balanced)


def table_of(data: TrainingData, label_delays_us: tuple[int, ...], balanced: bool = True) -> TrainingTable:
    """The training table of models; `balanced`: groups count as `balance=` declares."""
    columns, weight, final_weight = columns_in(data.texts), data.arrays["weight"], data.arrays.get("final_weight")
    if balanced and BALANCE in data.arrays:
        factor = data.arrays[BALANCE] if weight.ndim == 1 else data.arrays[BALANCE][:, None]
        weight, final_weight = weight * factor, None if final_weight is None else final_weight * factor
    return TrainingTable(
        columns=columns,
        numbers=data.arrays["numbers"],
        categories=data.arrays["categories"],
        vocabularies=vocabularies_in(data.texts, columns),
        target=data.arrays["target"],
        weight=weight,
        at_us=data.arrays["at_us"],
        final_weight=final_weight,
        label_delays_us=label_delays_us,
    )


def _tested(at_us: Ints, window_us: tuple[int, int] | None) -> Ints:
    """Which of the requests with a final label, at these times, are tested: the last fifth, or those in the window."""
    if window_us is None:
        return np.arange(int((1 - TEST_SHARE) * len(at_us)), len(at_us))
    return np.flatnonzero((at_us >= window_us[0]) & (at_us < window_us[1]))
