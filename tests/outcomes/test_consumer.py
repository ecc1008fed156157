"""The outcome consumer against a naive join, in any order of delivery, with crashes and re-delivery."""

import random
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball.policy as policy
from flyball.core import BadInput, new_id
from flyball.events import Event, Record, Ref, Schema, Slice, integer, partition
from flyball.outcomes import OutcomeConsumer, Prediction, figures, followed, prediction_record
from flyball.outcomes.counts import MINUTE_US

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


class Named(msgspec.Struct):
    name: str


class Task(msgspec.Struct):
    user: Named
    item: Named
    positive: policy.AnyOf
    hint: policy.Outcome | None
    rating: policy.Value | None


SCHEMA = Schema([Watch, Rate])
TASK = Task(
    Named("user"),
    Named("film"),
    policy.any_of(
        policy.outcome(Rate, where=lambda r: r.stars >= 4, within="1d"),
        policy.outcome(Watch, at_least=3, within="5m"),
    ),
    policy.outcome(Watch),
    policy.value(Rate, lambda r: r.stars),
)


class Happened(msgspec.Struct, frozen=True):
    """An event of the naive join."""

    user: int
    film: str
    at: int
    minute: int
    stars: int

    def record(self) -> Record:
        if self.stars:
            return SCHEMA.check("rate", {"user": self.user, "film": self.film, "stars": self.stars}, self.at, self.at)
        return SCHEMA.check("watch", {"user": self.user, "film": self.film, "minute": self.minute}, self.at, self.at)


def predicted(user: int, films: list[str], at_us: int, version: str, number: int) -> Prediction:
    return Prediction(
        id=new_id(at_us, random.Random(number)), at_us=at_us, user=str(user), k=len(films), items=films,
        scores=[0.0] * len(films), sources=["model"] * len(films), version=version, arm="champion", propensity=1.0,
        level="champion" if version else "popular", offsets=(0, 0), took_us=1_000 * (number + 1),
    )  # fmt: skip


def naive(predictions: list[Prediction], log: dict[int, list[Happened]]) -> dict[str, dict[str, object]]:
    """{prediction id: {film: (events, taken, positive, rating)}} by looking at every pair."""
    given_to: dict[tuple[str, str], list[tuple[int, int, int, Happened]]] = {}
    for part, events in log.items():
        for offset, event in enumerate(events):
            shown = [
                p for p in predictions
                if p.user == str(event.user) and event.film in p.items and event.at - WINDOW_US < p.at_us <= event.at
            ]  # fmt: skip
            if shown:
                first = min(shown, key=lambda p: (p.at_us, p.id))
                given_to.setdefault((first.id, event.film), []).append((event.at, offset, part, event))
    found: dict[str, dict[str, object]] = {}
    for (prediction, film), events in given_to.items():
        events.sort(key=lambda e: e[:3])
        ats = [at for at, _, _, event in events if not event.stars]
        liked = any(event.stars >= 4 for *_, event in events)
        watched = any(len([at for at in ats if begin <= at < begin + SPAN_US]) >= 3 for begin in ats)
        stars = [event.stars for *_, event in events if event.stars]
        taken = bool(ats) or liked
        found.setdefault(prediction, {})[film] = (len(events), taken, liked or watched, stars[-1] if stars else None)
    return found


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


happenings = st.builds(
    Happened,
    user=st.integers(1, 2),
    film=st.sampled_from(["a", "b", "c"]),
    at=st.integers(0, 40).map(lambda step: START_US + step * 100_000_000),
    minute=st.integers(0, 3),
    stars=st.sampled_from([0, 0, 0, 1, 3, 5]),
)
shown = st.tuples(
    st.integers(1, 2),
    st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, max_size=3),
    st.integers(0, 40).map(lambda step: START_US + step * 100_000_000),
    st.sampled_from(["v1", "v2", ""]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(happenings, max_size=25), st.lists(shown, max_size=10), st.integers(0, 1_000))
def test_equals_the_naive_join_in_any_order(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Happened],
    asked: list[tuple[int, list[str], int, str]],
    seed: int,
) -> None:
    rng = random.Random(seed)
    log: dict[int, list[Happened]] = {0: [], 1: []}
    for event in events:
        log[partition(str(event.user), 2)].append(event)
    predictions = [predicted(*one, number) for number, one in enumerate(asked)]
    pieces = slices_of(log, rng)
    pieces += [("predictions", Slice(0, place, [prediction_record(p)])) for place, p in enumerate(predictions)]
    path = tmp_path_factory.mktemp("outcomes") / "outcomes.db"
    consumer = OutcomeConsumer(SCHEMA, TASK, path, WINDOW_US)
    order = shuffled_in_order(pieces, rng)
    deliver(consumer, order)
    before = path.parent.joinpath("x"), figures(path)
    deliver(consumer, order)  # all of it again
    consumer.close()
    reopened = OutcomeConsumer(SCHEMA, TASK, path, WINDOW_US)
    deliver(reopened, rng.sample(order, len(order)))  # and again, in no order
    assert figures(path) == before[1]
    want = naive(predictions, log)
    got = {
        p.id: {one.item: (sum(one.events.values()), one.taken, one.positive, one.rating) for one in followed(path, p)}
        for p in predictions
    }
    assert {id: films for id, films in got.items() if films} == want
    assert all(p.items[one.position] == one.item for p in predictions for one in followed(path, p))
    for version, found in figures(path).items():
        mine = [p for p in predictions if p.version == version]
        films = [want.get(p.id, {}) for p in mine]
        ratings = [rating for each in films for *_, rating in each.values() if rating is not None]  # type: ignore[misc]
        assert found.answers == len(mine)
        assert found.availability == sum(bool(p.items) for p in mine) / len(mine)
        assert found.adoption == sum(any(taken for _, taken, *_ in each.values()) for each in films) / len(mine)  # type: ignore[misc]
        assert found.positive == sum(any(good for *_, good, _ in each.values()) for each in films) / len(mine)  # type: ignore[misc]
        assert found.ratings == len(ratings)
        assert found.rating_mean == (pytest.approx(sum(ratings) / len(ratings)) if ratings else None)
        assert sum(found.levels.values()) == len(mine)


def test_window_edges(tmp_path: Path) -> None:
    shown_at = START_US
    for ago, counted in ((0, True), (WINDOW_US - 1, True), (WINDOW_US, False), (-1, False)):
        path = tmp_path / f"{ago}.db"
        consumer = OutcomeConsumer(SCHEMA, TASK, path, WINDOW_US)
        prediction = predicted(1, ["a"], shown_at, "v1", 1)
        consumer.apply_predictions([Slice(0, 0, [prediction_record(prediction)])])
        consumer.apply_events([Slice(0, 0, [Happened(1, "a", shown_at + ago, 0, 0).record()])])
        assert bool(followed(path, prediction)) is counted, ago


def test_a_gap_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    consumer = OutcomeConsumer(SCHEMA, TASK, tmp_path / "o.db", WINDOW_US)
    with pytest.raises(BadInput, match="at or before offset 0"):
        consumer.apply_events([Slice(0, 3, [Happened(1, "a", START_US, 0, 0).record()])])
    assert consumer.offsets("events", 2) == (0, 0)


def test_settling_keeps_what_was_joined_and_what_can_still_be(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, TASK, path, WINDOW_US, keep_us=WINDOW_US, late_us=WINDOW_US)
    first, later = predicted(1, ["a"], START_US, "v1", 1), predicted(1, ["a", "b"], START_US + 10, "v2", 2)
    consumer.apply_events([Slice(0, 0, [Happened(1, "a", START_US + 20, 0, 0).record()])])
    consumer.apply_events([Slice(0, 1, [Happened(1, "b", START_US + 20, 0, 0).record()])])
    consumer.apply_predictions([Slice(0, 0, [prediction_record(later)])])
    consumer.settle(START_US + 30)
    consumer.apply_predictions([Slice(0, 1, [prediction_record(first)])])  # late, but not too late
    assert [one.item for one in followed(path, first)] == ["a"]
    assert [one.item for one in followed(path, later)] == ["b"]
    assert sum(consumer.settle(START_US + 10 * WINDOW_US) for _ in range(2_000)) == 4
    before = figures(path)
    consumer.apply_events([Slice(0, 2, [Happened(1, "a", START_US + 21, 0, 5).record()])])  # far too late
    assert figures(path) == before
    assert [one.item for one in followed(path, first)] == ["a"]


def test_a_clock_ahead_for_some_minutes_closes_nothing_that_is_still_to_come(tmp_path: Path) -> None:
    """A mark set a year ahead would keep every outcome of that year out of the figures."""
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, TASK, path, WINDOW_US)
    consumer.settle(START_US)
    for _ in range(10):  # ten minutes of looks, once a minute, by a clock a year ahead
        consumer.settle(START_US + 365 * 86_400_000_000)
    shown = predicted(1, ["a"], START_US + 700_000_000, "v1", 1)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(shown)])])
    consumer.apply_events([Slice(0, 0, [Happened(1, "a", START_US + 700_000_010, 0, 0).record()])])
    assert [one.item for one in followed(path, shown)] == ["a"]
    assert figures(path)["v1"].adoption == 1.0


def test_bulk_history_before_all_predictions_is_not_kept(tmp_path: Path) -> None:
    consumer = OutcomeConsumer(SCHEMA, TASK, tmp_path / "o.db", WINDOW_US)
    consumer.settle(START_US + 10 * WINDOW_US)
    records = [Happened(1, "a", START_US + n, 0, 0).record() for n in range(100)]
    consumer.apply_events([Slice(0, 0, records)])
    assert consumer.settle(START_US + 10 * WINDOW_US) == 0
    assert consumer.offsets("events", 1) == (100,)


def test_figures_since_a_minute_and_latency(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    assert figures(path) == {}
    consumer = OutcomeConsumer(SCHEMA, TASK, path, WINDOW_US)
    records = [prediction_record(predicted(1, ["a"], START_US + n * MINUTE_US, "v1", n)) for n in range(100)]
    consumer.apply_predictions([Slice(0, 0, records)])
    found = figures(path)["v1"]
    assert found.answers == 100
    assert found.personalised == 1.0
    assert found.p50_us == pytest.approx(50_000, rel=0.15)
    assert found.p99_us == pytest.approx(99_000, rel=0.15)
    assert figures(path, START_US + 90 * MINUTE_US)["v1"].answers == 10
