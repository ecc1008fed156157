"""Reads the file of outcomes: the metrics of each version, and the outcomes of one response."""

from pathlib import Path

import msgspec

from flyball.outcomes.attribution import Attribution
from flyball.outcomes.counts import MINUTE_US, VersionCounts
from flyball.outcomes.metrics import VersionOutcomes, version_outcomes
from flyball.outcomes.prediction import Prediction, id_bytes
from flyball.outcomes.reading import MICRO
from flyball.outcomes.store import OutcomeStore


def outcomes_by_version(path: Path, now_us: int, since_us: int = 0) -> dict[str, VersionOutcomes]:
    """{version: outcomes} of the responses since the minute of `since_us`; `now_us` decides which are mature.

    Empty if no outcomes were stored yet.
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
    """The events and labels that are attributed to one item of a response.

    `item`: "" for those that concern the whole request. `events`: numbers by type. `labels`: {label that holds: its
    value}. `censored`: labels that another event ended before they held.
    """

    item: str
    position: int
    first_at_us: int
    last_at_us: int
    events: dict[str, int]
    labels: dict[str, float]
    censored: tuple[str, ...] = ()


def followed(path: Path, prediction: Prediction) -> list[Followed]:
    """The outcomes of a response: of the request first, then of its items by position; empty without outcomes."""
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
