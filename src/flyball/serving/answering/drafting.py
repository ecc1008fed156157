"""One response drafted from those of several versions."""

from collections.abc import Sequence

import msgspec
import numpy as np

from flyball.statistics import DraftRule, position_probabilities, team_draft
from flyball.tasks import ListLimit, Request, Response

_STREAM = 1
"""Keeps the draws of a draft apart from those that versions make from the same seed."""


def rule_of_all(responses: Sequence[Response], limits: Sequence[ListLimit | None]) -> DraftRule[str] | None:
    """The rule that all the lists obey, for the list drafted from them; None unless it is one and the same.

    Where arms differ in their rule, that is what is compared, and each keeps to its own. An item that is in several
    lists has the values that the first one names for it.
    """
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(responses) or len({(limit.attribute, limit.at_most) for limit in known}) != 1:
        return None
    values: dict[str, tuple[str, ...]] = {}
    for response, limit in zip(responses, known, strict=True):
        for item, texts in zip(response.items, limit.values, strict=True):
            values[item.item] = values.get(item.item) or texts
    return DraftRule(known[0].at_most, values)


def draft_of(
    request: Request, responses: Sequence[Response], rule: DraftRule[str] | None = None
) -> tuple[Response, tuple[int, ...]]:
    """(the drafted list, the index of the response that each item is of), as long as the longest of the lists.

    `rule` holds in the whole list. The draw is a function of the request's id alone. An item's propensity is how
    likely it was to stand where it does: the draft's, times that of the list it is of, for lists that draw items
    themselves.
    """
    rankings = [[item.item for item in response.items] for response in responses]
    reads = tuple(read for response in responses for read in response.reads)
    size = max(map(len, rankings))
    if not size:
        return Response(reads=reads), ()
    drafted = team_draft(rankings, size, np.random.default_rng((request.seed, _STREAM)), rule)
    probabilities = position_probabilities(rankings, size, rule)
    of = [{item.item: item for item in response.items} for response in responses]
    items = []
    for position, (item, team) in enumerate(zip(drafted.items, drafted.teams, strict=True)):
        ranked = of[team][item]
        propensity = ranked.propensity * min(1.0, probabilities[position][item])
        items.append(msgspec.structs.replace(ranked, propensity=propensity))
    return Response(tuple(items), reads=reads), drafted.teams
