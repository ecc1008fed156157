"""Folds the log into the online store: the same steps in the worker, in a replay and in virtual time."""

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from flyball.core import BadInput
from flyball.events import Offsets, Record, Schema, Slice
from flyball.features import Entity, number_of
from flyball.state.popularity import Deltas, Popularity
from flyball.state.profiles import Profiles, entities_of
from flyball.state.signals import Plan, Signals, compile_test
from flyball.state.user_history import UserEdit, decode_state, more_key, user_key
from flyball.state.user_item import Pair, Touch, decode_pair, encode_pair, fold_pair, popularity_of
from flyball.stores import StateStore, key_of

Order = tuple[int, int, int]


class _Compiled(msgspec.Struct, frozen=True):
    names: Callable[[Any], tuple[Any, Any, int]]
    tests: tuple[tuple[int, Callable[[Any], Any] | None], ...]
    rating: Callable[[Any], Any] | None


class StateConsumer:
    """Keeps users' histories, profiles and popular lists in `store`, exactly as far as its offsets say.

    `apply` folds slices of the log; records before the stored offsets change nothing, so anything may be delivered
    again. What is stored is a function of the records before the offsets, whatever the batches were, and goes with the
    offsets in one write. `only_users`: fold nothing of other users (popular lists are then about those users alone).
    Raises `BadInput` for a slice that would leave a gap.
    """

    def __init__(
        self,
        schema: Schema,
        signals: Signals,
        entities: Sequence[Entity],
        store: StateStore,
        *,
        partitions: int = 4,
        half_life_days: int = 14,
        only_users: Collection[str] | None = None,
    ) -> None:
        self._schema, self._signals, self._store = schema, signals, store
        self._partitions, self._only = partitions, None if only_users is None else frozenset(only_users)
        self._profiles = Profiles(schema, entities_of((*entities, signals.user, signals.item)))
        self._popularity = Popularity(store, half_life_days)
        self._plans = {name: _compile(plan) for name, plan in signals.plans.items()}
        self._wanted = self._plans.keys() | self._profiles.profile_of.keys() | self._profiles.known_by.keys()

    def offsets(self) -> Offsets:
        """How far the store has come: what to read the log after."""
        stored = self._store.offsets()
        return stored + (0,) * (self._partitions - len(stored))

    def apply(self, slices: Sequence[Slice]) -> int:
        """Fold `slices` in; the number of records that were new."""
        offsets, by_type, new = self._sort(slices)
        if not new:
            return 0
        try:
            pairs = self._gather(by_type)
            changes, groups = self._profiles.changes(self._store)
            user = self._signals.user.name
            changes |= self._fold(pairs, {name: group for (kind, name), group in groups.items() if kind == user})
            self._store.write(changes, offsets)
        except BaseException:
            self._popularity.forget()
            raise
        return new

    def _sort(self, slices: Sequence[Slice]) -> tuple[Offsets, dict[str, list[tuple[Record, int, int]]], int]:
        """The offsets after `slices`, and their new records by type with offset and partition."""
        offsets, new = list(self.offsets()), 0
        by_type: dict[str, list[tuple[Record, int, int]]] = {name: [] for name in self._wanted}
        for piece in slices:
            partition = piece.partition
            offsets += [0] * (partition + 1 - len(offsets))
            skip = offsets[partition] - piece.first
            if skip < 0:
                raise BadInput(
                    f"first offset of a slice of partition {partition}", f"at most {offsets[partition]}", piece.first
                )
            for offset, record in enumerate(piece.records[skip:], offsets[partition]):
                found = by_type.get(record.type)
                if found is not None:
                    found.append((record, offset, partition))
            gained = max(0, len(piece.records) - skip)
            offsets[partition] += gained
            new += gained
        return tuple(offsets), by_type, new

    def _gather(self, by_type: dict[str, list[tuple[Record, int, int]]]) -> dict[tuple[str, str], Touch]:
        """What the records say, by (user, item); profiles are noted on the way."""
        profiles, only, slots = self._profiles, self._only, len(self._signals.outcomes)
        pairs: dict[tuple[str, str], Touch] = {}
        for name, found in by_type.items():
            if not found:
                continue
            entity = profiles.profile_of.get(name)
            if entity is not None:
                for record, offset, partition in found:
                    if only is None or entity is not self._signals.user or record.key in only:
                        profiles.note_profile(entity, record, (record.at, offset, partition))
            plan, known_by = self._plans.get(name), profiles.known_by.get(name, [])
            if plan is None and not known_by:
                continue
            if only is not None and self._signals.keyed_by_user and not known_by:
                found = [one for one in found if one[0].key in only]
            events = self._schema.decode_many([record for record, _, _ in found])
            for kind, getter in known_by:
                for event in events:
                    key = getter(event)
                    if key is not None and (only is None or kind is not self._signals.user or str(key) in only):
                        profiles.note_known(kind, str(key), event.at)
            if plan is not None:
                _touch(pairs, plan, events, found, only, slots)
        return pairs

    def _fold(self, pairs: dict[tuple[str, str], Touch], groups: dict[str, str | None]) -> dict[bytes, bytes | None]:
        signals = self._signals
        pair_keys = {pair: key_of(b"w/", *pair) for pair in pairs}
        users = list(dict.fromkeys([user for user, _ in pairs] + list(groups)))
        values, _ = self._store.read([*pair_keys.values(), *map(user_key, users)])
        edits = self._edits(users, values[len(pair_keys) :])
        changes: dict[bytes, bytes | None] = {}
        deltas: Deltas = {}
        for user, group in groups.items():
            if edits[user].group != group:
                if edits[user].items:
                    self._move(user, edits[user].group, group, deltas)
                edits[user].group = group
        for (pair, key), value in zip(pair_keys.items(), values, strict=False):
            user, item = pair
            old = None if value is None else decode_pair(value)
            new = fold_pair(old, item, pairs[pair], signals)
            changes[key] = encode_pair(new)
            edits[user].put(new, old is not None, signals)
            if old is not None and old.hits == new.hits:
                continue
            was, now = popularity_of(old, signals), popularity_of(new, signals)
            if was != now:
                _count(deltas, edits[user].group, item, was, -1)
                _count(deltas, edits[user].group, item, now, 1)
        for edit in edits.values():
            changes |= edit.changes()
        return changes | self._popularity.apply(deltas)

    def _edits(self, users: Sequence[str], states: Sequence[bytes | None]) -> dict[str, UserEdit]:
        stored = [None if state is None else decode_state(state) for state in states]
        beyond = [state.user for state in stored if state is not None and state.more]
        more = (
            dict(zip(beyond, self._store.read([more_key(user) for user in beyond])[0], strict=True)) if beyond else {}
        )
        return {user: UserEdit(user, state, more.get(user)) for user, state in zip(users, stored, strict=True)}

    def _move(self, user: str, before: str | None, after: str | None, deltas: Deltas) -> None:
        """Carry what the user's pairs add to popularity from one group to another."""
        for _, value in self._store.scan(key_of(b"w/", user, "")):
            pair: Pair = decode_pair(value)
            for group, sign in ((before, -1), (after, 1)):
                if group is not None:
                    _add(deltas, group, pair.item, popularity_of(pair, self._signals), sign)


def _compile(plan: Plan) -> _Compiled:
    tests = tuple((slot, compile_test(where)) for slot, where in plan.tests)
    return _Compiled(attrgetter(plan.user_field, plan.item_field, "at"), tests, compile_test(plan.rating))


def _touch(
    pairs: dict[tuple[str, str], Touch],
    plan: _Compiled,
    events: Sequence[Any],
    found: Sequence[tuple[Record, int, int]],
    only: frozenset[str] | None,
    slots: int,
) -> None:
    names, tests, rating = plan.names, plan.tests, plan.rating
    for event, (_, offset, partition) in zip(events, found, strict=True):
        user, item, at = names(event)
        if user is None or item is None or (only is not None and str(user) not in only):
            continue
        pair = (str(user), str(item))
        touch = pairs.get(pair)
        if touch is None:
            touch = pairs[pair] = Touch(slots)
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
                if touch.rated is None or rated[:3] > touch.rated[:3]:
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
