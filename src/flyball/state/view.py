"""What a view of the log is, and how the views of several definitions lie in one store."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from flyball.events import Offsets, Positioned
from flyball.stores import StateStore

VIEWS_KEY = b"m/views"
"""The key of the names of all views in a store."""


class ViewSpec(msgspec.Struct, frozen=True):
    """A part of the online state. Another `hash` is another view: rebuilt beside the old one, then swapped.

    `kind`: names its implementation. `hash`: of all that its values depend on besides events.
    """

    kind: str
    hash: str

    @property
    def name(self) -> str:
        """What its keys in the store begin with."""
        return f"{self.kind}.{self.hash[:8]}"


class View(Protocol):
    """One part of the online state, a function of the log's records before its offsets.

    `types`: the event types it reads; True where all records about a key lie in the partition of that key. `fold`: the
    changes of keys by new records, given by type; `store` holds the view's own keys. `forget`: a write failed, so drop
    what is held besides the store. `only`: the same view that folds nothing but what requests of these keys read.
    """

    @property
    def spec(self) -> ViewSpec: ...

    @property
    def types(self) -> Mapping[str, bool]: ...

    def fold(self, records: Mapping[str, Sequence[Positioned]], store: StateStore) -> Mapping[bytes, bytes | None]: ...

    def forget(self) -> None: ...

    def only(self, keys: Collection[str]) -> "View": ...


class ViewState(msgspec.Struct, array_like=True, frozen=True):
    """How far a view is. `ready`: it has been at the end of the log, so it serves."""

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

    While the view has never been at the end of the log, the one of its kind that has stands in for it. `exact`: none
    may stand in. `write` is for tests and tools: the consumer writes all views at once.
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
        """The store is its opener's."""

    def _stand_in(self) -> bool:
        """Choose a view of the kind that serves instead of the one just read, which does not; whether there is one."""
        alike = [name for name in names_in(self._store) if name.rpartition(".")[0] == self._spec.kind]
        values, _ = self._store.read([state_key(name) for name in alike])
        ready = [name for name, value in zip(alike, values, strict=True) if decode_state(value).ready]
        if not ready or self._name in ready:
            return self._name in ready
        self._name = self._spec.name if self._spec.name in ready else ready[0]
        return True
