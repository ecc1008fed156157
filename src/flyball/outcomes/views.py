"""Reads the outcomes: the metrics of each version, and the outcomes of one response."""

import msgspec

from flyball.outcomes.attribution import Attribution
from flyball.outcomes.counts import MINUTE_US, VersionCounts
from flyball.outcomes.metrics import VersionOutcomes, version_outcomes
from flyball.outcomes.prediction import Prediction, id_bytes
from flyball.outcomes.reading import MICRO
from flyball.outcomes.store import OutcomeStore
from flyball.outcomes.tables import Location, tables_exist


def outcomes_by_version(location: Location, now_us: int, since_us: int = 0) -> dict[str, VersionOutcomes]:
    """{version: outcomes} of the responses since the minute of `since_us`; `now_us` decides which are mature.

    Empty if no outcomes were stored yet.
    """
    if not tables_exist(location):
        return {}
    minutes: dict[str, list[tuple[int, VersionCounts]]] = {}
    store = OutcomeStore(location, read_only=True)
    try:
        if not store.ready():
            return {}
        specs = store.specs()
        for version, minute, counts in store.counts(since_us // MINUTE_US):
            minutes.setdefault(version, []).append((minute, counts))
    finally:
        store.close()
    return {version: version_outcomes(version, counts, specs, now_us) for version, counts in sorted(minutes.items())}


def first_response_us(location: Location, version: str = "") -> int | None:
    """The start of the minute of the first response of `version`, by default of any version; None without one."""
    if not tables_exist(location):
        return None
    store = OutcomeStore(location, read_only=True)
    try:
        minute = store.first_minute(version) if store.ready() else None
    finally:
        store.close()
    return None if minute is None else minute * MINUTE_US


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


def followed(location: Location, prediction: Prediction) -> list[Followed]:
    """The outcomes of a response: of the request first, then of its items by position; empty without outcomes."""
    if not tables_exist(location):
        return []
    store = OutcomeStore(location, read_only=True)
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
