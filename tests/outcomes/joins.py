"""Streams of events and responses, and a naive join of them to compare stores of outcomes with."""

import random
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from hypothesis import strategies as st

import flyball.policy as policy
from flyball.core import new_id
from flyball.events import Event, Record, Ref, Schema, Slice, integer, partition
from flyball.outcomes import Location, OutcomeConsumer, Prediction, followed, prediction_record
from flyball.tasks import About, Label

User = Annotated[int, Ref("user")]
Film = Annotated[str, Ref("film")]
START_US = 1_700_000_000_000_000
WINDOW_US = 1_000_000_000
SPAN_US = 300_000_000


class Watch(Event):
    user: User
    film: Film
    minute: Annotated[int, integer(0, 2_000)]


class Rate(Event):
    user: User
    film: Film
    stars: Annotated[int, integer(1, 5)]


class Refund(Event):
    user: User
    film: Film


class Visit(Event):
    """A request of the user's, about nothing in particular."""

    user: User


class Left(Event):
    """What follows a request as a whole."""

    user: User
    minutes: Annotated[int, integer(0, 60)] | None = None


SCHEMA = Schema([Watch, Rate, Refund, Visit, Left])


def expression(function: Callable[[Any], Any]) -> policy.Expression:
    return policy.trace(function)


BY = ("user", "film")
LABELS = (
    Label(name="positive", event=Rate, by=BY, where=expression(lambda r: r.stars >= 4), within_us=WINDOW_US),
    Label(name="positive", event=Watch, by=BY, at_least=3, within_us=SPAN_US),
    Label(name="adopted", event=Watch, by=BY, within_us=WINDOW_US, censored_by=(Refund,)),
    Label(name="rating", event=Rate, by=BY, value=expression(lambda r: r.stars), within_us=SPAN_US, otherwise=None),
    Label(name="left", event=Left, by=("user",), value=expression(lambda e: e.minutes), within_us=SPAN_US),
    Label(name="visited", event=Visit, by=("user",), at_least=2, within_us=WINDOW_US),
)
ABOUT = About(kind="recommend", request=Visit, items="film", labels=LABELS)
ITEMS_ONLY = msgspec.structs.replace(ABOUT, labels=LABELS[:4])
LATER_US = START_US + 10_000_000_000_000


class Happened(msgspec.Struct, frozen=True):
    """An event of the naive join. `kind`: with what its type needs of the rest."""

    kind: str
    user: int
    film: str
    at: int
    number: int

    def record(self) -> Record:
        fields: dict[str, Any] = {"user": self.user}
        if self.kind in ("watch", "rate", "refund"):
            fields["film"] = self.film
        named = {"watch": "minute", "rate": "stars", "left": "minutes"}.get(self.kind)
        if named is not None:
            fields[named] = None if self.kind == "left" and self.number == 0 else max(self.number, 1)
        return SCHEMA.check(self.kind, fields, self.at, self.at)


def watch(film: str, at: int) -> Record:
    return Happened("watch", 1, film, at, 1).record()


def predicted(user: int, films: list[str], at_us: int, version: str, number: int) -> Prediction:
    return Prediction(
        id=new_id(at_us, random.Random(number)),
        at_us=at_us,
        key=str(user),
        request_type="r",
        request={},
        items=films,
        scores=[0.0] * len(films),
        sources=["model"] * len(films),
        version=version,
        arm="champion",
        propensity=1.0,
        level="champion" if version else "popular",
        offsets=(0, 0),
        took_us=1_000 * (number + 1),
    )


Placed = tuple[int, int, int, Happened]


def naive(predictions: list[Prediction], log: dict[int, list[Happened]]) -> dict[str, dict[str, dict[str, object]]]:
    """{prediction id: {film, "" for the request: {label: value, or "censored"}}}, by looking at every pair.

    What completes a label of a film counts for the first response that it completes it for.
    """
    events: list[Placed] = sorted(
        (event.at, offset, part, event) for part, some in log.items() for offset, event in enumerate(some)
    )
    outcomes: dict[str, dict[str, dict[str, object]]] = {}
    completed: set[tuple[str, str, str, int]] = set()
    for prediction in sorted(predictions, key=lambda each: (each.at_us, each.id)):
        for film in ("", *prediction.items):
            labels: dict[str, object] = {}
            for name in dict.fromkeys(label.name for label in LABELS):
                value, held_at = naive_label(name, prediction, film, events)
                completion = (prediction.key, film, name, held_at)
                if value is not None and not (film and completion in completed):
                    labels[name] = value
                if value not in (None, "censored"):
                    completed.add(completion)
            if labels:
                outcomes.setdefault(prediction.id, {})[film] = labels
    return outcomes


def naive_label(name: str, prediction: Prediction, film: str, events: list[Placed]) -> tuple[object, int]:
    """(what holds of one label, "censored", or None; since when) for a response that was the only one."""
    held: list[int] = []
    values: list[tuple[tuple[int, int, int], float]] = []
    ended: list[int] = []
    for label in (label for label in LABELS if label.name == name and ("film" in label.by) == bool(film)):
        window = [
            (at, offset, part, event)
            for at, offset, part, event in events
            if str(event.user) == prediction.key
            and (not film or (event.kind in ("watch", "rate", "refund") and event.film == film))
            and prediction.at_us <= at <= prediction.at_us + label.within_us
        ]
        counted = [one for one in window if naive_qualifies(label, one[3])]
        if len(counted) >= label.at_least:
            held.append(counted[label.at_least - 1][0])
            values += [((at, offset, part), max(event.number, 1)) for at, offset, part, event in counted]
        ended += [at for at, _, _, event in window if event.kind == "refund" and label.censored_by]
    if not held or (ended and min(ended) < min(held)):
        return ("censored" if ended else None), 0
    return (float(max(values)[1]) if name in ("rating", "left") else 1.0), min(held)


def naive_qualifies(label: Label, event: Happened) -> bool:
    if event.kind != label.event.__name__.lower() or (event.kind == "left" and event.number == 0):
        return False
    return label.where is None or event.number >= 4


def slices_of(log: dict[int, list[Happened]], cuts: random.Random) -> list[tuple[str, Slice]]:
    pieces = []
    for part, events in log.items():
        place = 0
        while place < len(events):
            size = cuts.randint(1, 4)
            pieces.append(("events", Slice(part, place, [e.record() for e in events[place : place + size]])))
            place += size
    return pieces


def shuffled_in_order(pieces: list[tuple[str, Slice]], rng: random.Random) -> list[tuple[str, Slice]]:
    """Any interleaving of the partitions of both streams, each in its own order."""
    queues: dict[tuple[str, int], list[tuple[str, Slice]]] = {}
    for stream, piece in pieces:
        queues.setdefault((stream, piece.partition), []).append((stream, piece))
    mixed = []
    while queues:
        chosen = rng.choice(sorted(queues))
        mixed.append(queues[chosen].pop(0))
        if not queues[chosen]:
            del queues[chosen]
    return mixed


def deliver(consumer: OutcomeConsumer, pieces: list[tuple[str, Slice]]) -> None:
    for stream, piece in pieces:
        (consumer.apply_events if stream == "events" else consumer.apply_predictions)([piece])


STEPS = st.integers(0, 40).map(lambda step: START_US + step * 100_000_000)
happenings = st.builds(
    Happened,
    kind=st.sampled_from(["watch", "watch", "watch", "rate", "rate", "refund", "left", "visit"]),
    user=st.integers(1, 2),
    film=st.sampled_from(["a", "b", "c"]),
    at=st.tuples(STEPS, st.sampled_from([-1, 0, 0, 0, 1])).map(sum),
    number=st.sampled_from([0, 1, 3, 4, 5]),
)
shown = st.tuples(
    st.integers(1, 2),
    st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, max_size=3),
    STEPS,
    st.sampled_from(["v1", "v2", ""]),
)


def partitioned(events: list[Happened]) -> dict[int, list[Happened]]:
    """As the log holds them: each identity once."""
    log: dict[int, list[Happened]] = {0: [], 1: []}
    for event in {event.record().id: event for event in events}.values():
        log[partition(str(event.user), 2)].append(event)
    return log


def found_by(location: Location, predictions: list[Prediction]) -> dict[str, dict[str, dict[str, object]]]:
    found = {
        p.id: {
            one.item: {**one.labels, **dict.fromkeys(one.censored, "censored")}
            for one in followed(location, p)
            if one.labels or one.censored
        }
        for p in predictions
    }
    return {id: items for id, items in found.items() if items}


def delivered(
    events: list[Happened], requests: list[tuple[int, list[str], int, str]], rng: random.Random
) -> tuple[dict[int, list[Happened]], list[Prediction], list[tuple[str, Slice]]]:
    """The log of the events, the answers to the requests, and slices of both in an order that consumers may meet."""
    log = partitioned(events)
    predictions = [predicted(*request, number) for number, request in enumerate(requests)]
    pieces = slices_of(log, rng)
    pieces += [("predictions", Slice(0, at, [prediction_record(p)])) for at, p in enumerate(predictions)]
    return log, predictions, shuffled_in_order(pieces, rng)
