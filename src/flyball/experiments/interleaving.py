"""The results of an interleaved release: which version's items users preferred."""

from typing import Any

import msgspec

from flyball.core import BadInput, Refused, format_timestamp
from flyball.experiments.interleaved import (
    InterleavedList,
    UnitCredit,
    compare_credit,
    credit_by_unit,
    interleaved_lists,
    position_bias,
)
from flyball.experiments.prediction_rows import label_of_metric
from flyball.experiments.result import WORDS
from flyball.policy import metric
from flyball.releases import Release, abort_alpha, abort_margins
from flyball.runtime import Runtime
from flyball.statistics import Inference
from flyball.tasks import About

UNIT_US = 86_400_000_000
"""How long after its first drafted list a unit's lists count, by default."""
ALPHA = 0.05


class RankerResult(msgspec.Struct, frozen=True):
    """One version compared with control. `credit`, `control_credit`: what its items and those of control earned.
    `inference`: on the mean over units of (its credit - control's) / (their sum), above 0 if users prefer it. `abort`:
    as in `MetricResult`."""

    arm: str
    version: str
    credit: float
    control_credit: float
    inference: Inference
    abort: Inference | None = None

    @property
    def sentence(self) -> str:
        """A sentence with credit, preference, interval and conclusion."""
        known = self.inference
        moved = f"earned {self.credit:g} against {self.control_credit:g} by control"
        if known.missing:
            return f"{self.version} ({self.arm}) {moved}: {WORDS['too early']}, {known.missing} are missing."
        words = {"better": "it is preferred", "worse": "control is preferred"}
        verdict = words.get(known.verdict, f"{WORDS.get(known.verdict, known.verdict)}")
        return (
            f"{self.version} ({self.arm}) {moved}: preference {known.effect:+.3f}, between {known.low:+.3f} and "
            f"{known.high:+.3f}; {verdict}."
        )


class PositionBias(msgspec.Struct, frozen=True):
    """`ratio`: the credit of an item at `position` over that at `below` (positions start at 0).

    It comes from items whose position was one of the two at random: `shown` and `shown_below` of them.
    """

    position: int
    below: int
    ratio: float
    shown: int
    shown_below: int


class InterleavingResult(msgspec.Struct, frozen=True, kw_only=True):
    """The results of an interleaved release at `as_of_us`.

    `label`: the label that earns credit. `units`, `waiting`: the numbers of units with a closed and with an open
    window. `lists`: the number of drafted lists that were counted. `constants`: what was fixed before the start.
    """

    experiment: str
    as_of_us: int
    label: str
    units: int
    waiting: int
    lists: int
    rankers: tuple[RankerResult, ...]
    position_bias: tuple[PositionBias, ...]
    constants: dict[str, float]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The results as sentences, the most important first."""
        at = format_timestamp(self.as_of_us // 1_000_000 * 1_000_000)
        head = (
            f"{self.experiment} until {at}: {self.lists:,} drafted lists of {self.units:,} units, {self.waiting:,} "
            f"more wait for their window to close; credit by {self.label}."
        )
        return (head, *(ranker.sentence for ranker in self.rankers))

    def document(self) -> dict[str, Any]:
        """The results as plain values, for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, rankers=()))
        plain["rankers"] = [
            {
                **msgspec.to_builtins(msgspec.structs.replace(ranker, inference=None, abort=None)),
                "inference": ranker.inference.document(),
                "abort": None if ranker.abort is None else ranker.abort.document(),
                "sentence": ranker.sentence,
            }
            for ranker in self.rankers
        ]
        return {**plain, "sentences": list(self.sentences)}


def interleaving(runtime: Runtime, release: Release, as_of_us: int) -> InterleavingResult:
    """The results of an interleaved release at `as_of_us`; raises `Refused` for a release of another kind."""
    if release.kind != "interleave":
        raise Refused(
            f"{release.id} must be interleaved for this comparison, got one of kind {release.kind}: compare it as that"
        )
    about = runtime.app.task.about
    name = credit_label(about, release)
    label = label_of_metric(about, metric.label(name))
    unit_us = int(release.constants.get("unit_us", UNIT_US))
    lists = list(
        interleaved_lists(runtime.predictions, runtime.outcomes_path, release, name, label.within_us, as_of_us)
    )
    credit = credit_by_unit(lists, unit_us, as_of_us - label.within_us, len(release.arms))
    return InterleavingResult(
        experiment=release.id,
        as_of_us=as_of_us,
        label=name,
        units=len(credit.credit),
        waiting=credit.waiting,
        lists=credit.lists,
        rankers=tuple(_rankers(release, credit, name)),
        position_bias=_position_bias(lists),
        constants={"alpha": ALPHA, "unit_us": float(unit_us), **release.constants},
    )


def credit_label(about: About, release: Release) -> str:
    """The label that earns credit: the one that the release names, else the task's first."""
    names = [label.name for label in about.labels]
    named = next(iter(release.success), names[0] if names else "")
    if named not in names:
        raise BadInput("credit", f"a label of the task: {', '.join(dict.fromkeys(names)) or 'it has none'}", named)
    return named


def _rankers(release: Release, credit: UnitCredit, label: str) -> list[RankerResult]:
    """Each arm against control; alpha is divided among them."""
    others = list(enumerate(release.arms))[1:]
    n_best = release.constants.get("n_best", 2_000.0)
    aborts = abort_alpha(release) if label in abort_margins(release) else 0.0
    control = sum(credit.of(0))
    return [
        RankerResult(
            arm.name,
            arm.version,
            sum(credit.of(index)),
            control,
            compare_credit(credit, n_best, ALPHA / len(others), index),
            compare_credit(credit, n_best, aborts, index) if aborts else None,
        )
        for index, arm in others
    ]


def _position_bias(lists: list[InterleavedList]) -> tuple[PositionBias, ...]:
    return tuple(
        PositionBias(position, below, ratio, shown, shown_below)
        for (position, below), (ratio, shown, shown_below) in sorted(position_bias(lists).items())
    )
