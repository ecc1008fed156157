"""The law: online = offline = oracle, whatever the batches, the order of arrival and the crashes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball.tasks.recommend.state.popularity as popular_module
import flyball.tasks.recommend.state.user_history as users_module
from flyball.core import BadInput
from flyball.events import Offsets, Record, Slice
from flyball.state import StateConsumer
from flyball.stores import StateStore, open_state
from flyball.stores.memory import MemoryStore
from flyball.tasks import read_histories, read_popular
from flyball.tasks.recommend.state.popularity import Popularity, popular_in
from flyball.testing.state_contract import (
    divided,
    naive_group,
    naive_history,
    naive_pairs,
    naive_popular,
    placed,
    same_float,
)
from flyball.testing.state_logs import APPLICATION, HOUR, PARTITIONS, START, WITHIN, Application, cuts, records


@pytest.fixture
def app() -> Application:
    return APPLICATION


def consumer(store: StateStore) -> StateConsumer:
    app = APPLICATION
    return StateConsumer(app.views, store, partitions=PARTITIONS)


def folded(batches: Sequence[Sequence[Slice]]) -> MemoryStore:
    store = MemoryStore()
    one = consumer(store)
    for batch in batches:
        one.apply(batch)
    return store


def assert_like_the_oracle(
    store: StateStore, log: Sequence[Sequence[Record]], cap: int = users_module.HISTORY_CAP
) -> None:
    app = APPLICATION
    known = placed(divided(log, [])[0])
    pairs = naive_pairs(known, app.schema, app.signals)
    users = sorted({user for user, _ in pairs} | {"1", "2", "unknown"})
    histories, offsets = read_histories(store, app.signals, users)
    assert tuple(offsets) in ((), tuple(len(part) for part in log))
    for user, history in zip(users, histories, strict=True):
        rows, seen = naive_history(pairs, user, cap)
        assert history.items == [row[0] for row in rows]
        assert history.weights.tolist() == [row[1] for row in rows]
        assert all(same_float(row[2], rating) for row, rating in zip(rows, history.ratings.tolist(), strict=True))
        assert history.at_us.tolist() == [row[3] for row in rows]
        assert sorted(history.seen) == sorted(seen)
        assert history.group == naive_group(known, app.schema, app.signals, user)
    for group in (None, "f", "m"):
        assert read_popular(store, APPLICATION.signals, group).items == naive_popular(
            known, app.schema, app.signals, group, 14
        )


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_batches_restarts_and_redelivery_change_no_byte(data: st.DataObject) -> None:
    log = APPLICATION.partitioned(data.draw(records()))
    whole = folded(divided(log, []))
    batches = divided(log, data.draw(cuts(log)))
    store, delivered = MemoryStore(), list[Sequence[Slice]]()
    one = consumer(store)
    for batch in batches:
        if data.draw(st.booleans()):
            one = consumer(store)  # a restart
        one.apply(batch)
        delivered.append(batch)
        one.apply(data.draw(st.sampled_from(delivered)))
    assert list(store.scan(b"")) == list(whole.scan(b""))
    assert_like_the_oracle(store, log)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_the_order_of_arrival_changes_no_value(data: st.DataObject) -> None:
    came = data.draw(records(distinct_ratings=True))
    kept = [record for record in came if record.type != "card"]  # equal times of profiles are decided by arrival
    log, other = (APPLICATION.partitioned(order) for order in (kept, data.draw(st.permutations(kept))))
    for store in (folded(divided(log, [])), folded(divided(other, data.draw(cuts(other))))):
        assert_like_the_oracle(store, log)


@given(records(), st.data())
@settings(max_examples=100, deadline=None)
def test_histories_longer_than_the_cap(came: list[Record], data: st.DataObject) -> None:
    log = APPLICATION.partitioned(came)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users_module, "HISTORY_CAP", 2)
        batches = divided(log, data.draw(cuts(log)))
        store = folded(batches)
        assert_like_the_oracle(store, log, cap=2)
        assert list(store.scan(b"")) == list(folded(divided(log, [])).scan(b""))


@given(records(), st.data())
@settings(max_examples=60, deadline=None)
def test_popular_lists_shorter_than_what_is_liked(came: list[Record], data: st.DataObject) -> None:
    log = APPLICATION.partitioned(came)
    known = placed(divided(log, [])[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(popular_module, "LISTED", 2)
        store = folded(divided(log, data.draw(cuts(log))))
        for group in (None, "f"):
            expected = naive_popular(known, APPLICATION.schema, APPLICATION.signals, group, 14)
            assert read_popular(store, APPLICATION.signals, group).items == expected[:2]


@given(st.lists(st.tuples(st.integers(0, 13), st.integers(1, 9), st.booleans()), min_size=1, max_size=6))
def test_items_whose_sums_are_equal_tie_whatever_days_they_are_made_of(parts: list[tuple[int, int, bool]]) -> None:
    """A unit counts as much as two a half-life earlier."""
    later = Counter[int]()
    mixed = Counter[int]()
    for day, units, early in parts:
        later[day + 14] += units
        mixed[day if early else day + 14] += 2 * units if early else units
    store = MemoryStore()
    deltas = {("", "b"): dict(later), ("", "a"): dict(mixed), ("", "c"): {0: 1}}
    store.write(Popularity(14).apply(deltas, store), ())
    assert popular_in(store).items[:2] == ["a", "b"]


def test_of_ratings_at_one_time_the_one_that_came_last_counts(app: Application) -> None:
    store = MemoryStore()
    one = consumer(store)
    for offset, stars in enumerate([5, 3.3, 0]):
        one.apply([Slice(0, offset, [app.record("rate", START, user=1, film="a", stars=stars)])])
        (history,), _ = read_histories(store, app.signals, ["1"])
        assert same_float(stars, float(history.ratings[0]))
    one.apply([Slice(0, 3, [app.record("rate", START - 1, user=1, film="a", stars=4)])])
    (history,), _ = read_histories(store, app.signals, ["1"])
    assert history.ratings.tolist() == [0.0]
    assert history.at_us.tolist() == [START - 1]


def test_a_popular_item_halves_every_two_weeks(app: Application) -> None:
    day = 24 * HOUR
    came = [app.record("rate", START, user=user, film="old", stars=5) for user in range(1, 9)]
    came += [app.record("rate", START + 28 * day, user=user, film="new", stars=5) for user in range(1, 4)]
    listed = read_popular(folded(divided(app.partitioned(came), [])), app.signals)
    assert listed.items == ["new", "old"]
    assert listed.scores == [1.0, pytest.approx(8 / 4 / 3)]


def history_of(app: Application, came: Sequence[Record], film: str = "a") -> tuple[float, int]:
    log = app.partitioned(came)
    (history,), _ = read_histories(folded(divided(log, [])), app.signals, ["1"])
    place = history.items.index(film)
    return float(history.weights[place]), int(history.at_us[place])


@pytest.mark.parametrize(
    ("timestamps", "weight", "at_us"),
    [
        ((0, HOUR, WITHIN), 1.0, START + WITHIN),
        ((0, HOUR, WITHIN + 1), 0.0, START + WITHIN + 1),
        ((-1, HOUR, WITHIN), 0.0, START + WITHIN),
        ((1, HOUR, WITHIN), 1.0, START + WITHIN),
        ((0, 0, 0), 1.0, START),
        ((0, WITHIN, WITHIN + 1, 2 * WITHIN), 1.0, START + 2 * WITHIN),
        ((0, 1, WITHIN + 1, WITHIN + 2), 0.0, START + WITHIN + 2),
        ((0, WITHIN - 1, WITHIN, WITHIN + 1), 1.0, START + WITHIN),
    ],
)
def test_the_edges_of_the_span(app: Application, timestamps: Sequence[int], weight: float, at_us: int) -> None:
    came = [
        app.record("watch", START + timestamp, user=1, film="a", minute=minute)
        for minute, timestamp in enumerate(timestamps)
    ]
    assert history_of(app, came) == (weight, at_us)
    assert history_of(app, came[::-1]) == (weight, at_us)


def test_a_late_event_moves_the_positive_back(app: Application) -> None:
    minutes = [
        app.record("watch", START + at, user=1, film="a", minute=at // HOUR)
        for at in (0, 10 * HOUR, 11 * HOUR, 12 * HOUR)
    ]
    store = MemoryStore()
    one = consumer(store)
    log = app.partitioned(minutes)
    one.apply(divided(log, [])[0])
    assert history_of(app, minutes) == (1.0, START + 12 * HOUR)
    late = [app.record("watch", START + at, user=1, film="a", minute=at) for at in (1, 2)]
    partition = next(place for place, part in enumerate(log) if part)
    one.apply([Slice(partition, len(log[partition]), late)])
    (history,), _ = read_histories(store, app.signals, ["1"])
    assert history.at_us.tolist() == [START + 2]


def test_a_gap_is_refused_and_changes_nothing(app: Application) -> None:
    store = MemoryStore()
    one = consumer(store)
    one.apply([Slice(0, 0, [app.record("watch", START, user=3, film="a", minute=1)])])
    before = list(store.scan(b""))
    with pytest.raises(BadInput, match="at most 1, got 2"):
        one.apply([Slice(0, 2, [app.record("watch", START, user=3, film="b", minute=1)])])
    assert list(store.scan(b"")) == before
    assert one.offsets() == (1, 0, 0)


class FailingStore(MemoryStore):
    """Raises at the write it is reported to, before anything is written."""

    def __init__(self, failing: set[int]) -> None:
        super().__init__()
        self.failing, self.writes = failing, 0

    def write(self, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None:
        self.writes += 1
        if self.writes in self.failing:
            raise OSError("disk full")
        super().write(changes, offsets)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_failed_write_is_made_good_by_the_next(data: st.DataObject) -> None:
    log = APPLICATION.partitioned(data.draw(records()))
    batches = divided(log, data.draw(cuts(log)))
    store = FailingStore(data.draw(st.sets(st.integers(1, 6))))
    one = consumer(store)
    for batch in batches:
        for _ in range(8):
            try:
                one.apply(batch)
                break
            except OSError:
                continue
    assert list(store.scan(b"")) == list(folded(divided(log, [])).scan(b""))


def test_lmdb_holds_the_same_bytes_as_memory(tmp_path: Path, app: Application) -> None:
    came = [
        app.record(
            "watch", START + 7 * minute * HOUR // 60, user=1 + minute % 5, film=f"f{minute % 11}", minute=minute % 30
        )
        for minute in range(600)
    ] + [app.record("card", START, user=user, gender="f") for user in range(1, 6)]
    log = app.partitioned(came)
    store = open_state(f"lmdb://{tmp_path}/state?map_mb=1&sync=0")
    one = consumer(store)
    for batch in divided(log, [[len(part) // 3 for part in log], [len(part) // 2 for part in log]]):
        one.apply(batch)
    kept = [(key, value) for key, value in store.scan(b"") if key != b"m/offsets"]
    assert kept == list(folded(divided(log, [])).scan(b""))


@pytest.mark.parametrize("name", ["x" * 119, "é" * 90, "a\0b"])
def test_names_that_are_no_keys_of_a_store(tmp_path: Path, app: Application, name: str) -> None:
    store = open_state(f"lmdb://{tmp_path}/state?sync=0")
    came = [app.record("watch", START, user=2**60, film=name, minute=1), app.record("filmcard", START, film=name)]
    consumer(store).apply(divided(app.partitioned(came), [])[0])
    (history,), _ = read_histories(store, app.signals, [str(2**60)])
    assert history.items == [name]
