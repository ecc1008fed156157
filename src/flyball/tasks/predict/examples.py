"""Examples of a prediction task: requests with their labels, as known at some time.

Young requests are a problem: of those made an hour ago only those whose label took less than an hour have one, so they
are biased. Either requests younger than the target's span are excluded, or each labeled one is weighted by the inverse
of the probability that its label could be observed by now: 1 / G(d), where d is how long its label took and G the
Kaplan-Meier estimate of the share of requests observed at least so long. Sources: Robins and Rotnitzky, "Recovery of
Information and Adjustment for Dependent Censoring Using Surrogate Markers", 1992; van der Laan and Robins, "Unified
Methods for Censored Longitudinal Data and Causality", 2003.

Declined requests have no label. The few that were approved nevertheless (the control group of `fb.decide`) represent
them: each is weighted by the inverse of its answer's logged propensity. Source: Horvitz and Thompson, "A Generalization
of Sampling Without Replacement from a Finite Universe", JASA 1952.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from flyball.core import Doubles, Ints, find_zone
from flyball.events import Schema, logged_types
from flyball.features import number_column
from flyball.policy import Decide, compile_python
from flyball.tasks.evaluation import MISSING_GROUP
from flyball.tasks.label_frames import CENSORED, HELD, OPEN, OTHERWISE, label_requests
from flyball.tasks.past import DECISIONS, Past
from flyball.tasks.predict.columns import feature_frame, number_fields, time_columns
from flyball.tasks.predict.decisions import group_of
from flyball.tasks.predict.declaration import TIMES, Predict
from flyball.tasks.predict.thresholds import BALANCE, COST_FIELDS, COSTS, DECLARED, group_columns
from flyball.tasks.task import TrainingData

ORDER = ("at", "partition", "offset")
OFFSET = "_request"
MOST_BALANCE = 10.0
SMALLEST_SHARE = 0.02
"""The smallest probability: it limits weights to fifty and introduces a small bias."""


class Labeled(msgspec.Struct, frozen=True):
    """The labeled requests.

    `rows`: their indexes, int64 (n,). `target`, `weight`, `final_weight`: float64 (n,), or (n, labels) for several
    labels, as in a training table. `declared`: float64 (n,), the part of the weights that `weight=` declares; None
    without one.

    `states`: {state of the label: requests}, of all requests known at `as_of_us`, of several labels such as "held
    for late"; `young`: how many of them are younger than the target's span, of several labels the longest;
    `control`: how many of `rows` stand for requests that were declined. `reach_us`: how long before `as_of_us` the
    first known request was. `answered_young`: how many have a label, of the young ones that are left out for their age.
    """

    rows: Ints
    target: Doubles
    weight: Doubles
    states: dict[str, int]
    young: int
    as_of_us: int
    control: int = 0
    reach_us: int = 0
    final_weight: Doubles | None = None
    declared: Doubles | None = None
    answered_young: int = 0


class _LabelColumns(NamedTuple):
    """One label of all requests: its states, whether each has one that counts, now or when it is final, and `target`,
    `weight` and `final_weight` as in `Labeled`, NaN and 0 where it does not count."""

    states: NDArray[np.object_]
    labeled: NDArray[np.bool_]
    target: Doubles
    weight: Doubles
    final_weight: Doubles


class RequestHistory:
    """The requests of the past, ordered by time (`frame`), with their labels and decisions."""

    def __init__(self, task: Predict, past: Past) -> None:
        self.task, self.past = task, past
        about = task.about
        profiles = [entity.profile for entity in about.entities if entity.profile is not None]
        types = dict.fromkeys((*logged_types(about.event_types), *about.event_types, *profiles))
        self.schema = Schema(tuple(types))
        self.frames = {name: past.events(name) for name in (*self.schema.types, *self.schema.joined)}
        self.frame = self.frames[task.on.__name__.lower()].sort(*ORDER)
        self.at_us: Ints = self.frame["at"].cast(pl.Int64).to_numpy()
        weight = task.weight_expression
        self.weight: Doubles = (
            np.ones(self.frame.height)
            if weight is None
            else number_column(weight, self.frame).fill_null(0.0).to_numpy().astype(np.float64)
        )

    @cached_property
    def decided(self) -> tuple[NDArray[np.bool_], Doubles]:
        """Whether the decision on each request makes a label impossible, and the propensity of the decision."""
        impossible = np.zeros(self.frame.height, bool)
        propensity = np.ones(self.frame.height)
        if not isinstance(self.task.decide, Decide):
            return impossible, propensity
        decisions = self.past.events(DECISIONS)
        if not decisions.height:
            return impossible, propensity
        answered = last_decisions(self.frame, self.task.key_field, decisions, self.task.within_us)
        none = [decision for label in self.task.about.labels for decision in label.impossible_after]
        return (
            answered["decision"].is_in(none).fill_null(value=False).to_numpy(),
            answered["propensity"].fill_null(1.0).to_numpy().astype(np.float64),
        )

    def labels(self, as_of_us: int, name: str = "") -> pl.DataFrame:
        """The label of each request as known at `as_of_us`, see `label_requests`. `name`: of one of several labels."""
        labels = [label for label in self.task.about.labels if not name or label.name == name]
        requests = self.frame.select("at", **_joining(self.task))
        return label_requests(requests, labels, self.frames, self.schema, as_of_us)

    def known(self, as_of_us: int) -> NDArray[np.bool_]:
        """Which requests were known at `as_of_us`, bool (requests,)."""
        known: NDArray[np.bool_] = (self.frame["known_at"] <= as_of_us).to_numpy()
        return known

    def mature(self, as_of_us: int, within_us: int | None = None) -> NDArray[np.bool_]:
        """Which requests are so old that their label cannot change; with several labels, none of them can."""
        span_us = self.task.within_us if within_us is None else within_us
        mature: NDArray[np.bool_] = self.at_us + span_us < as_of_us
        return mature

    def examples(self, as_of_us: int, young: bool = False, all_final: bool = False) -> Labeled:
        """The requests whose label counts as of then; with `young`, those that are not mature too, weighted.

        Of several labels each counts by its own span: a request has those that are final. `all_final`: only requests
        old enough for all of them. Of a task that weights its examples the final ones alone are weighted, too, for
        those that were censored by an event: what takes long is censored more often.
        """
        known, targets = self.known(as_of_us), self.task.targets
        mature, (_, propensity) = self.mature(as_of_us), self.decided
        several = self.task.target_kind.kind == "multilabel"
        target, weight, final_weight = (np.full((len(known), len(targets)), value) for value in (np.nan, 0.0, 0.0))
        counts, answered = dict[str, int](), np.zeros(len(known), np.bool_)
        for column, name in enumerate(targets):
            of_label = self._labeled(name, known, as_of_us, young)
            target[:, column], weight[:, column] = of_label.target, of_label.weight
            final_weight[:, column] = of_label.final_weight
            answered |= of_label.labeled
            for state in (HELD, OTHERWISE, CENSORED, OPEN):
                counts[f"{state} for {name}" if several else state] = int((known & (of_label.states == state)).sum())
        rows = np.flatnonzero((weight > 0).any(axis=1) & (mature | (not all_final)))
        if not several:
            target, weight, final_weight = target[:, 0], weight[:, 0], final_weight[:, 0]
        return Labeled(
            rows,
            target[rows],
            weight[rows],
            counts,
            int((known & ~mature).sum()),
            as_of_us,
            control=int((propensity[rows] < 1).sum()),
            reach_us=as_of_us - int(self.at_us[known].min()) if known.any() else 0,
            final_weight=final_weight[rows] if young else None,
            declared=None if self.task.weight is None else self.weight[rows],
            answered_young=int((answered & ~mature).sum()) if all_final or not young else 0,
        )

    def _labeled(self, name: str, known: NDArray[np.bool_], as_of_us: int, young: bool) -> "_LabelColumns":
        """The label called `name` of all requests, as of then, and what each counts."""
        declared, (impossible, propensity) = self.task.targets[name], self.decided
        labels = self.labels(as_of_us, name if self.task.target_kind.kind == "multilabel" else "")
        values = labels["value"].fill_null(np.nan).to_numpy()
        states = labels["state"].to_numpy()
        states = np.where(impossible & (states != HELD), CENSORED, states)
        labeled = known & np.isin(states, (HELD, OTHERWISE)) & np.isfinite(values) & (self.weight > 0)
        final = self.mature(as_of_us, declared.within_us)
        counted = of_final = self.weight / np.maximum(propensity, SMALLEST_SHARE)
        if young or self.task.open_examples == "weight":
            of_final = counted * self._inverse_censoring(labels, known & final, final, as_of_us, declared.within_us)
        if young:
            counted = counted * self._inverse_censoring(labels, known, final, as_of_us, declared.within_us)
            used = labeled
        else:
            counted, used = of_final, labeled & final
        return _LabelColumns(
            states,
            labeled,
            np.where(used, values, np.nan),
            np.where(used, counted, 0.0),
            np.where(labeled & final, of_final, 0.0),
        )

    def _inverse_censoring(
        self,
        labels: pl.DataFrame,
        known: NDArray[np.bool_],
        mature: NDArray[np.bool_],
        as_of_us: int,
        within_us: int,
    ) -> Doubles:
        """1 / G(d) of each request whose label took a time of d; d is `within_us` for a negative."""
        held_us, ended = (labels[name].fill_null(-1).to_numpy() for name in ("held_at", "ended_at"))
        observed = np.minimum(as_of_us - self.at_us, within_us + 1)
        took = np.where(held_us >= 0, held_us - self.at_us, within_us)
        resolved = (labels["state"] == HELD).to_numpy() | mature
        cut = ended >= 0
        duration = np.where((held_us >= 0) & ~cut, took, np.where(cut, np.minimum(ended - self.at_us, took), observed))
        duration = np.where(mature & (held_us < 0) & ~cut, within_us + 1, duration)
        censored = known & ~resolved | (known & cut & (labels["state"] == CENSORED).to_numpy())
        share = observed_share(duration[known], censored[known], took)
        return 1.0 / np.maximum(share, SMALLEST_SHARE)

    @cached_property
    def table(self) -> pl.DataFrame:
        """One row for each request with all columns of the task, each with the value at the time of the request."""
        task = self.task
        frame: pl.DataFrame = feature_frame(task, self.frame, self.frames, self.past.lag.features_us)
        times = time_columns(self.at_us.tolist(), find_zone(task.zone))
        present = set(self.frame.columns)
        added = [pl.Series(name, times[name], pl.String) for name in TIMES if name not in present]
        return frame.with_columns(added) if added else frame


def last_decisions(requests: pl.DataFrame, key: str, decisions: pl.DataFrame, within_us: int) -> pl.DataFrame:
    """`decision` and `propensity` of each request, null where none is logged.

    A response belongs to the one request of the same `key` that is nearest to it, at most `within_us` apart; of several
    that belong to a request, the last counts.
    """
    keys = pl.col("request").str.json_path_match(f"$.{key}").alias("_key")
    answers = decisions.select("at", keys, "decision", "propensity").drop_nulls("_key").sort("at", maintain_order=True)
    keyed = requests.select(pl.col("at").cast(pl.Int64), pl.col(key).cast(pl.String).alias("_key"))
    rows = keyed.with_row_index(OFFSET)
    answered = answers.join_asof(
        rows.sort("at", maintain_order=True),
        on="at",
        by="_key",
        strategy="nearest",
        tolerance=within_us,
        check_sortedness=False,
    )
    last = answered.drop_nulls(OFFSET).group_by(OFFSET).agg(pl.col("decision").last(), pl.col("propensity").last())
    return rows.join(last, on=OFFSET, how="left", maintain_order="left").select("decision", "propensity")


def observed_share(duration_us: Ints, censored: NDArray[np.bool_], at_us: Ints) -> Doubles:
    """The Kaplan-Meier estimate of the share of requests still observed just before each of `at_us`.

    `duration_us`: how long each request was observed or its label took; `censored`: which stopped being observed then
    without a label. Source: Kaplan and Meier, "Nonparametric Estimation from Incomplete Observations", JASA 1958.

    >>> observed_share(np.array([1, 2, 2, 3]), np.array([True, False, False, True]), np.array([1, 2, 3]))
    array([1.  , 0.75, 0.75])
    """
    times, time_index = np.unique(duration_us, return_inverse=True)
    stopped = np.bincount(time_index, censored, len(times))
    at_risk = len(duration_us) - np.concatenate([[0.0], np.cumsum(np.bincount(time_index, minlength=len(times)))])[:-1]
    survival = np.concatenate([[1.0], np.cumprod(1.0 - stopped / np.maximum(at_risk, 1.0))])
    share: Doubles = survival[np.searchsorted(times, at_us, side="left")]
    return share


def _joining(task: Predict) -> dict[str, Any]:
    """The columns that join labels with requests."""
    from flyball.tasks.labels import joining_names

    names = dict.fromkeys(name for label in task.about.labels for name in joining_names(label))
    return {name: pl.col(task.key_field).cast(pl.String) for name in names}


def cost_matrix(policy: Decide, frame: pl.DataFrame) -> Doubles:
    """The costs of errors on each row, float64 (rows, 2 or 3): false approve, false decline and review.

    A cost is NaN if it cannot be computed.
    """
    costs = [cost for cost in (policy.false_approve, policy.false_decline, policy.review) if cost is not None]
    matrix = np.empty((frame.height, len(costs)))
    for index, cost in enumerate(costs):
        if not cost.fields():
            matrix[:, index] = compile_python(cost)(None)
            continue
        has_fields = frame.select(pl.all_horizontal(pl.col(name).is_not_null() for name in sorted(cost.fields())))
        numbers = number_column(cost, frame).fill_null(np.nan).to_numpy()
        matrix[:, index] = np.where(has_fields.to_series().to_numpy(), numbers, np.nan)
    return matrix


def balance_of(values: Sequence[Any], weight: Doubles) -> Doubles:
    """The factor of the weight of each example with which all groups weigh the same, at most ten times the usual.

    `values`: the attribute of each example. `weight`: float64 (n,) or (n, labels).

    >>> balance_of(["a", "a", "a", "b"], np.ones(4)).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    groups, group = np.unique([group_of(value) or MISSING_GROUP for value in values], return_inverse=True)
    counts = np.bincount(group, weight if weight.ndim == 1 else weight.sum(axis=1), len(groups))
    factors: Doubles = counts.sum() / np.maximum(counts, 1e-300) / len(groups)
    return np.asarray(np.minimum(factors, MOST_BALANCE)[group])


def training_data(task: Predict, table: pl.DataFrame, examples: Labeled, at_us: Ints) -> TrainingData:
    """The rows of `examples` as arrays, with the vocabularies of these rows."""
    chosen = table[examples.rows.tolist()] if len(examples.rows) < table.height else table
    numbers = [column.name for column in task.columns if column.kind == "number"]
    categories = [column.name for column in task.columns if column.kind == "category"]
    texts: dict[str, list[str]] = {
        "columns": [column.name for column in task.columns],
        "column_kinds": [column.kind for column in task.columns],
        "classes": list(task.target_kind.classes),
    }
    codes = np.empty((chosen.height, len(categories)), np.int32)
    for index, name in enumerate(categories):
        values = chosen[name].cast(pl.String)
        vocabulary = values.drop_nulls().unique().sort().to_list()
        texts[f"vocabulary_{index}"] = vocabulary
        of = {text: code for code, text in enumerate(vocabulary)}
        codes[:, index] = [-1 if value is None else of[value] for value in values.to_list()]
    matrix = np.empty((chosen.height, len(numbers)))
    for index, name in enumerate(numbers):
        column = chosen[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        matrix[:, index] = np.where(np.isfinite(column), column, np.nan)
    arrays = {
        "numbers": matrix,
        "categories": codes,
        "target": examples.target,
        "weight": examples.weight,
        "at_us": at_us[examples.rows],
    }
    if examples.final_weight is not None:
        arrays["final_weight"] = examples.final_weight
    if task.balance:
        arrays[BALANCE] = balance_of(chosen[task.balance].to_list(), examples.weight)
    if isinstance(task.decide, Decide):
        arrays[COSTS] = cost_matrix(task.decide, chosen)
        if examples.declared is not None:
            arrays[DECLARED] = examples.declared
        group_arrays, group_texts = group_columns(task.groups, chosen)
        arrays |= group_arrays
        texts |= group_texts
        texts[COST_FIELDS] = names = number_fields(task.on)
        columns = [chosen[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in names]
        arrays[COST_FIELDS] = np.stack(columns, axis=1) if names else np.empty((chosen.height, 0))
    return TrainingData(arrays, texts, examples.as_of_us)
