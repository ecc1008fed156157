"""Folds the log into the views of the online store: the same steps in the worker, in a replay and in virtual time."""

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
"""Of what lies in a store. 1 had no number and no views."""

_FORMAT_KEY = b"m/format"
_DROP_AT_ONCE = 5_000


class StateConsumer:
    """Keeps `views` in `store`, each exactly as far as its own offsets say.

    `apply` folds slices of the log into the views that serve; records before a view's offsets change nothing, so
    anything may be delivered again. What is stored is a function of the records before the offsets, whatever the
    batches were, and goes with the offsets in one write.

    A view that is new beside others that serve is `rebuilding`: `rebuild` folds it from the log's beginning, `swap`
    lets it serve once it is at the end, and `drop_unused` removes what no view of the list needs. `store.offsets()` is
    how far all the views that serve have come. Raises `BadInput` for a slice that would leave a gap, and `Refused` for
    a store that another release wrote.
    """

    def __init__(self, views: Sequence[View], store: StateStore, *, partitions: int = 4) -> None:
        self._store, self._partitions = store, partitions
        self._keep(views)

    def replace(self, views: Sequence[View]) -> None:
        """Keep these views from now on; those that are new are rebuilt, those left out dropped by `drop_unused`."""
        if {view.spec.name for view in views} != self._views.keys():
            self._keep(views)

    def _keep(self, views: Sequence[View]) -> None:
        self._views = {view.spec.name: view for view in views}
        self._types: dict[str, frozenset[str]] = {name: frozenset(view.types) for name, view in self._views.items()}
        self._begun = False

    @property
    def rebuilding(self) -> list[str]:
        """The names of views that do not serve yet while others do; in an empty store all serve at once."""
        waiting = [name for name, state in self._states().items() if not state.ready]
        return waiting if waiting and self._any_ready(names_in(self._store)) else []

    def offsets(self) -> Offsets:
        """How far all views that serve have come: what to read the log after."""
        return self._padded(self._least(True))

    def rebuild_offsets(self) -> Offsets:
        """How far the views that are rebuilt have come; those of the ones that serve when there are none."""
        return self._padded(self._least(False) if self.rebuilding else self._least(True))

    def apply(self, slices: Sequence[Slice]) -> int:
        """Fold `slices` into the views that serve; the number of records that were new to any."""
        return self._apply(slices, ready=True)

    def rebuild(self, slices: Sequence[Slice]) -> int:
        """Fold `slices` into the views that are rebuilt; the number of records that were new to any."""
        return self._apply(slices, ready=False)

    def swap(self) -> list[str]:
        """Let the views that have been rebuilt as far as the others serve; their names."""
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
        """Delete some keys of views that are not in the list, once every listed one serves; how many."""
        self._begin()
        names = names_in(self._store)
        unused = [name for name in names if name not in self._views]
        if not unused or self.rebuilding:
            return 0
        return self._drop(unused[0], names)

    def _drop(self, name: str, names: Collection[str]) -> int:
        """Delete some keys of a view, its state first, so that nobody reads half of it; how many."""
        keys = [key for key, _ in self._store.scan(prefix_of(name), _DROP_AT_ONCE)]
        changes: dict[bytes, bytes | None] = {state_key(name): None, **dict.fromkeys(keys)}
        if len(keys) < _DROP_AT_ONCE:
            changes[VIEWS_KEY] = encode_names([other for other in names if other != name])
        self._store.write(changes, self._store.offsets())
        return len(keys)

    def skip(self, offsets: Offsets) -> None:
        """Count records up to `offsets` as folded: nothing that the views read lies in between."""
        self._begin()
        states = self._states()
        changes: dict[bytes, bytes | None] = {
            state_key(name): encode_state(ViewState(offsets, state.ready)) for name, state in states.items()
        }
        self._store.write(changes, offsets)

    def _begin(self) -> None:
        """Before the first write: list new views, which serve at once when none serves yet."""
        if self._begun:
            return
        (written, listed), offsets = self._store.read([_FORMAT_KEY, VIEWS_KEY])
        _check_format(written, offsets)
        names = set() if listed is None else set(names_in(self._store))
        for name in self._views.keys() & names:
            if self._store.read([state_key(name)])[0][0] is None:  # half dropped, and now declared again
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
        """The least offsets of the views that serve, or of those that do not."""
        vectors = [self._padded(state.offsets) for state in self._states().values() if state.ready == ready]
        return tuple(map(min, zip(*vectors, strict=True))) if vectors else ()

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
        """The offsets after `slices`, their records beyond `start` by type, and how many lie beyond it."""
        pieces, offsets = fresh(slices, start)
        by_type: dict[str, list[Positioned]] = {}
        for piece in pieces:
            for offset, record in enumerate(piece.records, piece.first):
                if record.type in types:
                    by_type.setdefault(record.type, []).append((record, offset, piece.partition))
        return offsets, by_type, sum(len(piece.records) for piece in pieces)


def _check_format(written: bytes | None, offsets: Offsets) -> None:
    """Raises `Refused` for a store that another release wrote."""
    if written == FORMAT or (written is None and not any(offsets)):
        return
    got = "1" if written is None else written.decode()
    raise Refused(
        f"online state must be of format {FORMAT.decode()}, got format {got} of another release of Flyball: delete it "
        "(the home's folder state/), and it is rebuilt from the log"
    )
