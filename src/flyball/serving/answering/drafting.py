"""One response drafted from those of several versions."""

from collections.abc import Sequence

import msgspec
import numpy as np

from flyball.statistics import position_probabilities, team_draft
from flyball.tasks import Request, Response

_STREAM = 1
"""Keeps the draws of a draft apart from those that versions make from the same seed."""


def draft_of(request: Request, responses: Sequence[Response]) -> tuple[Response, tuple[int, ...]]:
    """(the drafted list, the index of the response that each item is of), as long as the longest of the lists.

    The draw is a function of the request's id alone. An item's propensity is how likely it was to stand where it does:
    the draft's, times that of the list it is of, for lists that draw items themselves.
    """
    rankings = [[item.item for item in response.items] for response in responses]
    reads = tuple(read for response in responses for read in response.reads)
    size = max(map(len, rankings))
    if not size:
        return Response(reads=reads), ()
    drafted = team_draft(rankings, size, np.random.default_rng((request.seed, _STREAM)))
    probabilities = position_probabilities(rankings, size)
    of = [{item.item: item for item in response.items} for response in responses]
    items = []
    for position, (item, team) in enumerate(zip(drafted.items, drafted.teams, strict=True)):
        ranked = of[team][item]
        propensity = ranked.propensity * min(1.0, probabilities[position][item])
        items.append(msgspec.structs.replace(ranked, propensity=propensity))
    return Response(tuple(items), reads=reads), drafted.teams
