"""What is read from the outcomes' file: figures per version, and what followed one prediction."""

from pathlib import Path

import msgspec

from flyball.outcomes.attribution import Follow
from flyball.outcomes.counts import MINUTE_US, Counts, Figures, figures_of
from flyball.outcomes.prediction import Prediction, id_bytes
from flyball.outcomes.reading import MICRO
from flyball.outcomes.store import OutcomeStore


def figures(path: Path, since_us: int = 0) -> dict[str, Figures]:
    """{version: figures} of the answers since the minute of `since_us`; empty when no outcomes were kept yet."""
    if not path.exists():
        return {}
    total: dict[str, Counts] = {}
    store = OutcomeStore(path, read_only=True)
    try:
        for version, counts in store.figures(since_us // MINUTE_US) if store.ready() else ():
            total.setdefault(version, Counts()).add(counts)
    finally:
        store.close()
    return {version: figures_of(version, counts) for version, counts in sorted(total.items())}


class Followed(msgspec.Struct, frozen=True):
    """What a user did with one shown item after the prediction, as far as this prediction was given it."""

    item: str
    position: int
    first_at_us: int
    last_at_us: int
    events: dict[str, int]
    taken: bool
    positive: bool
    rating: float | None


def followed(path: Path, prediction: Prediction) -> list[Followed]:
    """What followed a prediction, by position; empty when nothing did or no outcomes were kept yet."""
    if not path.exists():
        return []
    store = OutcomeStore(path, read_only=True)
    try:
        found = store.follows(prediction.user, prediction.at_us, id_bytes(prediction.id)) if store.ready() else {}
    finally:
        store.close()
    return [_followed(prediction, each) for each in sorted(found.values(), key=lambda each: each.position)]


def _followed(prediction: Prediction, found: Follow) -> Followed:
    return Followed(
        prediction.items[found.position],
        found.position,
        found.first_at,
        found.last_at,
        found.kinds,
        found.taken,
        found.positive,
        None if found.rating_micro is None else found.rating_micro / MICRO,
    )
