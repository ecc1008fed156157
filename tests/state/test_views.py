"""A view declared otherwise is built beside the one that serves, then swapped, whatever stops it on the way."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import Refused
from flyball.events import Record, Slice
from flyball.policy import any_of, outcome
from flyball.state import StateConsumer, View, ViewStore, load_catalog
from flyball.stores import MemoryStore, StateStore
from flyball.tasks import Signals, read_histories, read_popular, views_of
from flyball.testing.state_contract import divided
from flyball.testing.state_logs import APPLICATION, PARTITIONS, START, Application, Rate, Watch, cuts, records


@pytest.fixture
def app() -> Application:
    return APPLICATION


def otherwise(app: Application) -> Signals:
    """The task with other outcomes, one more of them than before."""
    liked = any_of(outcome(Watch), outcome(Rate, where=lambda r: r.stars >= 2), outcome(Rate, at_least=2, within="1h"))
    return Signals(app.user, app.film, liked, outcome(Rate), schema=app.schema)


def consumer(views: Sequence[View], store: StateStore) -> StateConsumer:
    return StateConsumer(views, store, partitions=PARTITIONS)


def folded(views: Sequence[View], batches: Sequence[Sequence[Slice]]) -> MemoryStore:
    store = MemoryStore()
    for batch in batches:
        consumer(views, store).apply(batch)
    return store


def rebuilt(one: StateConsumer, log: Sequence[Sequence[Record]], chunk: int = 3) -> None:
    """Rebuild and swap, as the worker does, a few records at a time."""
    while one.rebuilding:
        after = one.rebuild_offsets()
        slices = [
            Slice(part, first, list(log[part][first : first + chunk]))
            for part, first in enumerate(after)
            if first < len(log[part])
        ]
        if not one.rebuild(slices):
            one.swap()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_definition_comes_out_as_if_it_had_always_been(data: st.DataObject) -> None:
    app = APPLICATION
    log = app.partitioned(data.draw(records()))
    signals = otherwise(app)
    store = folded(app.views, divided(log, data.draw(cuts(log))))
    later = views_of(app.schema, signals, app.entities)
    one = consumer(later, store)
    rebuilt(one, log)
    while one.drop_unused():
        continue
    fresh = folded(later, divided(log, []))
    users = ["1", "2", "3"]
    for got, expected in zip(
        read_histories(store, signals, users)[0], read_histories(fresh, signals, users)[0], strict=True
    ):
        assert msgspec.structs.astuple(got)[:2] == msgspec.structs.astuple(expected)[:2]
        assert got.weights.tobytes() == expected.weights.tobytes()
        assert got.group == expected.group
    if any(log):
        assert list(store.scan(b"")) == list(fresh.scan(b""))


class CrashingStore(MemoryStore):
    """Stops at the write it is reported to, before or after it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.before = 1 << 62, True

    def write(self, changes, offsets) -> None:  # type: ignore[no-untyped-def]
        self.left -= 1
        if self.left == 0 and self.before:
            raise SystemError("killed")
        super().write(changes, offsets)
        if self.left == 0:
            raise SystemError("killed")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_killed_at_any_write_it_goes_on_where_it_stopped(data: st.DataObject) -> None:
    app = APPLICATION
    log = app.partitioned(data.draw(records()))
    if not any(log):
        return
    signals = otherwise(app)
    store = CrashingStore()
    consumer(app.views, store).apply(divided(log, [])[0])
    store.left, store.before = data.draw(st.integers(1, 20)), data.draw(st.booleans())
    while True:
        later = views_of(app.schema, signals, app.entities)
        try:
            one = consumer(later, store)
            rebuilt(one, log)
            while one.drop_unused():
                continue
            break
        except SystemError:
            continue  # a restart
    assert list(store.scan(b"")) == list(folded(later, divided(log, [])).scan(b""))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_declared_back_in_the_middle_of_a_change(data: st.DataObject) -> None:
    """Half rebuilt, or swapped and half dropped, and then the declaration of before again: nothing is left over."""
    app = APPLICATION
    log = app.partitioned(data.draw(records()))
    if not any(log):
        return
    store = CrashingStore()
    consumer(app.views, store).apply(divided(log, [])[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flyball.state.consumer._DROP_AT_ONCE", 2)
        store.left = data.draw(st.integers(1, 12))
        try:
            one = consumer(views_of(app.schema, otherwise(app), app.entities), store)
            rebuilt(one, log)
            while one.drop_unused():
                continue
        except SystemError:
            pass
        store.left = 1 << 62
        back = consumer(app.views, store)
        rebuilt(back, log)
        while back.drop_unused():
            continue
    assert list(store.scan(b"")) == list(folded(app.views, divided(log, [])).scan(b""))


def test_until_it_is_rebuilt_the_old_view_serves_and_goes_on(app: Application) -> None:
    came = [app.record("watch", START + minute, user=1, film="a", minute=minute) for minute in range(3)]
    log = app.partitioned(came)
    part = next(number for number, records in enumerate(log) if records)
    store = folded(app.views, divided(log, []))
    signals = otherwise(app)
    both = [*views_of(app.schema, signals, app.entities), app.views[0]]
    one = consumer(both, store)
    assert one.rebuilding == [signals.spec.name]
    assert read_histories(store, signals, ["1"])[0][0].items == ["a"]
    assert read_popular(store, signals).items == ["a"]
    one.apply([Slice(part, 3, [app.record("watch", START, user=1, film="b", minute=0)])])
    assert read_histories(store, signals, ["1"])[0][0].items == ["b", "a"]
    log[part].append(app.record("watch", START, user=1, film="b", minute=0))
    rebuilt(one, log)
    assert one.drop_unused() == 0, "a version in service still reads the old one"
    assert read_histories(store, signals, ["1"])[0][0].weights.tolist() == [1.0, 1.0]
    assert read_histories(store, app.signals, ["1"])[0][0].weights.tolist() == [0.0, 1.0]
    assert ViewStore(store, signals.spec).offsets() == ViewStore(store, app.signals.spec).offsets()


def test_a_view_that_did_not_change_is_not_rebuilt(app: Application) -> None:
    store = folded(app.views, divided(app.partitioned([app.record("filmcard", START, film="a")]), []))
    one = consumer(views_of(app.schema, otherwise(app), app.entities), store)
    assert one.rebuilding == [otherwise(app).spec.name]
    assert load_catalog(store, app.film).ids == ["a"]


def test_a_store_of_another_format_is_refused_with_what_to_do(app: Application) -> None:
    old, newer = MemoryStore(), MemoryStore()
    old.write({b"u/1": b"x"}, (1, 0, 0))
    newer.write({b"m/format": b"99"}, (1, 0, 0))
    for store, got in ((old, "format 1"), (newer, "format 99")):
        before = list(store.scan(b""))
        with pytest.raises(Refused, match=f"got {got} .*delete it"):
            consumer(app.views, store).apply([Slice(0, 0, [app.record("joined", START, user=1)])])
        assert list(store.scan(b"")) == before


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_without_a_view_the_store_stands_where_the_log_was_read_to(data: st.DataObject) -> None:
    """Over restarts and redelivery; a view that is declared later comes out as if it had always been."""
    log = APPLICATION.partitioned(data.draw(records()))
    store = MemoryStore()
    batches = divided(log, data.draw(cuts(log)))
    for batch in [*batches, *batches[-1:]]:
        consumer([], store).apply(batch)
    ends = tuple(map(len, log))
    assert consumer([], store).offsets() == ends
    assert not any(ends) or store.offsets() == ends
    later = consumer(APPLICATION.views, store)
    assert later.offsets() == (0,) * PARTITIONS, "it has read nothing yet"
    for batch in batches:
        later.apply(batch)
    whole = folded(APPLICATION.views, batches)
    assert dict(store.scan(b"v/")) == dict(whole.scan(b"v/"))
