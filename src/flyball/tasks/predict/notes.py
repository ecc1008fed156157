"""What a person should know of the examples of a prediction task: what is left out, what is wrong, what is missing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flyball.core import Doubles, counted_units, format_duration, format_timestamp
from flyball.models import TargetKind
from flyball.tasks.predict.declaration import Predict
from flyball.tasks.predict.thresholds import DAY_US
from flyball.tasks.task import TrainingData

if TYPE_CHECKING:
    import polars as pl

    from flyball.tasks.predict.examples import Labeled

REWEIGHTING = "reweighting"
"""The text of training data that says how examples were weighted for the latest requests."""
TEST_SHARE = 0.2
"""The share of the requests with a final label that are evaluated on, the last of them."""


def left_out_notes(task: Predict, final: "Labeled") -> list[str]:
    """A note for each state of labels whose requests are left out of an evaluation, and one for those whose label has
    come but may still change, or is among the quick ones."""
    weighted = task.open_examples == "weight"
    stand_in = "; others that took as long are weighted for them" if weighted else ""
    notes = []
    for state, count in final.states.items():
        if count and state.startswith("censored"):
            notes.append(f"{counted_units(count, 'request')} left out as {state}{stand_in}")
        elif count and state.startswith("open"):
            notes.append(f"{counted_units(count, 'request')} left out as {state}: without a label so far")
    if final.answered_young:
        where = "left out of the evaluation" if weighted else "left out"
        notes.append(
            f"{counted_units(final.answered_young, 'request')} {where} as too young: with a label, but asked less than "
            f"{format_duration(task.within_us)} ago"
        )
    return notes


def undeclared_classes(task: Predict, frames: "Mapping[str, pl.DataFrame]") -> list[str]:
    """A warning for each target whose events have texts other than its classes; such events label no request."""
    from flyball.features import texts_of

    notes = []
    for target in task.targets.values():
        if target.classes and target.value is not None:
            counts = texts_of(target.value, frames[target.name]).drop_nulls().value_counts(sort=True)
            unknown = counts.filter(~counts["text"].is_in(target.classes))
            if unknown.height:
                notes.append(
                    f"warning: {unknown['count'].sum():,} {target.event.__name__} events are none of the classes "
                    f"{', '.join(target.classes)}, such as {unknown['text'][0]!r}, and label nothing: add the class, "
                    "or correct the events"
                )
    return notes


def one_class_notes(kind: TargetKind, targets: Mapping[str, Doubles]) -> tuple[str, ...]:
    """A warning for each set of examples of one class only. `targets`: {use of the examples: their targets}.

    >>> import numpy as np
    >>> one_class_notes(TargetKind(kind="binary"), {"learn from": np.zeros(3)})
    ('warning: the 3 examples to learn from are all of one class (it never happened): nothing tells them apart',)
    """
    if kind.kind not in ("binary", "multiclass"):
        return ()
    notes = []
    for use, target in targets.items():
        if len(target) and (target == target[0]).all():
            happened = "it always happened" if target[0] else "it never happened"
            which = kind.classes[int(target[0])] if kind.kind == "multiclass" else happened
            notes.append(
                f"warning: the {len(target):,} examples to {use} are all of one class ({which}): nothing tells them "
                "apart"
            )
    return tuple(notes)


def too_few(task: Predict, final: "Labeled", least: int, rows: int, window_us: tuple[int, int] | None = None) -> str:
    from flyball.tasks.label_frames import HELD

    if sum(final.states.values()) > final.young and not len(final.rows) and not final.states.get(HELD, 1):
        target = next(iter(task.targets.values()))
        return (
            f"nothing to learn from: no {target.event.__name__} that names the {target.by} of a request came within "
            f"{format_duration(target.within_us)} after any of {sum(final.states.values()):,} requests: check that it "
            f"is ingested, with the same {target.by}, and that the span is long enough"
        )
    counts = ", ".join(f"{count:,} {state}" for state, count in final.states.items() if count) or "no request"
    if window_us is not None:
        start, end = (format_timestamp(at_us) for at_us in window_us)
        return (
            f"too little to evaluate on: from {start} to {end} there must be {least} requests with a final label, "
            f"got {rows}"
        )
    return (
        f"too little to evaluate on: the last fifth of the requests with a final label must hold {least}, got {rows}; "
        f"labels of {task.on.__name__}: {counts}, {final.young:,} younger than "
        f"{format_duration(task.within_us)}{needed_past(task, final)}"
    )


def needed_past(task: Predict, final: "Labeled") -> str:
    """A clause on how far requests must reach back, or "" if they do.

    The test window is the last fifth of the final labels, and some labels must be final before it.
    """
    within_us = task.within_us
    needed_us = within_us + int(within_us / (1 - TEST_SHARE))
    return (
        f"; a label takes {format_duration(within_us)} to be final, so requests must reach back {_days(needed_us)} and "
        f"some days more, they reach back {_days(final.reach_us)}"
    )


def _days(span_us: int) -> str:
    return f"{span_us / DAY_US:.1f} days"


def weighting_notes(train: TrainingData, now: TrainingData) -> list[str]:
    """How the examples were weighted, of what is evaluated and of what serves."""
    said = [("the evaluated models are", train)] + ([] if now is train else [("what serves is", now)])
    return [f"{who} {text}" for who, data in said for text in data.texts.get(REWEIGHTING, ())]
