"""Interleaving from the log: drafted lists, and the credit that each version earned by the outcomes of its items."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import polars as pl

from flyball.events import EventLog
from flyball.outcomes import Location, Prediction, outcomes_frame, prediction_of, records_between
from flyball.releases import Release, unit_of
from flyball.statistics import (
    DraftRule,
    Inference,
    harvest_position_bias,
    infer_interleaving,
    interleaving_wealth,
    plan_interleaving,
    ruled_draft,
    team_credit,
    unit_preference,
)


class InterleavedList(msgspec.Struct, frozen=True):
    """One drafted list.

    `teams`: the ranker of each item, 0 for control. `credit`: {position: what its item earned}. `others`: the position
    that each item would have in the other order of its round, which may be the same; () if that is not known.
    """

    unit: str
    at_us: int
    teams: tuple[int, ...]
    credit: Mapping[int, float] = {}
    others: tuple[int, ...] = ()


class UnitCredit(msgspec.Struct, frozen=True):
    """The credit of each ranker from units whose window has closed: {unit: one number for each ranker}. `waiting`: the
    number of units with an open window. `lists`: the number of lists that were counted."""

    credit: Mapping[str, tuple[float, ...]]
    waiting: int
    lists: int

    def of(self, ranker: int) -> list[float]:
        """The credit of one ranker, a number for each unit."""
        return [earned[ranker] for earned in self.credit.values()]


def credit_by_unit(lists: Iterable[InterleavedList], within_us: int, as_of_us: int, rankers: int = 2) -> UnitCredit:
    """The credit by unit. A unit counts with all its lists within `within_us` of its first one, after that time."""
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
    """The mean preference of users for `ranker` over control; its interval is valid at every look.

    The preference of a unit is `(b - a) / (a + b)`, with the credit b of the ranker and a of control, or 0 without
    credit.
    """
    plan = plan_interleaving(n_best, alpha=alpha)
    return infer_interleaving(plan, interleaving_wealth(plan, unit_preference(credit.of(0), credit.of(ranker))))


def position_bias(lists: Iterable[InterleavedList]) -> dict[tuple[int, int], tuple[float, int, int]]:
    """The relative examination of positions, estimated from the same lists; see `statistics.harvest_position_bias`."""
    rows = [
        (position, other, float(drafted.credit.get(position, 0.0) > 0))
        for drafted in lists
        for position, other in enumerate(drafted.others)
    ]
    positions, others, clicks = zip(*rows, strict=True) if rows else ((), (), ())
    return harvest_position_bias(positions, others, clicks)


def interleaved_lists(
    log: EventLog, outcomes: Location, release: Release, label: str, within_us: int, as_of_us: int
) -> Iterator[InterleavedList]:
    """The drafted lists of a release whose labels are final, with the credit of their items by `label`.

    `within_us`: the time until that label is final.
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
    """The position of each item if its round of the draft had gone in the other order, for a draft of two lists.

    It is the other position of the round if both rankers had different items to add, else the same position. In a draft
    with a rule, one order holds for all rounds, so it is the position in the whole list of the other order.
    """
    if len(prediction.teams) != 2:
        return ()
    rule = draft_rule(prediction)
    if rule is not None:
        return _by_the_other_order(prediction, rule)
    others = list(range(len(prediction.items)))
    shown: set[str] = set()
    for first in range(0, len(others) - 1, 2):
        heads = [_head(team.items, shown) for team in prediction.teams]
        if None not in heads and heads[0] != heads[1]:
            others[first], others[first + 1] = first + 1, first
        shown.update(prediction.items[first : first + 2])
    return tuple(others)


def draft_rule(prediction: Prediction) -> DraftRule[str] | None:
    """The rule that a drafted list was made by, None without one."""
    at_most = max((team.at_most for team in prediction.teams), default=0)
    if not at_most:
        return None
    pairs = (pair for team in prediction.teams for pair in zip(team.items, team.values, strict=True))
    return DraftRule(at_most, dict(pairs))


def _by_the_other_order(prediction: Prediction, rule: DraftRule[str]) -> tuple[int, ...]:
    rankings = [team.items for team in prediction.teams]
    drafts = [ruled_draft(rankings, len(prediction.items), order, rule).items for order in ((0, 1), (1, 0))]
    other = next((items for items in drafts if list(items) != prediction.items), ())
    positions = {item: position for position, item in enumerate(other)}
    return tuple(positions.get(item, position) for position, item in enumerate(prediction.items))


def _head(ranking: Sequence[str], shown: set[str]) -> str | None:
    return next((item for item in ranking if item not in shown), None)


def credit_by_position(outcomes: Location, label: str, since_us: int) -> dict[str, dict[int, float]]:
    """{id of the response: {position: value of the label}} of the items of responses since `since_us`."""
    frame, column = outcomes_frame(outcomes, since_us), f"labels.{label}"
    if column not in frame.columns:
        return {}
    by_id: dict[str, dict[int, float]] = {}
    for id, position, value in frame.filter(pl.col(column).is_not_null()).select("id", "position", column).iter_rows():
        by_id.setdefault(id, {})[position] = value
    return by_id
