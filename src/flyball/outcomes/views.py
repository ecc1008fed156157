"""Reads the file of outcomes: metrics for each version, and the outcomes of one response."""

from pathlib import Path

import msgspec

from flyball.outcomes.attribution import Attribution
from flyball.outcomes.counts import MINUTE_US, VersionCounts
from flyball.outcomes.metrics import VersionOutcomes, version_outcomes
from flyball.outcomes.prediction import Prediction, id_bytes
from flyball.outcomes.reading import MICRO
from flyball.outcomes.store import OutcomeStore


def outcomes_by_version(path: Path, now_us: int, since_us: int = 0) -> dict[str, VersionOutcomes]:
    """{version: outcomes} of the responses since the minute of `since_us`, mature or open as of `now_us`.

    Empty when no outcomes were kept yet.
    """
    if not path.exists():
        return {}
    minutes: dict[str, list[tuple[int, VersionCounts]]] = {}
    store = OutcomeStore(path, read_only=True)
    try:
        if not store.ready():
            return {}
        specs = store.specs()
        for version, minute, counts in store.counts(since_us // MINUTE_US):
            minutes.setdefault(version, []).append((minute, counts))
    finally:
        store.close()
    return {version: version_outcomes(version, counts, specs, now_us) for version, counts in sorted(minutes.items())}


class Followed(msgspec.Struct, frozen=True):
    """What happened about one shown item after the response, as far as this response was given it.

    `item`: "" for what is about the whole request. `events`: by type. `labels`: values of those that hold; `censored`:
    those that something else ended before they could.
    """

    item: str
    position: int
    first_at_us: int
    last_at_us: int
    events: dict[str, int]
    labels: dict[str, float]
    censored: tuple[str, ...] = ()


def followed(path: Path, prediction: Prediction) -> list[Followed]:
    """The outcomes of a response, of the request first, then by position; empty without any."""
    if not path.exists():
        return []
    store = OutcomeStore(path, read_only=True)
    try:
        attributions = store.attributions_of(id_bytes(prediction.id)) if store.ready() else []
    finally:
        store.close()
    return [_followed(item, attribution) for item, attribution in sorted(attributions, key=_order)]


def _order(entry: tuple[str, Attribution]) -> tuple[bool, int]:
    item, attribution = entry
    return item != "", attribution.position


def _followed(item: str, attribution: Attribution) -> Followed:
    return Followed(
        item=item,
        position=attribution.position,
        first_at_us=attribution.first_at,
        last_at_us=attribution.last_at,
        events=attribution.kinds,
        labels={name: label.value / MICRO for name, label in sorted(attribution.labels.items())},
        censored=attribution.censored,
    )
