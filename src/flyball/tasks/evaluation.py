"""How a task is evaluated: the requests that candidates are asked, and the metrics and tables of a report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.policy import MetricGate, parse_metric
from flyball.tasks.answers import Answers
from flyball.tasks.unit_weights import Resampled, Undefined

MAX_CUTOFF = 200

MISSING_GROUP = "none"
"""The group of requests that lack the attribute."""


class Truth(Protocol):
    """What happened after the requests of an evaluation set, as a task's metrics read it."""

    def take(self, rows: NDArray[np.int64]) -> "Truth":
        """The same of some requests alone, in ascending order."""
        ...


class EvaluationSet(msgspec.Struct, frozen=True):
    """The requests that candidates are evaluated on, in order of time, each with the context of its own timestamp.

    `window_us`: [start, end) of the requests. `at_us`, `fields`: of each request, the fields as plain values, since
    the set crosses between processes. `units`: names of what is resampled (users, days, documents), `unit_of`: int64,
    the unit of each request. `catalogs`: (first request, {entity: catalog}): from that request on, items are as
    these say. `slices`: {name: the slice of each request, None for none}, such as "history_length". `pool`: how many
    units there were before sampling. `notes`: what a person should know of it. `leaks`: a sentence for each input that
    gives the outcome away.
    """

    window_us: tuple[int, int]
    at_us: NDArray[np.int64]
    fields: list[dict[str, Any]]
    contexts: list[Any]
    units: list[str]
    unit_of: NDArray[np.int64]
    truth: Any
    catalogs: list[tuple[int, dict[str, Any]]] = []
    slices: dict[str, list[str | None]] = {}
    pool: int = 0
    notes: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    certain_leaks: tuple[str, ...] = ()

    def take(self, rows: NDArray[np.int64]) -> "EvaluationSet":
        """Some of the requests, in ascending order; units keep their numbers."""
        numbers = rows.tolist()
        return msgspec.structs.replace(
            self,
            at_us=self.at_us[rows],
            fields=[self.fields[row] for row in numbers],
            contexts=[self.contexts[row] for row in numbers],
            unit_of=self.unit_of[rows],
            truth=self.truth.take(rows),
            catalogs=[(int(np.searchsorted(rows, first)), catalogs) for first, catalogs in self.catalogs],
            slices={name: [values[row] for row in numbers] for name, values in self.slices.items()},
        )


class Metric(Protocol):
    """A function of unit weights. The metric itself is its value at weights 1, so one bootstrap serves means, RMSE, log
    loss, AUC and coverage."""

    @property
    def better(self) -> Literal["high", "low"] | float:
        """The direction, or the value that it should have."""
        ...

    @property
    def centered(self) -> bool:
        """Whether resampled values are moved so that their mean is the value: for what every resample understates
        because it repeats units, such as coverage."""
        ...

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | Undefined | None:
        """None where these answers have no such metric, such as RMSE of a model that predicts no ratings; `Undefined`
        where these examples cannot give it, such as AUC when all are of one class."""
        ...


class MetricFamily(msgspec.Struct, frozen=True):
    """Metrics of one name. `make` gets the argument after "@". `argument`: its name in messages, "" for none."""

    make: Callable[[float], Metric]
    argument: str = ""


class ReportTable(msgspec.Struct, frozen=True):
    """A table of a report about one candidate. `name`: what it is drawn by. `rows`: a value, or None, for each of
    `columns`. `marked`: the row that stands for what the candidate does. `limits`: {column: what it should not exceed
    on average}. `summary`: it in half a sentence, "" where it is no short matter. `notes`: sentences below the table.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[list[Any]]
    marked: int | None = None
    limits: dict[str, float] = {}
    summary: str = ""
    notes: tuple[str, ...] = ()


EstimateAll = Callable[[Mapping[str, Resampled]], Mapping[str, tuple[float, float | None, float | None]]]
"""{name: metric} -> {name: (value, low, high)} of the same resamples."""


class EvaluationPlan(msgspec.Struct, frozen=True):
    """How a task is evaluated.

    `families`: metrics by the name used in `choose=`, `gates=` and reports, see `policy.MetricName`. `reported`: full
    names that every report has, `shown`: those of them that tables show first. `corrected`: {family: the one whose
    value decides in its stead where a report has it}, such as an inverse-propensity-weighted one. `sliced`: families
    reported by slice. `slices`: {what these slice by: the names of its slices, () where data say them}, None where it
    is not known. `groups`: attributes by which quality must be equal; an evaluation set has each among its slices, with
    None for a missing value. `grouped`: full names of the metrics that groups are compared by. `baselines`: always
    evaluated beside the candidates, the first is the one that a winner must beat.
    `gates`: the task's own. `further`: what metrics need of a candidate beside its responses: (pipeline,
    evaluation set) -> arrays. `tables`: (answers, evaluation set, how to estimate) -> what a report shows of a
    candidate beside its metrics. `references`: such arrays of simple rules that are no candidates, by name.
    """

    families: Mapping[str, MetricFamily]
    default: str
    reported: tuple[str, ...]
    shown: tuple[str, ...]
    baselines: Mapping[str, Any]
    sliced: tuple[str, ...] = ()
    slices: Mapping[str, tuple[str, ...]] | None = None
    groups: tuple[str, ...] = ()
    grouped: tuple[str, ...] = ()
    corrected: Mapping[str, str] = {}
    gates: tuple[MetricGate, ...] = ()
    further: Callable[[Any, EvaluationSet], Mapping[str, NDArray[Any]]] | None = None
    references: Callable[[EvaluationSet], Mapping[str, Mapping[str, NDArray[Any]]]] | None = None
    tables: Callable[[Answers, EvaluationSet, EstimateAll], list[ReportTable]] | None = None

    def metric(self, name: str) -> Metric:
        """The metric called `name`, without regard to its slice.

        Raises `BadDeclaration` listing the names there are.
        """
        parsed = parse_metric(name)
        family = self.families.get(parsed.family)
        if family is None or bool(family.argument) != (parsed.argument is not None):
            raise BadDeclaration("metric", f"one of {', '.join(self.names)}", name)
        if family.argument == "k" and parsed.argument not in range(1, MAX_CUTOFF + 1):
            raise BadDeclaration(f"k of metric {name}", f"a whole number from 1 to {MAX_CUTOFF}", parsed.argument)
        return family.make(0.0 if parsed.argument is None else parsed.argument)

    def check_metric(self, name: str) -> None:
        """Raise `BadDeclaration` for a metric, or a slice of one, that no report of the task has."""
        self.metric(name)
        parsed = parse_metric(name)
        if not parsed.slice:
            return
        if parsed.family not in self.sliced:
            must = f"a metric that is reported by slice: {', '.join(self.sliced) or 'none of this task is'}"
            raise BadDeclaration(f"metric {name}", must, parsed.family)
        by, _, value = parsed.slice.partition("=")
        values = None if self.slices is None else self.slices.get(by)
        if self.slices is not None and (not value or values is None or (values and value not in values)):
            forms = [f"{by}={'|'.join(values) or '...'}" for by, values in self.slices.items()]
            raise BadDeclaration(f"slice of metric {name}", f"one of {', '.join(forms) or 'none'}", parsed.slice)

    def check_gap(self, name: str) -> None:
        """Raise `BadDeclaration` for a gap between groups, such as "auc/region", that no report of the task has."""
        plain, _, by = name.partition("/")
        if by not in self.groups:
            must = f"one of groups= of the task: {', '.join(self.groups) or 'it declares none'}"
            raise BadDeclaration(f"groups of max_gap {name}", must, by)
        if plain not in self.grouped:
            must = f"a metric that groups are compared by: {', '.join(self.grouped)}"
            raise BadDeclaration(f"metric of max_gap {name}", must, plain)

    @property
    def names(self) -> list[str]:
        """What can be asked for, such as "ndcg@k"."""
        return [f"{name}@{family.argument}" if family.argument else name for name, family in self.families.items()]

    def largest_cutoff(self, metrics: Sequence[str]) -> int:
        """The longest list that any of the metrics looks at, 0 for none."""
        parsed = [parse_metric(name) for name in metrics]
        return max((int(name.argument or 0) for name in parsed if self._argument(name.family) == "k"), default=0)

    def _argument(self, family: str) -> str:
        return self.families[family].argument if family in self.families else ""

    def corrected_name(self, name: str) -> str:
        """The full name of what decides in its stead where it is reported, `name` itself for none."""
        parsed = parse_metric(name)
        return str(parsed.of_family(self.corrected.get(parsed.family, parsed.family)))
