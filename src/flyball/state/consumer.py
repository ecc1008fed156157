"""Applies the log to the views of the online store: the same code in the worker, in a replay and in virtual time."""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence

from flyball.core import Refused
from flyball.events import Offsets, Positioned, Slice, fresh
from flyball.state.view import (
    VIEWS_KEY,
    DividedView,
    FoldedApart,
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
from flyball.stores import StateStore, StoreChange, update_store

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

    `beside`: other consumers write to the same store at the same time (see `SharedStore`); what all write together is
    what one consumer would write. `assigned`: the partitions whose slices are passed to this one; None: all.
    """

    def __init__(
        self,
        views: Sequence[View],
        store: StateStore,
        *,
        partitions: int = 4,
        beside: bool = False,
        assigned: Collection[int] | None = None,
    ) -> None:
        self._store, self._partitions, self._assigned, self._beside = store, partitions, assigned, beside
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
        swapped = list[str]()

        def caught_up() -> StoreChange | None:
            states, serving = self._states(), self.offsets()
            swapped[:] = [
                name
                for name, state in states.items()
                if not state.ready and all(map(operator.ge, self._padded(state.offsets), serving))
            ]
            changes: dict[bytes, bytes | None] = {
                state_key(name): encode_state(ViewState(states[name].offsets, True)) for name in swapped
            }
            return (changes, self._store.offsets()) if swapped else None

        self._write(caught_up)
        return swapped

    def drop_unused(self) -> int:
        """Delete some keys of views that are not in the list, once every listed one serves; returns the number
        deleted."""
        self._begin()
        names = names_in(self._store)
        unused = [name for name in names if name not in self._views]
        if not unused or self.rebuilding:
            return 0
        return self._drop(unused[0])

    def _drop(self, name: str) -> int:
        """Delete some keys of a view, its state first, so that no reader sees a part of it; returns the number
        deleted."""
        keys = list[bytes]()

        def without() -> StoreChange:
            keys[:] = [key for key, _ in self._store.scan(prefix_of(name), _DROP_AT_ONCE)]
            changes: dict[bytes, bytes | None] = {state_key(name): None, **dict.fromkeys(keys)}
            if len(keys) < _DROP_AT_ONCE:
                changes[VIEWS_KEY] = encode_names([other for other in names_in(self._store) if other != name])
            return changes, self._store.offsets()

        self._write(without)
        return len(keys)

    def _write(self, work: Callable[[], StoreChange | None]) -> None:
        update_store(self._store, work, self._assigned)

    def skip(self, offsets: Offsets) -> None:
        """Mark records up to `offsets` as applied: there are none in between that the views read."""
        self._begin()

        def skipped() -> StoreChange:
            return {
                state_key(name): encode_state(ViewState(offsets, state.ready)) for name, state in self._states().items()
            }, offsets

        self._write(skipped)

    def _begin(self) -> None:
        """Before the first write: register new views, which serve at once when none serves yet."""
        if self._begun:
            return
        _check_format(*self._format())
        for name in self._views.keys() & set(names_in(self._store)):
            if self._store.read([state_key(name)])[0][0] is None:  # partly dropped, then declared again
                while self._drop(name):
                    continue
        self._write(self._registered)
        self._begun = True

    def _registered(self) -> StoreChange | None:
        """The views that are not in the store yet, put on its list."""
        written, offsets = self._format()
        names = set(names_in(self._store))
        new = self._views.keys() - names
        if written is not None and not new:
            return None
        fresh = not self._any_ready(names)
        changes: dict[bytes, bytes | None] = {state_key(name): encode_state(ViewState((), fresh)) for name in new}
        return changes | {_FORMAT_KEY: FORMAT, VIEWS_KEY: encode_names(names | new)}, offsets

    def _format(self) -> tuple[bytes | None, Offsets]:
        (written,), offsets = self._store.read([_FORMAT_KEY])
        return written, offsets

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
        count = 0

        def passed() -> StoreChange | None:
            nonlocal count
            pieces, offsets = fresh(slices, self.offsets())
            count = sum(piece.end - piece.start for piece in pieces)
            return ({}, offsets) if count else None

        if fresh(slices, self.offsets())[0]:
            self._begin()
            self._write(passed)
        return count

    def _apply(self, slices: Sequence[Slice], ready: bool) -> int:
        if not slices:
            return 0
        self._begin()
        ahead = self._ahead(slices, ready) if self._beside else {}
        new, calls = 0, 0

        def applied() -> StoreChange | None:
            nonlocal new, calls
            if calls:  # another consumer wrote: what a view keeps in memory is no more what is in the store
                self._forget()
            new, calls = 0, calls + 1
            states = self._of(ready)
            changes: dict[bytes, bytes | None] = {}
            moved: dict[str, Offsets] = {}
            for name, state in states.items():
                offsets, records, count = self._sort(slices, self._padded(state.offsets), self._types[name])
                if count:
                    prefix = prefix_of(name)
                    folded = self._folded(name, records, ahead.get(name), self._starts(slices, state))
                    changes |= {prefix + key: value for key, value in folded.items()}
                    changes[state_key(name)] = encode_state(ViewState(offsets, ready))
                    moved[name] = offsets
                    new = max(new, count)
            if not moved:
                return None
            return changes, self._served(states, moved) if ready else self._store.offsets()

        try:
            self._write(applied)
        except BaseException:
            self._forget()
            raise
        return new

    def _of(self, ready: bool) -> dict[str, ViewState]:
        """The states of the views that serve, or of those that do not."""
        return {name: state for name, state in self._states().items() if state.ready == ready}

    def _forget(self) -> None:
        for view in self._views.values():
            view.forget()

    def _ahead(self, slices: Sequence[Slice], ready: bool) -> dict[str, tuple[Offsets, FoldedApart]]:
        """{view: (the offsets from which these slices were folded, the result)}, as far as other consumers need not
        wait for it."""
        folded: dict[str, tuple[Offsets, FoldedApart]] = {}
        for name, state in self._of(ready).items():
            view = self._views[name]
            _, records, count = self._sort(slices, self._padded(state.offsets), self._types[name])
            if count and isinstance(view, DividedView):
                apart = view.fold_apart(records, ViewStore(self._store, view.spec, exact=True))
                folded[name] = self._starts(slices, state), apart
        return folded

    def _starts(self, slices: Sequence[Slice], state: ViewState) -> Offsets:
        """The offsets of a view in the partitions of these slices."""
        offsets = self._padded(state.offsets)
        return tuple(offsets[partition] for partition in sorted({piece.partition for piece in slices}))

    def _folded(
        self,
        name: str,
        records: Mapping[str, Sequence[Positioned]],
        ahead: tuple[Offsets, FoldedApart] | None,
        starts: Offsets,
    ) -> Mapping[bytes, bytes | None]:
        """The changes of a view by these records, which begin at `starts`."""
        view = self._views[name]
        store = ViewStore(self._store, view.spec, exact=True)
        if not (self._beside and isinstance(view, DividedView)):
            return view.fold(records, store)
        if ahead is not None and ahead[0] == starts:
            changes, finish = ahead[1]
        else:  # somebody has applied records of these partitions meanwhile
            changes, finish = view.fold_apart(records, store)
        return {**changes, **finish(store)}

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
        return offsets, by_type, sum(piece.end - piece.start for piece in pieces)


def _check_format(written: bytes | None, offsets: Offsets) -> None:
    """Raise `Refused` for a store written by another release."""
    if written == FORMAT or (written is None and not any(offsets)):
        return
    got = "1" if written is None else written.decode()
    raise Refused(
        f"online state must be of format {FORMAT.decode()}, got format {got} of another release of Flyball: delete it "
        "(the home's folder state/), and it is rebuilt from the log"
    )
