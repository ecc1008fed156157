"""Applies the log to the views of the online store: the same code in the worker, in a replay and in virtual time."""

import operator
from collections.abc import Collection, Sequence

from flyball.core import Refused
from flyball.events import Offsets, Positioned, Slice, fresh
from flyball.state.view import (
    VIEWS_KEY,
    View,
    ViewState,
    ViewStore,
    decode_state,
    encode_names,
    encode_state,
    names_in,
    prefix_of,
    state_key,
)
from flyball.stores import StateStore

FORMAT = b"2"
"""The format of a store. Format 1 had no number and no views."""

_FORMAT_KEY = b"m/format"
_DROP_AT_ONCE = 5_000


class StateConsumer:
    """Keeps `views` in `store`, each with the offsets up to which the log has been applied to it.

    `apply` applies slices of the log to the views that serve. Records before a view's offsets change nothing, so
    redelivery is harmless. Stored values are a function of the records before the offsets, whatever the batches were,
    and are written atomically with the offsets.

    A view that is added beside serving ones is `rebuilding`: `rebuild` applies the log from its beginning, `swap` lets
    the view serve once it has caught up, and `drop_unused` removes views that are not in the list. `store.offsets()`:
    what all serving views have applied; without any view, what was passed to `apply`. Raises `BadInput` for a slice
    that would leave a gap, and `Refused` for a store written by another release.
    """

    def __init__(self, views: Sequence[View], store: StateStore, *, partitions: int = 4) -> None:
        self._store, self._partitions = store, partitions
        self._keep(views)

    def replace(self, views: Sequence[View]) -> None:
        """Keep these views from now on: new ones are rebuilt, omitted ones are removed by `drop_unused`."""
        if {view.spec.name for view in views} != self._views.keys():
            self._keep(views)

    def _keep(self, views: Sequence[View]) -> None:
        self._views = {view.spec.name: view for view in views}
        self._types: dict[str, frozenset[str]] = {name: frozenset(view.types) for name, view in self._views.items()}
        self._begun = False

    @property
    def rebuilding(self) -> list[str]:
        """The names of the views that are being rebuilt; in an empty store all views serve at once."""
        waiting = [name for name, state in self._states().items() if not state.ready]
        return waiting if waiting and self._any_ready(names_in(self._store)) else []

    def offsets(self) -> Offsets:
        """The offsets that all serving views have reached: where to continue reading the log."""
        return self._padded(self._least(True) if self._views else self._store.offsets())

    def rebuild_offsets(self) -> Offsets:
        """The offsets of the views that are being rebuilt; those of the serving views when there are none."""
        return self._padded(self._least(False) if self.rebuilding else self._least(True))

    def apply(self, slices: Sequence[Slice]) -> int:
        """Apply `slices` to the serving views; returns the number of records that were new to any."""
        return self._apply(slices, ready=True) if self._views else self._pass(slices)

    def rebuild(self, slices: Sequence[Slice]) -> int:
        """Apply `slices` to the views that are being rebuilt; returns the number of records that were new to any."""
        return self._apply(slices, ready=False)

    def swap(self) -> list[str]:
        """Let rebuilt views serve once they have caught up with the others; returns their names."""
        self._begin()
        states, serving = self._states(), self.offsets()
        swapped = [
            name
            for name, state in states.items()
            if not state.ready and all(map(operator.ge, self._padded(state.offsets), serving))
        ]
        if swapped:
            changes: dict[bytes, bytes | None] = {
                state_key(name): encode_state(ViewState(states[name].offsets, True)) for name in swapped
            }
            self._store.write(changes, self._store.offsets())
        return swapped

    def drop_unused(self) -> int:
        """Delete some keys of views that are not in the list, once every listed one serves; returns the number
        deleted."""
        self._begin()
        names = names_in(self._store)
        unused = [name for name in names if name not in self._views]
        if not unused or self.rebuilding:
            return 0
        return self._drop(unused[0], names)

    def _drop(self, name: str, names: Collection[str]) -> int:
        """Delete some keys of a view, its state first, so that no reader sees a part of it; returns the number
        deleted."""
        keys = [key for key, _ in self._store.scan(prefix_of(name), _DROP_AT_ONCE)]
        changes: dict[bytes, bytes | None] = {state_key(name): None, **dict.fromkeys(keys)}
        if len(keys) < _DROP_AT_ONCE:
            changes[VIEWS_KEY] = encode_names([other for other in names if other != name])
        self._store.write(changes, self._store.offsets())
        return len(keys)

    def skip(self, offsets: Offsets) -> None:
        """Mark records up to `offsets` as applied: there are none in between that the views read."""
        self._begin()
        states = self._states()
        changes: dict[bytes, bytes | None] = {
            state_key(name): encode_state(ViewState(offsets, state.ready)) for name, state in states.items()
        }
        self._store.write(changes, offsets)

    def _begin(self) -> None:
        """Before the first write: register new views, which serve at once when none serves yet."""
        if self._begun:
            return
        (written, listed), offsets = self._store.read([_FORMAT_KEY, VIEWS_KEY])
        _check_format(written, offsets)
        names = set() if listed is None else set(names_in(self._store))
        for name in self._views.keys() & names:
            if self._store.read([state_key(name)])[0][0] is None:  # partly dropped, then declared again
                while self._drop(name, names):
                    continue
                names.discard(name)
        new = self._views.keys() - names
        if written is None or new:
            fresh = not self._any_ready(names)
            changes: dict[bytes, bytes | None] = {state_key(name): encode_state(ViewState((), fresh)) for name in new}
            changes |= {_FORMAT_KEY: FORMAT, VIEWS_KEY: encode_names(names | new)}
            self._store.write(changes, offsets)
        self._begun = True

    def _states(self) -> dict[str, ViewState]:
        (written, *values), offsets = self._store.read([_FORMAT_KEY, *map(state_key, self._views)])
        _check_format(written, offsets)
        return {name: decode_state(value) for name, value in zip(self._views, values, strict=True)}

    def _any_ready(self, names: Collection[str]) -> bool:
        values, _ = self._store.read([state_key(name) for name in names])
        return any(decode_state(value).ready for value in values)

    def _padded(self, offsets: Offsets) -> Offsets:
        return offsets + (0,) * (self._partitions - len(offsets))

    def _least(self, ready: bool) -> Offsets:
        """The minimum offsets of the views that serve, or of those that do not."""
        vectors = [self._padded(state.offsets) for state in self._states().values() if state.ready == ready]
        return tuple(map(min, zip(*vectors, strict=True))) if vectors else ()

    def _pass(self, slices: Sequence[Slice]) -> int:
        """Move the offsets past `slices`, which no view reads; returns the number of records that were new."""
        pieces, offsets = fresh(slices, self.offsets())
        if pieces:
            self._begin()
            self._store.write({}, offsets)
        return sum(len(piece.records) for piece in pieces)

    def _apply(self, slices: Sequence[Slice], ready: bool) -> int:
        if not slices:
            return 0
        self._begin()
        states = {name: state for name, state in self._states().items() if state.ready == ready}
        changes: dict[bytes, bytes | None] = {}
        moved: dict[str, Offsets] = {}
        new = 0
        try:
            for name, state in states.items():
                offsets, records, count = self._sort(slices, self._padded(state.offsets), self._types[name])
                if count:
                    view = self._views[name]
                    prefix = prefix_of(name)
                    folded = view.fold(records, ViewStore(self._store, view.spec, exact=True))
                    changes |= {prefix + key: value for key, value in folded.items()}
                    changes[state_key(name)] = encode_state(ViewState(offsets, ready))
                    moved[name] = offsets
                    new = max(new, count)
            if moved:
                self._store.write(changes, self._served(states, moved) if ready else self._store.offsets())
        except BaseException:
            for name in states:
                self._views[name].forget()
            raise
        return new

    def _served(self, states: dict[str, ViewState], moved: dict[str, Offsets]) -> Offsets:
        vectors = [moved.get(name) or self._padded(state.offsets) for name, state in states.items()]
        return tuple(map(min, zip(*vectors, strict=True)))

    def _sort(
        self, slices: Sequence[Slice], start: Offsets, types: frozenset[str]
    ) -> tuple[Offsets, dict[str, list[Positioned]], int]:
        """The offsets after `slices`, their records from `start` on by type, and the number of these records."""
        pieces, offsets = fresh(slices, start)
        by_type: dict[str, list[Positioned]] = {}
        for piece in pieces:
            for offset, record in enumerate(piece.records, piece.first):
                if record.type in types:
                    by_type.setdefault(record.type, []).append((record, offset, piece.partition))
        return offsets, by_type, sum(len(piece.records) for piece in pieces)


def _check_format(written: bytes | None, offsets: Offsets) -> None:
    """Raise `Refused` for a store written by another release."""
    if written == FORMAT or (written is None and not any(offsets)):
        return
    got = "1" if written is None else written.decode()
    raise Refused(
        f"online state must be of format {FORMAT.decode()}, got format {got} of another release of Flyball: delete it "
        "(the home's folder state/), and it is rebuilt from the log"
    )
