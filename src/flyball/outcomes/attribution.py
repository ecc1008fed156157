"""Which response an event follows, as pure functions of what was shown and what happened.

An event lies in the window of a response when it is not before it and at most the label's `within` after it, both ends
included. Labels of an item count an event once, for the first response whose window holds it: who was shown an item
twice and took it once took it once. Labels of a whole request count for every response to it.
"""

from collections.abc import Sequence

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
) -> tuple[dict[Key, Follow], set[LabelTouch]]:
    """What followed each showing, and the touches that some showing was in_windows.

    `showings` and `touches` of one key (and item), sorted by time (touches: then by offset); `labels`: those that join
    them, with their numbers. `once`: an event counts for the first showing only.
    """
    if not showings:  # so for most events: nobody was shown what they are about
        return {}, set()
    spans = {label.within_us for _, label in labels}
    windows = {span: [_windows(showings, touch.at, span, once) for touch in touches] for span in spans}
    in_windows: dict[int, dict[int, list[LabelTouch]]] = {}
    followed: dict[int, set[int]] = {}
    joined: set[int] = set()
    for number, label in labels:
        bit = 1 << number
        for index, (touch, holding) in enumerate(zip(touches, windows[label.within_us], strict=True)):
            if holding and (touch.bits | touch.ends) & bit:
                joined.add(index)
                for row in holding:
                    in_windows.setdefault(row, {}).setdefault(number, []).append(touch)
                    followed.setdefault(row, set()).add(index)
    for index, holding in enumerate(windows[max(spans)]):
        if holding and index not in joined:
            joined.add(index)
            for row in holding:
                followed.setdefault(row, set()).add(index)
    follows: dict[Key, Follow] = {}
    for row, indexes in followed.items():
        showing = showings[row]
        ordered = [touches[index] for index in sorted(indexes)]
        follows[showing.at, showing.id] = _follow(showing, ordered, in_windows.get(row, {}), labels)
    return follows, {touches[index] for index in joined}


def _windows(showings: Sequence[Showing], at: int, within_us: int, once: bool) -> list[int]:
    """The numbers of the showings whose windows hold a time."""
    holding = []
    for row, showing in enumerate(showings):
        if showing.at > at:
            break
        if together(showing.at, at, within_us):
            holding.append(row)
            if once:
                break
    return holding


def _follow(
    showing: Showing,
    touches: Sequence[LabelTouch],
    in_windows: dict[int, list[LabelTouch]],
    labels: Sequence[tuple[int, Label]],
) -> Follow:
    kinds: dict[str, int] = {}
    for touch in touches:
        kinds[touch.kind] = kinds.get(touch.kind, 0) + 1
    by_name: dict[str, list[tuple[int, Label]]] = {}
    for number, label in labels:
        by_name.setdefault(label.name, []).append((number, label))
    held: dict[str, Held] = {}
    censored = []
    for name, clauses in by_name.items():
        holds, ended_at = settle_label([(number, label, in_windows.get(number, [])) for number, label in clauses])
        if holds is not None:
            held[name] = holds
        elif ended_at is not None:
            censored.append(name)
    return Follow(showing.version, showing.position, touches[0].at, touches[-1].at, kinds, held, tuple(censored))


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
