"""Several consumers of one store, each with its partitions, write together what one consumer writes alone."""

from collections.abc import Callable, Collection, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball.tasks.recommend.state.popularity as popular_module
from flyball.events import Offsets, Record, Slice
from flyball.state import StateConsumer
from flyball.stores import MemoryStore, StoreChange
from flyball.testing.state_contract import divided
from flyball.testing.state_logs import APPLICATION, PARTITIONS, Application, cuts, records


@pytest.fixture
def app() -> Application:
    return APPLICATION


class OvertakenStore(MemoryStore):
    """A store in which `meanwhile` is called while a writer is at work; as a server, it takes what a writer has made
    only where nobody wrote since it began."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], object]] = []
        self.written = self.refused = 0

    def write(self, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None:
        super().write(changes, offsets)
        self.written += 1

    def update(self, work: Callable[[], StoreChange | None], partitions: Collection[int] | None = None) -> None:
        while True:
            before = self.written
            change = work()
            if self.meanwhile:
                self.meanwhile.pop()()
            if self.written == before:
                if change is not None:
                    self.write(*change)
                return
            self.refused += 1


def consumers(store: MemoryStore, held: Sequence[Collection[int]]) -> list[StateConsumer]:
    return [StateConsumer(APPLICATION.views, store, partitions=PARTITIONS, beside=True, assigned=own) for own in held]


def whole(log: Sequence[Sequence[Record]]) -> list[tuple[bytes, bytes]]:
    store = MemoryStore()
    for batch in divided(log, []):
        StateConsumer(APPLICATION.views, store, partitions=PARTITIONS).apply(batch)
    return list(store.scan(b""))


def of(batch: Sequence[Slice], held: Collection[int]) -> list[Slice]:
    return [piece for piece in batch if piece.partition in held]


@pytest.mark.parametrize("listed", [2, 200])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_consumers_beside_one_another_write_every_byte_that_one_writes(listed: int, data: st.DataObject) -> None:
    """Also where the list of popular items is full, and where each overtakes another in the middle of its write."""
    log = APPLICATION.partitioned(data.draw(records()))
    held = data.draw(st.sampled_from([[[0], [1], [2]], [[0, 2], [1]], [[0, 1, 2]]]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(popular_module, "LISTED", listed)
        store = OvertakenStore()
        writers = consumers(store, held)
        for batch in divided(log, data.draw(cuts(log))):
            calls = [
                (lambda one=one, some=of(batch, own): one.apply(some)) for one, own in zip(writers, held, strict=True)
            ]
            first, *others = data.draw(st.permutations(calls))
            store.meanwhile = others[: data.draw(st.integers(0, len(others)))]
            later = others[len(store.meanwhile) :]
            first()
            for call in [*store.meanwhile, *later]:
                call()
            store.meanwhile = []
        assert list(store.scan(b"")) == whole(log)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_two_consumers_of_the_same_partitions_apply_each_record_once(data: st.DataObject) -> None:
    """As when a process wakes up that was paused, and another has taken its partitions."""
    log = APPLICATION.partitioned(data.draw(records()))
    store = OvertakenStore()
    paused, woken = consumers(store, [range(PARTITIONS), range(PARTITIONS)])
    for batch in divided(log, data.draw(cuts(log))):
        store.meanwhile = [lambda batch=batch: woken.apply(batch)]  # type: ignore[misc]
        paused.apply(batch)
        store.meanwhile = []
        woken.apply(batch)
        paused.apply(batch)
    assert list(store.scan(b"")) == whole(log)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_view_is_rebuilt_beside_consumers_that_apply_new_records(data: st.DataObject) -> None:
    log = APPLICATION.partitioned(data.draw(records()))
    store = OvertakenStore()
    old = StateConsumer(APPLICATION.views[1:], store, partitions=PARTITIONS)
    batches = divided(log, data.draw(cuts(log)))
    for batch in batches[:-1]:
        old.apply(batch)
    held = [[0], [1, 2]]
    writers = consumers(store, held)
    leader = StateConsumer(APPLICATION.views, store, partitions=PARTITIONS, beside=True)
    for one, own in zip(writers, held, strict=True):
        store.meanwhile = [lambda: leader.swap()]
        one.apply(of(batches[-1], own))
        store.meanwhile = []
    for _ in range(len(batches) + 2):
        if leader.rebuilding:
            after = leader.rebuild_offsets()
            leader.rebuild([Slice(part, at, list(log[part][at:])) for part, at in enumerate(after)])
            leader.swap()
    for batch in batches:
        for one, own in zip(writers, held, strict=True):
            one.apply(of(batch, own))
    assert not leader.rebuilding
    views = dict(whole(log))
    assert dict(store.scan(b"v/")) == {key: value for key, value in views.items() if key.startswith(b"v/")}
