"""Attributes events to responses, as pure functions of impressions and events.

An event is in the window of a response from the time of the response to `within` of the label after it, both inclusive;
an event can be in the windows of several responses. A label holds for a response when the events in its window complete
it. If one event completes the label of an item for two responses, the label holds for the first of them only: a user
who was shown an item twice and bought it once bought it once. So if the events in any window are enough for a label, it
holds for some response. Labels of a whole request hold for every response to it.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import takewhile

import msgspec

from flyball.outcomes.reading import MICRO, LabelEvent
from flyball.policy import first_hold, together
from flyball.tasks import Label


class Impression(msgspec.Struct, frozen=True, gc=False, order=True):
    """One item shown by a response at `position` of its list (0 is the top); or a response as a whole."""

    at: int
    id: bytes
    version: str
    position: int


class Held(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A label that holds: since when, and its value in millionths."""

    at: int
    value: int


class Attribution(msgspec.Struct, frozen=True, gc=False):
    """What is attributed to one impression: the events in its window, by type, and the labels that hold.

    `censored`: the labels that another event ended before they held.
    """

    version: str
    position: int
    first_at: int
    last_at: int
    kinds: dict[str, int]
    labels: dict[str, Held]
    censored: tuple[str, ...] = ()


Key = tuple[int, bytes]
"""(at, id) of a prediction."""


def attribute(
    impressions: Sequence[Impression],
    events: Sequence[LabelEvent],
    labels: Sequence[tuple[int, Label]],
    once: bool,
    closed: Mapping[Key, Attribution | None] | None = None,
) -> tuple[dict[Key, Attribution], set[LabelEvent]]:
    """({(at, id) of an impression: what is attributed to it}, the events in the window of at least one impression).

    `impressions`, `events`: of one key (and item), sorted by time, and events of one time by offset. `labels`: the
    labels that join by this key, with their numbers. `once`: an event completes a label for one impression only, the
    first; two events at one time count as one. `closed`: final attributions of impressions, used as they are, because
    some of their events may have been deleted.
    """
    if not impressions:  # the case of most events: their item was not shown
        return {}, set()
    longest_us = max(label.within_us for _, label in labels)
    by_name: dict[str, list[tuple[int, Label, list[LabelEvent]]]] = {}
    for number, label in labels:
        concerning = [event for event in events if (event.bits | event.ends | event.voids) >> number & 1]
        by_name.setdefault(label.name, []).append((number, label, concerning))
    attributions: dict[Key, Attribution] = {}
    joined: set[LabelEvent] = set()
    completed: dict[str, set[int]] = {name: set() for name in by_name}
    for impression in impressions:
        key = impression.at, impression.id
        window = _window(impression, events, longest_us)
        joined.update(window)
        if closed is not None and key in closed:
            attribution = closed[key]
        else:
            attribution = _attribution(impression, window, by_name, completed) if window else None
        if attribution is None:
            continue
        attributions[key] = attribution
        if once:
            for name, label_value in attribution.labels.items():
                completed[name].add(label_value.at)
    return attributions, joined


def _window(impression: Impression, events: Sequence[LabelEvent], within_us: int) -> list[LabelEvent]:
    """The events from the impression to `within_us` after it, both inclusive."""
    first = bisect_left(events, impression.at, key=lambda event: event.at)
    return list(takewhile(lambda event: together(impression.at, event.at, within_us), events[first:]))


def _attribution(
    impression: Impression,
    window: Sequence[LabelEvent],
    by_name: Mapping[str, Sequence[tuple[int, Label, Sequence[LabelEvent]]]],
    completed: Mapping[str, set[int]],
) -> Attribution:
    """What is attributed to one impression, without labels that the same events completed for an earlier one."""
    kinds: dict[str, int] = {}
    for event in window:
        kinds[event.kind] = kinds.get(event.kind, 0) + 1
    label_values: dict[str, Held] = {}
    censored = []
    for name, clauses in by_name.items():
        holds, ended_at = settle_label(
            [(number, label, _window(impression, concerning, label.within_us)) for number, label, concerning in clauses]
        )
        unit_us = clauses[0][1].elapsed_unit_us
        if ended_at is not None:
            censored.append(name)
        elif holds is not None and holds.at not in completed[name]:
            label_values[name] = Held(holds.at, elapsed_micro(impression.at, holds.at, unit_us)) if unit_us else holds
    first_at, last_at = window[0].at, window[-1].at
    return Attribution(impression.version, impression.position, first_at, last_at, kinds, label_values, tuple(censored))


def _after_last_void(events: Sequence[LabelEvent], number: int) -> Sequence[LabelEvent]:
    """The events after the last one that voids the label with this number."""
    last = max((index for index, event in enumerate(events) if event.voids >> number & 1), default=-1)
    return events[last + 1 :]


def elapsed_micro(requested_at: int, held_at: int, unit_us: int) -> int:
    """The time from a request until its label held, in millionths of a unit of `unit_us`.

    >>> elapsed_micro(0, 90_000_000, 60_000_000)
    1500000
    """
    return round((held_at - requested_at) * MICRO / unit_us)


def settle_label(clauses: Sequence[tuple[int, Label, Sequence[LabelEvent]]]) -> tuple[Held | None, int | None]:
    """Settle one label from the events in the window of one response: (what holds, when it was censored).

    `clauses`: the declared labels of one name, with their numbers and sorted events. The label holds if one of them
    does, unless a later event voids it or an earlier event ended the wait. Its value is that of the latest event with a
    value, or 1 for a label without values.
    """
    ended_at = min((t.at for number, _, events in clauses for t in events if t.ends >> number & 1), default=None)
    held_at: int | None = None
    latest: tuple[tuple[int, int, bytes, str], int] | None = None
    for number, label, events in clauses:
        standing = _after_last_void(events, number) if label.latest else events
        qualifying = [event for event in standing if event.bits >> number & 1]
        last = first_hold([event.at for event in qualifying], label.at_least, label.within_us)
        if last is None:
            continue
        at = qualifying[last].at
        held_at = at if held_at is None else min(held_at, at)
        for event in qualifying:
            value = next((micro for clause, micro in event.values if clause == number), None)
            if value is not None and (latest is None or event.order > latest[0]):
                latest = (event.order, value)
    if held_at is None or (ended_at is not None and ended_at < held_at):
        return None, ended_at
    return Held(held_at, 1_000_000 if latest is None else latest[1]), None
