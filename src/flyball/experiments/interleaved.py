"""Interleaving on the log: lists drafted from several versions' lists, and who earned what followed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import polars as pl

from flyball.events import EventLog
from flyball.outcomes import Prediction, outcomes_frame, prediction_of, records_between
from flyball.releases import Release, unit_of
from flyball.statistics import (
    Inference,
    harvest_position_bias,
    infer_interleaving,
    interleaving_wealth,
    plan_interleaving,
    team_credit,
    unit_preference,
)


class InterleavedList(msgspec.Struct, frozen=True):
    """One drafted list. `teams`: the ranker of each item, 0 for control. `credit`: {position: what its item earned}.
    `others`: where the other order of its round would have shown each item, its own position where that is the same; ()
    where that is not known."""

    unit: str
    at_us: int
    teams: tuple[int, ...]
    credit: Mapping[int, float] = {}
    others: tuple[int, ...] = ()


class UnitCredit(msgspec.Struct, frozen=True):
    """What each ranker earned from the units whose window has closed: `credit`, {unit: one number a ranker}. `waiting`:
    the units whose window is open. `lists`: those that were counted."""

    credit: Mapping[str, tuple[float, ...]]
    waiting: int
    lists: int

    def of(self, ranker: int) -> list[float]:
        """Of one ranker, by unit."""
        return [earned[ranker] for earned in self.credit.values()]


def credit_by_unit(lists: Iterable[InterleavedList], within_us: int, as_of_us: int, rankers: int = 2) -> UnitCredit:
    """A unit counts once, with all its lists within `within_us` of its first one, when that time is over."""
    firsts: dict[str, int] = {}
    known = [drafted for drafted in lists if drafted.at_us <= as_of_us]
    for drafted in known:
        firsts[drafted.unit] = min(drafted.at_us, firsts.get(drafted.unit, drafted.at_us))
    credit = {unit: [0.0] * rankers for unit, first in sorted(firsts.items()) if first + within_us <= as_of_us}
    counted = 0
    for drafted in known:
        total = credit.get(drafted.unit)
        if total is not None and drafted.at_us <= firsts[drafted.unit] + within_us:
            counted += 1
            for ranker, earned in enumerate(team_credit(drafted.teams, drafted.credit, rankers)):
                total[ranker] += earned
    return UnitCredit({unit: tuple(total) for unit, total in credit.items()}, len(firsts) - len(credit), counted)


def compare_credit(credit: UnitCredit, n_best: float, alpha: float = 0.05, ranker: int = 1) -> Inference:
    """Which ranker users prefer, b for `ranker`, a for control. Valid at every look.

    A unit's preference is `(b - a) / (a + b)` of the credit of both; units without credit prefer none.
    """
    plan = plan_interleaving(n_best, alpha=alpha)
    return infer_interleaving(plan, interleaving_wealth(plan, unit_preference(credit.of(0), credit.of(ranker))))


def compare_interleaved(
    lists: Iterable[InterleavedList], within_us: int, as_of_us: int, n_best: float, alpha: float = 0.05
) -> Inference:
    """Which of two rankers users prefer: `compare_credit` of `credit_by_unit`."""
    return compare_credit(credit_by_unit(lists, within_us, as_of_us), n_best, alpha)


def position_bias(lists: Iterable[InterleavedList]) -> dict[tuple[int, int], tuple[float, int, int]]:
    """Relative examination of positions, harvested from the same lists; see `statistics.harvest_position_bias`."""
    rows = [
        (position, other, float(drafted.credit.get(position, 0.0) > 0))
        for drafted in lists
        for position, other in enumerate(drafted.others)
    ]
    positions, others, clicks = zip(*rows, strict=True) if rows else ((), (), ())
    return harvest_position_bias(positions, others, clicks)


def interleaved_lists(
    log: EventLog, outcomes: Path, release: Release, label: str, within_us: int, as_of_us: int
) -> Iterator[InterleavedList]:
    """The drafted lists of a release whose labels are final, with the credit of their items by `label`.

    `within_us`: how long that label takes to be final.
    """
    first_us = release.started_us or release.created_us
    credit = credit_by_position(outcomes, label, first_us)
    for record in records_between(log, first_us, as_of_us - within_us + 1):
        prediction = prediction_of(record)
        took_part = any(exposure.release == release.id for exposure in prediction.exposures)
        unit = unit_of(release.unit, prediction.key, prediction.request)
        if took_part and prediction.teams and unit is not None and record.known_at <= as_of_us:
            drafted = tuple(prediction.drafted)
            yield InterleavedList(
                unit, prediction.at_us, drafted, credit.get(prediction.id, {}), other_positions(prediction)
            )


def other_positions(prediction: Prediction) -> tuple[int, ...]:
    """Where each item of a list drafted from two would stand had its round gone in the other order: the other place of
    the round where both rankers had another item to add, else where it is."""
    if len(prediction.teams) != 2:
        return ()
    others = list(range(len(prediction.items)))
    shown: set[str] = set()
    for first in range(0, len(others) - 1, 2):
        heads = [_head(team.items, shown) for team in prediction.teams]
        if None not in heads and heads[0] != heads[1]:
            others[first], others[first + 1] = first + 1, first
        shown.update(prediction.items[first : first + 2])
    return tuple(others)


def _head(ranking: Sequence[str], shown: set[str]) -> str | None:
    return next((item for item in ranking if item not in shown), None)


def credit_by_position(outcomes: Path, label: str, since_us: int) -> dict[str, dict[int, float]]:
    """{answer: {position: value of the label}} of the items of answers since then."""
    frame, column = outcomes_frame(outcomes, since_us), f"labels.{label}"
    if column not in frame.columns:
        return {}
    by_id: dict[str, dict[int, float]] = {}
    for id, position, value in frame.filter(pl.col(column).is_not_null()).select("id", "position", column).iter_rows():
        by_id.setdefault(id, {})[position] = value
    return by_id
