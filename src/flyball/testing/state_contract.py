"""The contract of every state store, and a naive oracle of the online state.

The test of a backend calls each function of `CHECKS` with a function that opens the store. A store that is opened again
after `close` must have the written values, unless the backend is exempt. The oracle is simple and slow.
"""

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import msgspec

from flyball.events import Record, Schema, Slice
from flyball.policy import Outcome, compile_python
from flyball.stores import StateStore
from flyball.tasks import Label, Signals

Open = Callable[[], StateStore]


def check_an_unwritten_store_is_empty(open_store: Open) -> None:
    store = open_store()
    assert store.offsets() == ()
    assert store.read([b"u/1", b"u/2"]) == ([None, None], ())
    assert list(store.scan(b"")) == []


def check_values_and_offsets_come_together(open_store: Open) -> None:
    store = open_store()
    store.write({b"a": b"1", b"b": b"2"}, (3, 4))
    assert store.read([b"b", b"missing", b"a", b"b"]) == ([b"2", None, b"1", b"2"], (3, 4))
    store.write({b"a": None, b"c": b"", b"never": None}, (5, 4))
    assert store.read([b"a", b"b", b"c"]) == ([None, b"2", b""], (5, 4))
    assert store.offsets() == (5, 4)


def check_scan_gives_a_prefix_in_key_order(open_store: Open) -> None:
    store = open_store()
    keys = [b"p/film/b", b"p/film/a", b"p/film/\xff", b"p/film0", b"p/fil", b"p/film/"]
    store.write({key: key[::-1] for key in keys}, (1,))
    store.write({b"p/film/b": b"new"}, (2,))
    assert list(store.scan(b"p/film/")) == [
        (b"p/film/", b"/mlif/p"),
        (b"p/film/a", b"a/mlif/p"),
        (b"p/film/b", b"new"),
        (b"p/film/\xff", b"\xff/mlif/p"),
    ]
    assert list(store.scan(b"q")) == []
    assert [key for key, _ in store.scan(b"p/film/", 2)] == [b"p/film/", b"p/film/a"]
    assert [key for key, _ in store.scan(b"p/film/", 9)] == sorted(key for key in keys if key.startswith(b"p/film/"))
    assert list(store.scan(b"p/film/", 0)) == []


def check_scan_gives_what_was_written_and_nothing_else(open_store: Open) -> None:
    store = open_store()
    store.write({b"a": b"1", b"z": b"2"}, (3, 4))
    assert list(store.scan(b"")) == [(b"a", b"1"), (b"z", b"2")]
    assert list(store.scan(b"m")) == []


def check_what_was_written_is_found_again(open_store: Open) -> None:
    store = open_store()
    store.write({b"kept": b"value"}, (7,))
    store.close()
    again = open_store()
    assert again.read([b"kept"]) == ([b"value"], (7,))


def check_it_grows_far_beyond_its_first_size(open_store: Open) -> None:
    store, reader = open_store(), open_store()
    for batch in range(8):
        assert reader.offsets() in ((), (batch,))
        store.write({b"%d/%d" % (batch, index): bytes([batch]) * 100_000 for index in range(8)}, (batch + 1,))
    values, offsets = reader.read([b"%d/7" % batch for batch in range(8)])
    assert offsets == (8,)
    assert values == [bytes([batch]) * 100_000 for batch in range(8)]


def check_threads_read_one_time_while_another_writes(open_store: Open) -> None:
    store = open_store()
    store.write({b"x": b"0", b"y": b"0"}, (0,))
    torn: list[Any] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            (x, y), offsets = store.read([b"x", b"y"])
            scanned = dict(store.scan(b""))
            if not x == y == b"%d" % offsets[0] or scanned[b"x"] != scanned[b"y"]:
                torn.append((x, y, offsets, scanned))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for count in range(1, 40):
            store.write({b"x": b"%d" % count, b"y": b"%d" % count}, (count,))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert torn == []


CHECKS: dict[str, Callable[[Open], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_an_unwritten_store_is_empty,
        check_values_and_offsets_come_together,
        check_scan_gives_a_prefix_in_key_order,
        check_scan_gives_what_was_written_and_nothing_else,
        check_what_was_written_is_found_again,
        check_it_grows_far_beyond_its_first_size,
        check_threads_read_one_time_while_another_writes,
    )
}


class Known(msgspec.Struct, frozen=True):
    """The state of one (user, item) by the oracle; times in microseconds."""

    at_us: int
    weight: float
    rating: float | None
    positive: bool
    weak_positive: bool
    negative: bool
    seen_at: int
    last_at: int
    positive_at: int | None


Placed = tuple[int, int, Record]
"""(partition, offset, record)."""


def placed(slices: Iterable[Slice]) -> list[Placed]:
    """The records of slices with their partition and offset, each once, in this order."""
    record_at = {
        (piece.partition, piece.first + index): record for piece in slices for index, record in enumerate(piece.records)
    }
    return [
        (partition, offset, record)
        for (partition, offset), record in sorted(record_at.items(), key=lambda at_and_record: at_and_record[0])
    ]


def naive_pairs(records: Sequence[Placed], schema: Schema, signals: Signals) -> dict[tuple[str, str], Known]:
    """The state of every (user, item) in events of the task, by the definitions of the declaration."""
    events: list[tuple[Any, int, int]] = [
        (schema.decode(record), partition, offset) for partition, offset, record in records
    ]
    by_pair: dict[tuple[str, str], list[tuple[Any, int, int]]] = {}
    for (_, _, record), (event, partition, offset) in zip(records, events, strict=True):
        if record.type in signals.plans:
            plan = signals.plans[record.type]
            user, item = getattr(event, plan.user_field), getattr(event, plan.item_field)
            if user is not None and item is not None:
                by_pair.setdefault((str(user), str(item)), []).append((event, partition, offset))
    return {pair: _naive_pair(pair_events, signals) for pair, pair_events in by_pair.items()}


def _naive_pair(placed_events: list[tuple[Any, int, int]], signals: Signals) -> Known:
    events = [event for event, _, _ in placed_events]
    times_of = {
        flag: [at for slot in slots if (at := naive_hit(events, signals.outcomes[slot])) is not None]
        for flag, slots in signals.slots_of.items()
    }
    positive_at = min(times_of[1], default=None)
    rating = None
    if signals.rating is not None:
        of = compile_python(signals.rating.expression)
        rated: list[tuple[tuple[int, int, int], Any]] = [
            ((event.at, offset, partition), of(event))
            for event, partition, offset in placed_events
            if _is(event, signals.rating.event) and of(event) is not None
        ]
        rating = max(rated)[1] if rated else None
    times: list[int] = [event.at for event in events]
    weight = 0.0 if times_of[4] else 1.0 if times_of[1] else 0.25 if times_of[2] else 0.0
    return Known(
        at_us=max(times) if positive_at is None else positive_at,
        weight=weight,
        rating=rating,
        positive=bool(times_of[1]),
        weak_positive=bool(times_of[2]),
        negative=bool(times_of[4]),
        seen_at=min(times),
        last_at=max(times),
        positive_at=positive_at,
    )


def naive_hit(events: Sequence[Any], outcome: Outcome | Label) -> int | None:
    """The first time with at least `at_least` qualifying events in `[time - within, time]`; None if there is none."""
    passes: Callable[[Any], Any] = compile_python(outcome.where) if outcome.where else lambda event: True
    times: list[int] = [event.at for event in events if _is(event, outcome.event) and passes(event)]
    for end in sorted(times):
        if sum(end - outcome.within_us <= at <= end for at in times) >= outcome.at_least:
            return end
    return None


def _is(event: Any, kind: type) -> bool:
    return type(event) is kind


def naive_group(records: Sequence[Placed], schema: Schema, signals: Signals, user: str) -> str | None:
    """The group by the latest profile of the user."""
    profiles = [
        ((record.at, offset, partition), schema.decode(record))
        for partition, offset, record in records
        if record.key == user and schema.types[record.type].cls is signals.user.profile
    ]
    if not profiles or signals.user.group is None:
        return None
    group = signals.user.group(max(profiles, key=lambda at_and_profile: at_and_profile[0])[1])
    return None if group is None or str(group) == "" else str(group)


def naive_popular(
    records: Sequence[Placed], schema: Schema, signals: Signals, group: str | None, half_life_days: int
) -> list[str]:
    """Items, best first: a positive pair counts 4 and a weak positive 1, halved every half-life since its day."""
    day_us = 86_400_000_000
    scores: dict[str, Fraction] = {}
    for (user, item), known in naive_pairs(records, schema, signals).items():
        if known.weight and group in (None, naive_group(records, schema, signals, user)):
            day = (
                known.positive_at
                if known.positive_at is not None
                else _weak_positive_at(records, schema, signals, user, item)
            ) // day_us
            share = Fraction(round(2.0 ** (31 + day % half_life_days / half_life_days)), 2**31) * Fraction(2) ** (
                day // half_life_days
            )
            scores[item] = scores.get(item, Fraction(0)) + share * (4 if known.positive else 1)
    return sorted(scores, key=lambda item: (-_rounded(scores[item]), item))


def _rounded(number: Fraction) -> Fraction:
    """The positive number, rounded to the 53 binary digits of a float."""
    power = Fraction(2) ** (number.numerator.bit_length() - number.denominator.bit_length())
    return Fraction(float(number / power)) * power


def _weak_positive_at(records: Sequence[Placed], schema: Schema, signals: Signals, user: str, item: str) -> int:
    events: list[Any] = [
        event
        for event in (schema.decode(record) for _, _, record in records if record.type in signals.plans)
        if _names(event, signals) == (user, item)
    ]
    return min(at for slot in signals.slots_of[2] if (at := naive_hit(events, signals.outcomes[slot])) is not None)


def _names(event: Any, signals: Signals) -> tuple[str, str]:
    plan = signals.plans[type(event).__name__.lower()]
    return str(getattr(event, plan.user_field)), str(getattr(event, plan.item_field))


def naive_history(
    pairs: dict[tuple[str, str], Known], user: str, cap: int
) -> tuple[list[tuple[str, float, float | None, int]], set[str]]:
    """(item, weight, rating, at_us) of the `cap` items with the latest events, by (at_us, item), and all items."""
    own_pairs = [(item, known) for (name, item), known in pairs.items() if name == user]
    latest = sorted(own_pairs, key=lambda item_pair: (item_pair[1].last_at, item_pair[0]))[
        max(0, len(own_pairs) - cap) :
    ]
    rows = [(item, known.weight, known.rating, known.at_us) for item, known in latest]
    return sorted(rows, key=lambda row: (row[3], row[0])), {item for item, _ in own_pairs}


def divided(log: Sequence[Sequence[Record]], cuts: Sequence[Sequence[int]]) -> list[list[Slice]]:
    """A log of partitions in batches: batch i ends at the offsets `cuts[i]`, where batch i + 1 starts."""
    starts = [[0] * len(log), *cuts]
    return [
        [
            Slice(partition, low, list(log[partition][low:high]))
            for partition, (low, high) in enumerate(zip(first, last, strict=True))
            if high > low
        ]
        for first, last in pairwise([*starts, [len(part) for part in log]])
    ]


def same_float(value: float | None, other: float) -> bool:
    """Whether two values are equal as 32-bit floats; None stands for nan."""
    import numpy as np

    if value is None or math.isnan(value):
        return math.isnan(other)
    return bool(np.float32(value) == np.float32(other))
