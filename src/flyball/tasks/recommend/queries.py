"""What is asked of a recommendation task and what comes back."""

import msgspec

from flyball.core import BadInput, FlyballError
from flyball.tasks.recommend.declaration import MAX_K, Recommend, attributes_of

MODEL, GENERAL, GROUP, POPULAR, NEWCOMER = "model", "general", "group", "popular", "newcomer"
"""Where a shown item comes from: a model's scores for the user, those of a model that is not personal, the user's
group's list, the popular list, a newcomer's place."""


class Query(msgspec.Struct, frozen=True):
    """One request for a list of `k` items for `user`.

    `include`, `exclude`: {attribute: values as text}. An item passes `include` when every attribute named there has
    one of its values, and `exclude` when none has; an attribute that is a list has each of its elements, a missing
    one has no value. `without`: items not to show. `seed` decides the newcomers.
    """

    user: str
    k: int
    include: dict[str, list[str]] | None = None
    exclude: dict[str, list[str]] | None = None
    without: list[str] = []
    now_us: int = 0
    seed: int = 0


class Shown(msgspec.Struct, frozen=True):
    """One place of a list. `source`: "model", "general", "group", "popular" or "newcomer".

    `score`: of the model; of a "group" or "popular" item its share of interactions; 0 for a newcomer.
    `propensity`: the chance with which this query, under another seed, shows the item: 1 but for newcomers.
    """

    item: str
    score: float
    source: str
    propensity: float = 1.0


class BadScores(FlyballError):
    """A model gave scores that cannot be ranked: answer with another version."""

    def __init__(self, model: str, must: str, got: object) -> None:
        self.model, self.must, self.got = model, must, got
        super().__init__(f"scores of {model} must be {must}, got {got}")


def check_query(task: Recommend, query: Query) -> None:
    """Raise `BadInput` for a `k` out of range or a filter over an attribute that the item's profile has not."""
    if not 1 <= query.k <= MAX_K:
        raise BadInput("k", f"from 1 to {MAX_K}", query.k)
    known = attributes_of(task.item)
    for filters in (query.include, query.exclude):
        for attribute in filters or {}:
            if attribute not in known:
                raise BadInput("filter attribute", f"one of {', '.join(known) or 'none'}", attribute)
