"""Which prediction an event follows, as pure functions of what was shown and what happened."""

from collections.abc import Sequence

import msgspec

from flyball.outcomes.reading import Spans, Touch


class Showing(msgspec.Struct, frozen=True, gc=False, order=True):
    """One prediction that showed one item to one user, at `position` of its list (0 is the top)."""

    at: int
    id: bytes
    version: str
    position: int


class Follow(msgspec.Struct, frozen=True, gc=False):
    """What one user did with one shown item, counted for one prediction."""

    version: str
    position: int
    first_at: int
    last_at: int
    touches: int
    taken: bool
    positive: bool
    rating_micro: int | None
    kinds: dict[str, int]


def attribute(
    showings: Sequence[Showing], touches: Sequence[Touch], window_us: int
) -> dict[tuple[int, bytes], tuple[Showing, list[Touch]]]:
    """Give each touch to the first showing in `(touch.at - window_us, touch.at]`; touches without one are left out.

    Both of one (user, item), sorted by time (touches: then by offset). Keys: (at, id) of the prediction.
    """
    given: dict[tuple[int, bytes], tuple[Showing, list[Touch]]] = {}
    place = 0
    for touch in touches:
        while place < len(showings) and showings[place].at <= touch.at - window_us:
            place += 1
        if place < len(showings) and showings[place].at <= touch.at:
            showing = showings[place]
            given.setdefault((showing.at, showing.id), (showing, []))[1].append(touch)
    return given


def follow(showing: Showing, touches: Sequence[Touch], spans: Spans) -> Follow:
    """Sum up the touches (one or more, sorted) that one showing was given; the latest rating counts."""
    kinds: dict[str, int] = {}
    for touch in touches:
        kinds[touch.kind] = kinds.get(touch.kind, 0) + 1
    ratings = [touch.rating_micro for touch in touches if touch.rating_micro is not None]
    return Follow(
        showing.version,
        showing.position,
        touches[0].at,
        touches[-1].at,
        len(touches),
        any(touch.taken for touch in touches),
        spans.hold(touches),
        ratings[-1] if ratings else None,
        kinds,
    )
