"""The protocol of a view of the log, and the layout of several views in one store."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from flyball.events import Offsets, Positioned
from flyball.stores import StateStore

VIEWS_KEY = b"m/views"
"""The key under which the names of a store's views are stored."""


class ViewSpec(msgspec.Struct, frozen=True):
    """Identifies a view. A changed `hash` is a new view, rebuilt beside the old one, then swapped.

    `kind`: the name of its implementation. `hash`: of everything besides events that its values depend on.
    """

    kind: str
    hash: str

    @property
    def name(self) -> str:
        """The prefix of its keys in the store."""
        return f"{self.kind}.{self.hash[:8]}"


class View(Protocol):
    """One part of the online state: a function of the log's records before its offsets.

    `types`: the event types it reads; True where all records about a key are in that key's partition. `fold`: the
    changes of stored keys by new records, grouped by type; `store` holds the view's own keys. `forget`: a write failed,
    so drop what is cached outside the store. `only`: the same view, restricted to what requests of these keys read.
    """

    @property
    def spec(self) -> ViewSpec: ...

    @property
    def types(self) -> Mapping[str, bool]: ...

    def fold(self, records: Mapping[str, Sequence[Positioned]], store: StateStore) -> Mapping[bytes, bytes | None]: ...

    def forget(self) -> None: ...

    def only(self, keys: Collection[str]) -> "View": ...


FoldedApart = tuple[Mapping[bytes, bytes | None], Callable[[StateStore], Mapping[bytes, bytes | None]]]
"""Changes of keys that only records of these partitions change, and a function that returns those of all other keys."""


@runtime_checkable
class DividedView(Protocol):
    """A view of which several consumers, each with its partitions, fold most side by side.

    `fold_apart`: `fold` in two parts, of which only the second must see what other consumers wrote; it keeps nothing in
    memory, and may be called again.
    """

    def fold_apart(self, records: Mapping[str, Sequence[Positioned]], store: StateStore) -> FoldedApart: ...


class ViewState(msgspec.Struct, array_like=True, frozen=True):
    """The offsets of a view. `ready`: it has reached the end of the log once, so it serves."""

    offsets: tuple[int, ...] = ()
    ready: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode_state = msgspec.msgpack.Decoder(ViewState).decode
_decode_names = msgspec.msgpack.Decoder(list[str]).decode


def state_key(name: str) -> bytes:
    return b"v/" + name.encode()


def prefix_of(name: str) -> bytes:
    return b"v/" + name.encode() + b"/"


def encode_state(state: ViewState) -> bytes:
    return _encode(state)


def decode_state(value: bytes | None) -> ViewState:
    return ViewState() if value is None else _decode_state(value)


def names_in(store: StateStore) -> list[str]:
    """The names of all views in a store."""
    value = store.read([VIEWS_KEY])[0][0]
    return [] if value is None else _decode_names(value)


def encode_names(names: Collection[str]) -> bytes:
    return _encode(sorted(names))


class ViewStore:
    """The keys and offsets of one view in a store that holds several.

    Until the view first reaches the end of the log, a serving view of the same kind is read instead; `exact`: never.
    `write` is for tests and tools: the consumer writes all views at once.
    """

    def __init__(self, store: StateStore, spec: ViewSpec, exact: bool = False) -> None:
        self._store, self._spec, self._exact = store, spec, exact
        self._name = spec.name

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]:
        self._name = self._spec.name
        while True:
            name = self._name
            prefix = prefix_of(name)
            values, _ = self._store.read([state_key(name), *[prefix + key for key in keys]])
            state = decode_state(values[0])
            if state.ready or self._exact or not self._stand_in():
                return values[1:], state.offsets

    def write(self, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None:
        name = self._spec.name
        prefix = prefix_of(name)
        ours: dict[bytes, bytes | None] = {prefix + key: value for key, value in changes.items()}
        ours[state_key(name)] = encode_state(ViewState(tuple(offsets), True))
        ours[VIEWS_KEY] = encode_names({*names_in(self._store), name})
        self._store.write(ours, self._store.offsets())

    def offsets(self) -> Offsets:
        return self.read(())[1]

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        self.read(())
        start = prefix_of(self._name)
        return ((key[len(start) :], value) for key, value in self._store.scan(start + prefix, limit))

    def close(self) -> None:
        """Does nothing: whoever opened the store closes it."""

    def _stand_in(self) -> bool:
        """Switch to a serving view of the same kind when the one just read does not serve; returns whether there is
        one."""
        alike = [name for name in names_in(self._store) if name.rpartition(".")[0] == self._spec.kind]
        values, _ = self._store.read([state_key(name) for name in alike])
        ready = [name for name, value in zip(alike, values, strict=True) if decode_state(value).ready]
        if not ready or self._name in ready:
            return self._name in ready
        self._name = self._spec.name if self._spec.name in ready else ready[0]
        return True
