"""Interleaving on the log: lists drafted from two versions' lists, and who earned what followed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
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

TeamsOf = Callable[[Prediction], tuple[int, ...] | None]
"""The ranker of each shown item, 0 for control and 1 for the candidate; None for a list that was not drafted."""


class InterleavedList(msgspec.Struct, frozen=True):
    """One drafted list. `credit`: {position: what its item earned}. `others`: where the other order of draft would have
    shown each item, () where that is not known."""

    unit: str
    at_us: int
    teams: tuple[int, ...]
    credit: Mapping[int, float] = {}
    others: tuple[int, ...] = ()


def compare_interleaved(
    lists: Iterable[InterleavedList], within_us: int, as_of_us: int, n_best: float, alpha: float = 0.05
) -> Inference:
    """Which ranker users prefer, b for the candidate: a unit counts once, with all its lists within its window.

    Its preference is `(b - a) / (a + b)` of the credit of both; units without credit prefer none. Valid at every look.
    """
    firsts: dict[str, int] = {}
    known = [drafted for drafted in lists if drafted.at_us <= as_of_us]
    for drafted in known:
        firsts[drafted.unit] = min(drafted.at_us, firsts.get(drafted.unit, drafted.at_us))
    credits = {unit: [0.0, 0.0] for unit, first in sorted(firsts.items()) if first + within_us <= as_of_us}
    for drafted in known:
        if drafted.unit in credits and drafted.at_us <= firsts[drafted.unit] + within_us:
            earned = team_credit(drafted.teams, dict(drafted.credit))
            total = credits[drafted.unit]
            total[0] += earned[0]
            total[1] += earned[1]
    plan = plan_interleaving(n_best, alpha=alpha)
    preferences = unit_preference([total[0] for total in credits.values()], [total[1] for total in credits.values()])
    return infer_interleaving(plan, interleaving_wealth(plan, preferences))


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
    log: EventLog, outcomes: Path, release: Release, label: str, teams_of: TeamsOf, within_us: int, as_of_us: int
) -> Iterator[InterleavedList]:
    """The drafted lists of a release whose labels are final, with the credit of their items by `label`.

    `within_us`: how long that label takes to be final.
    """
    first_us = release.started_us or release.created_us
    credit = _credit(outcomes, label, first_us)
    for record in records_between(log, first_us, as_of_us - within_us + 1):
        prediction = prediction_of(record)
        teams = teams_of(prediction) if record.known_at <= as_of_us else None
        unit = unit_of(release.unit, prediction.key, prediction.request)
        if teams is not None and unit is not None:
            yield InterleavedList(unit, prediction.at_us, teams, credit.get(prediction.id, {}))


def _credit(outcomes: Path, label: str, since_us: int) -> dict[str, dict[int, float]]:
    frame, column = outcomes_frame(outcomes, since_us), f"labels.{label}"
    if column not in frame.columns:
        return {}
    by_id: dict[str, dict[int, float]] = {}
    for id, position, value in frame.filter(pl.col(column).is_not_null()).select("id", "position", column).iter_rows():
        by_id.setdefault(id, {})[position] = value
    return by_id
