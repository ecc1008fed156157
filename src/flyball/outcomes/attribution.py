"""Which responses an event follows, as pure functions of what was shown and what happened.

An event lies in the window of a response when it is not before it and at most the label's `within` after it, both ends
included; it lies in the windows of all responses that it follows so closely. A label holds for a response when the
events in its window complete it, and is completed once: when the same event completes a label of an item for two
responses, it holds for the first of them. Who was shown an item twice and took it once took it once. So some response
has the label whenever the events in the window of any of them are enough for it. Labels of a whole request hold for
every response to it.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import takewhile

import msgspec

from flyball.outcomes.reading import LabelTouch
from flyball.policy import first_hold, together
from flyball.tasks import Label


class Showing(msgspec.Struct, frozen=True, gc=False, order=True):
    """One response that showed one item (or none), at `position` of its list (0 is the top)."""

    at: int
    id: bytes
    version: str
    position: int


class Held(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A label that holds: since when, and its value in millionths."""

    at: int
    value: int


class Follow(msgspec.Struct, frozen=True, gc=False):
    """What followed one response about one item, or about its request. `labels`: those that hold; `censored`: those
    that something else ended before they held."""

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
    showings: Sequence[Showing],
    touches: Sequence[LabelTouch],
    labels: Sequence[tuple[int, Label]],
    once: bool,
    closed: Mapping[Key, Follow | None] | None = None,
) -> tuple[dict[Key, Follow], set[LabelTouch]]:
    """What followed each showing, and the touches that lie in the window of some showing.

    `showings` and `touches` of one key (and item), sorted by time (touches: then by offset); `labels`: those that join
    them, with their numbers. `once`: what completes a label counts for the first showing that it completes it for;
    two events at one time count as one. `closed`: what followed the showings that no event can change any more, as
    some of their touches may be forgotten; it is taken as it is.
    """
    if not showings:  # so for most events: nobody was shown what they are about
        return {}, set()
    longest_us = max(label.within_us for _, label in labels)
    by_name: dict[str, list[tuple[int, Label, list[LabelTouch]]]] = {}
    for number, label in labels:
        concerning = [touch for touch in touches if (touch.bits | touch.ends) >> number & 1]
        by_name.setdefault(label.name, []).append((number, label, concerning))
    follows: dict[Key, Follow] = {}
    joined: set[LabelTouch] = set()
    completed: dict[str, set[int]] = {name: set() for name in by_name}
    for showing in showings:
        key = showing.at, showing.id
        window = _window(showing, touches, longest_us)
        joined.update(window)
        if closed is not None and key in closed:
            follow = closed[key]
        else:
            follow = _follow(showing, window, by_name, completed) if window else None
        if follow is None:
            continue
        follows[key] = follow
        if once:
            for name, label_value in follow.labels.items():
                completed[name].add(label_value.at)
    return follows, joined


def _window(showing: Showing, touches: Sequence[LabelTouch], within_us: int) -> list[LabelTouch]:
    """The touches that follow a showing, at most `within_us` after it."""
    first = bisect_left(touches, showing.at, key=lambda touch: touch.at)
    return list(takewhile(lambda touch: together(showing.at, touch.at, within_us), touches[first:]))


def _follow(
    showing: Showing,
    window: Sequence[LabelTouch],
    by_name: Mapping[str, Sequence[tuple[int, Label, Sequence[LabelTouch]]]],
    completed: Mapping[str, set[int]],
) -> Follow:
    """What followed one showing, without the labels that were completed for one before it."""
    kinds: dict[str, int] = {}
    for touch in window:
        kinds[touch.kind] = kinds.get(touch.kind, 0) + 1
    label_values: dict[str, Held] = {}
    censored = []
    for name, clauses in by_name.items():
        holds, ended_at = settle_label(
            [(number, label, _window(showing, concerning, label.within_us)) for number, label, concerning in clauses]
        )
        if ended_at is not None:
            censored.append(name)
        elif holds is not None and holds.at not in completed[name]:
            label_values[name] = holds
    return Follow(showing.version, showing.position, window[0].at, window[-1].at, kinds, label_values, tuple(censored))


def settle_label(clauses: Sequence[tuple[int, Label, Sequence[LabelTouch]]]) -> tuple[Held | None, int | None]:
    """(what holds, when something else ended the wait) of one label, from the touches in the window of one response.

    `clauses`: the labels of that name with their numbers and touches, sorted. It holds when any of them does and
    nothing ended the wait before; its value is that of the latest event that has one, 1 for a label without values.
    """
    ended_at = min((t.at for number, _, touches in clauses for t in touches if t.ends >> number & 1), default=None)
    held_at: int | None = None
    latest: tuple[tuple[int, int, bytes, str], int] | None = None
    for number, label, touches in clauses:
        qualifying = [touch for touch in touches if touch.bits >> number & 1]
        last = first_hold([touch.at for touch in qualifying], label.at_least, label.within_us)
        if last is None:
            continue
        at = qualifying[last].at
        held_at = at if held_at is None else min(held_at, at)
        for touch in qualifying:
            value = next((micro for clause, micro in touch.values if clause == number), None)
            if value is not None and (latest is None or touch.order > latest[0]):
                latest = (touch.order, value)
    if held_at is None or (ended_at is not None and ended_at < held_at):
        return None, ended_at
    return Held(held_at, 1_000_000 if latest is None else latest[1]), None
