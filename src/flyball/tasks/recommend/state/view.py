"""The view of users' histories and popular lists, folded from the events about users and items."""

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from flyball.events import EventLog, Joiner, Positioned, Record, Schema
from flyball.features import number_of
from flyball.state import type_name
from flyball.stores import StateStore, key_of
from flyball.tasks.labels import completed_at
from flyball.tasks.recommend.state.popularity import Deltas, Popularity
from flyball.tasks.recommend.state.signals import Plan, Signals, compile_test
from flyball.tasks.recommend.state.user_history import UserEdit, decode_user, more_key, user_key
from flyball.tasks.recommend.state.user_item import (
    PairEvents,
    UserItem,
    decode_user_item,
    encode_user_item,
    popularity_of,
    updated_user_item,
)

Order = tuple[int, int, int]
"""(at, offset, partition) of a profile; the latest profile counts."""


class _Compiled(msgspec.Struct, frozen=True):
    names: Callable[[Any], tuple[Any, Any, int]]
    tests: tuple[tuple[int, Callable[[Any], Any] | None], ...]
    rating: Callable[[Any], Any] | None


class UserItemsView:
    """Users' histories and popular lists. `only`: of these users; popular lists then count these users only."""

    def __init__(
        self,
        schema: Schema,
        signals: Signals,
        only: Collection[str] | None = None,
        log: EventLog | None = None,
    ) -> None:
        self._schema, self._signals = schema, signals
        self._joiner = Joiner(schema, list(signals.plans), log)
        self._only = None if only is None else frozenset(only)
        self.spec = signals.spec
        self._plans = {name: _compile(plan) for name, plan in signals.plans.items()}
        self._profile = None if signals.user.profile is None else type_name(schema, signals.user.profile, signals.user)
        logged = [name for name in signals.plans if name not in self._joiner.names]
        self.types = dict.fromkeys(logged, signals.keyed_by_user) | dict.fromkeys(self._joiner.types, False)
        if self._profile is not None:
            self.types[self._profile] = True
        self._popularity = Popularity(signals.half_life_days)

    def only(self, keys: Collection[str]) -> "UserItemsView":
        return UserItemsView(self._schema, self._signals, keys)

    def forget(self) -> None:
        self._popularity.forget()

    def fold(self, records: Mapping[str, Sequence[Positioned]], store: StateStore) -> dict[bytes, bytes | None]:
        changes, deltas = self._folded(records, store)
        return changes | self._popularity.apply(deltas, store)

    def fold_apart(
        self, records: Mapping[str, Sequence[Positioned]], store: StateStore
    ) -> tuple[dict[bytes, bytes | None], Callable[[StateStore], dict[bytes, bytes | None]]]:
        """See `DividedView`: users' keys come first where all events of a user are in one partition."""
        if self._joiner.names or not self._signals.keyed_by_user:
            return {}, lambda store: self._folded_beside(records, store)
        changes, deltas = self._folded(records, store)
        return changes, lambda store: self._popularity.merged(deltas, store)

    def _folded_beside(
        self, records: Mapping[str, Sequence[Positioned]], store: StateStore
    ) -> dict[bytes, bytes | None]:
        changes, deltas = self._folded(records, store)
        return changes | self._popularity.merged(deltas, store)

    def _folded(
        self, records: Mapping[str, Sequence[Positioned]], store: StateStore
    ) -> tuple[dict[bytes, bytes | None], Deltas]:
        """The changes of users' keys and of pending events, and those of the counts of items."""
        joined, pending = self._joiner.apply(records, store)
        pairs = self._gather({**records, **joined})
        groups = self._groups(records.get(self._profile or "", ()))
        changes, deltas = self._changes(pairs, groups, store)
        return changes | pending, deltas

    def _gather(self, records: Mapping[str, Sequence[Positioned]]) -> dict[tuple[str, str], PairEvents]:
        """The events of the records by (user, item)."""
        only, slots = self._only, len(self._signals.outcomes)
        pairs: dict[tuple[str, str], PairEvents] = {}
        for name, plan in self._plans.items():
            positioned = records.get(name, ())
            if only is not None and self._signals.keyed_by_user:
                positioned = [entry for entry in positioned if entry[0].key in only]
            if positioned:
                events = self._schema.decode_many([record for record, _, _ in positioned])
                _touch(pairs, plan, events, positioned, only, slots)
        return pairs

    def _groups(self, profiles: Sequence[Positioned]) -> dict[str, tuple[Order, str | None]]:
        """{user: (order of the latest profile, its group)}."""
        latest: dict[str, tuple[Order, Record]] = {}
        for record, offset, partition in profiles:
            order = (record.at, offset, partition)
            if (self._only is None or record.key in self._only) and (
                record.key not in latest or order > latest[record.key][0]
            ):
                latest[record.key] = (order, record)
        return {user: (order, self._group(record)) for user, (order, record) in latest.items()}

    def _group(self, record: Record) -> str | None:
        function = self._signals.user.group
        value = None if function is None else function(self._schema.decode(record))
        return None if value is None or str(value) == "" else str(value)

    def _changes(
        self,
        pairs: dict[tuple[str, str], PairEvents],
        groups: dict[str, tuple[Order, str | None]],
        store: StateStore,
    ) -> tuple[dict[bytes, bytes | None], Deltas]:
        signals = self._signals
        pair_keys = {pair: key_of(b"w/", *pair) for pair in pairs}
        users = list(dict.fromkeys([user for user, _ in pairs] + list(groups)))
        values, _ = store.read([*pair_keys.values(), *map(user_key, users)])
        edits = _edits(users, values[len(pair_keys) :], store)
        changes: dict[bytes, bytes | None] = {}
        deltas: Deltas = {}
        for user, (order, group) in groups.items():
            edit = edits[user]
            if edit.group_order is not None and edit.group_order > order:
                continue
            if edit.group != group and edit.items:
                self._move(user, edit.group, group, deltas, store)
            edit.group, edit.group_order = group, order
        for (pair, key), value in zip(pair_keys.items(), values, strict=False):
            user, item = pair
            old = None if value is None else decode_user_item(value)
            new = updated_user_item(old, item, pairs[pair], signals)
            changes[key] = encode_user_item(new)
            edits[user].put(new, old is not None, signals)
            if old is not None and old.hits == new.hits:
                continue
            was, now = popularity_of(old, signals), popularity_of(new, signals)
            if was != now:
                _count(deltas, edits[user].group, item, was, -1)
                _count(deltas, edits[user].group, item, now, 1)
        for edit in edits.values():
            changes |= edit.changes()
        return changes, deltas

    def _move(self, user: str, before: str | None, after: str | None, deltas: Deltas, store: StateStore) -> None:
        """Move the popularity units of the user's pairs from one group to another."""
        for _, value in store.scan(key_of(b"w/", user, "")):
            pair: UserItem = decode_user_item(value)
            for group, sign in ((before, -1), (after, 1)):
                if group is not None:
                    _add(deltas, group, pair.item, popularity_of(pair, self._signals), sign)


def _edits(users: Sequence[str], states: Sequence[bytes | None], store: StateStore) -> dict[str, UserEdit]:
    stored = [None if state is None else decode_user(state) for state in states]
    beyond = [state.user for state in stored if state is not None and state.more]
    more = dict(zip(beyond, store.read([more_key(user) for user in beyond])[0], strict=True)) if beyond else {}
    return {user: UserEdit(user, state, more.get(user)) for user, state in zip(users, stored, strict=True)}


def _compile(plan: Plan) -> _Compiled:
    tests = tuple((slot, compile_test(where)) for slot, where in plan.tests)
    names = attrgetter(plan.user_field, plan.item_field, "at")
    if plan.from_first:
        pair = attrgetter(plan.user_field, plan.item_field)
        return _Compiled(lambda event: (*pair(event), completed_at(event)), tests, compile_test(plan.rating))
    return _Compiled(names, tests, compile_test(plan.rating))


def _touch(
    pairs: dict[tuple[str, str], PairEvents],
    plan: _Compiled,
    events: Sequence[Any],
    positioned: Sequence[Positioned],
    only: frozenset[str] | None,
    slots: int,
) -> None:
    names, tests, rating = plan.names, plan.tests, plan.rating
    for event, (_, offset, partition) in zip(events, positioned, strict=True):
        user, item, at = names(event)
        if user is None or item is None or (only is not None and str(user) not in only):
            continue
        pair = (str(user), str(item))
        touch = pairs.get(pair)
        if touch is None:
            touch = pairs[pair] = PairEvents(slots)
        touch.ats.append(at)
        for slot, test in tests:
            if test is None or test(event):
                times = touch.times[slot]
                if times is None:
                    touch.times[slot] = [at]
                else:
                    times.append(at)
        if rating is not None:
            value = number_of(rating(event))
            if value is not None:
                rated = (at, offset, partition, value)
                if touch.rated is None or rated > touch.rated:
                    touch.rated = rated


def _count(deltas: Deltas, group: str | None, item: str, added: tuple[int, int] | None, sign: int) -> None:
    _add(deltas, "", item, added, sign)
    if group is not None:
        _add(deltas, group, item, added, sign)


def _add(deltas: Deltas, group: str, item: str, added: tuple[int, int] | None, sign: int) -> None:
    if added is not None:
        day, units = added
        days = deltas.setdefault((group, item), {})
        days[day] = days.get(day, 0) + sign * units
