"""The contract of every quarantine.

The test of a backend calls each function of `CHECKS` with a function that opens the same, at first empty quarantine.
"""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from flyball.core import NotFound, parse_url
from flyball.events import (
    Quarantine,
    Quarantined,
    RestorableQuarantine,
    Which,
    count_entries,
    drop,
    entries_between,
    entry_of,
)
from flyball.events.quarantine_memory import MemoryQuarantine

Open = Callable[[], Quarantine]

ALL_BYTES = bytes(range(256))


def entries_of(reasons: str, **fields: Any) -> list[Quarantined]:
    """One entry for each letter, which is its reason."""
    known: dict[str, Any] = {"at_us": 5, "detail": "d", "raw": b"\x00raw", "source": "s"} | fields
    return [
        Quarantined(**known, reason=reason, position=position, format="csv", header=b"a;b", only_type="buy", lag_us=7)
        for position, reason in enumerate(reasons, 1)
    ]


def check_what_is_put_is_listed_once(open_quarantine: Open) -> None:
    quarantine = open_quarantine()
    entries = entries_of("aba")
    assert quarantine.put(entries) == 3
    assert quarantine.put([*entries, entries[0]]) == 0
    assert quarantine.put([]) == 0
    assert quarantine.put(entries_of("a", raw=b"other")) == 1, "other bytes at the same position are another line"
    assert quarantine.put(entries_of("a", source="t")) == 1
    listed = quarantine.list()
    assert [(e.position, e.raw, e.source) for e in listed] == [
        (1, b"\x00raw", "s"),
        (2, b"\x00raw", "s"),
        (3, b"\x00raw", "s"),
        (1, b"other", "s"),
        (1, b"\x00raw", "t"),
    ]
    ids = [entry.id for entry in listed]
    assert ids == sorted(set(ids))
    assert [entry.id for entry in quarantine.list(reason="a")] == [ids[0], *ids[2:]]
    assert [entry.id for entry in quarantine.list(after=ids[0], limit=1)] == [ids[1]]
    first = listed[0]
    assert (first.header, first.only_type, first.lag_us, first.state) == (b"a;b", "buy", 7, "open")


def check_any_line_comes_back_to_the_byte(open_quarantine: Open) -> None:
    quarantine = open_quarantine()
    text = "a\0b ü 日本 \U0001f3ac %s ' \\"
    odd = Quarantined(2**62, "r", text, ALL_BYTES, text, 2**62, "csv", header=ALL_BYTES, lag_us=2**62)
    empty = Quarantined(-(2**62), "r", "", b"", "", 0, "csv")
    large = Quarantined(1, "r", "x" * 100_000, ALL_BYTES * 4_000, "s", 1, "csv")
    assert quarantine.put([odd, empty, large]) == 3
    fields = [(e.at_us, e.detail, e.raw, e.source, e.position, e.header, e.lag_us) for e in quarantine.list()]
    assert fields == [(e.at_us, e.detail, e.raw, e.source, e.position, e.header, e.lag_us) for e in (odd, empty, large)]


def check_an_entry_is_found_by_its_id_in_any_state(open_quarantine: Open) -> None:
    quarantine = open_quarantine()
    quarantine.put(entries_of("ab"))
    quarantine.mark([2], "released")
    assert (entry_of(quarantine, 2).reason, entry_of(quarantine, 2).state) == ("b", "released")
    for missing in (0, 3, 99):
        with pytest.raises(NotFound):
            entry_of(quarantine, missing)


def check_what_is_released_stays_and_what_is_dropped_goes(open_quarantine: Open) -> None:
    quarantine = open_quarantine()
    quarantine.put(entries_of("aaab"))
    quarantine.mark([1], "released")
    assert quarantine.counts() == {"a": 2, "b": 1}
    assert drop(quarantine, Which(reason="a")) == 2
    assert quarantine.counts() == {"b": 1}
    assert [(entry.id, entry.state) for entry in quarantine.list(state=None)] == [(1, "released"), (4, "open")]
    assert quarantine.put(entries_of("aaab")) == 2, "what was dropped may come in again, with new ids"
    new = [entry.id for entry in quarantine.list()]
    assert new[0] == 4
    assert min(new[1:]) > 4
    assert drop(quarantine, Which(ids=(4, 1))) == 1, "only open entries are dropped"
    with pytest.raises(NotFound):
        drop(quarantine, Which(ids=(4,)))


def check_what_is_dropped_is_chosen_by_reason_source_and_time(open_quarantine: Open) -> None:
    quarantine = open_quarantine()
    plain = entries_of("aabb")
    entries = [
        msgspec.structs.replace(entry, source=source, at_us=at_us)
        for entry, source, at_us in zip(
            plain, ("/in/x.csv", "/in/y.csv", "/in/x.csv", "http"), (1, 2, 3, 4), strict=True
        )
    ]
    quarantine.put(entries)
    assert count_entries(quarantine, Which()) == {
        ("a", "/in/x.csv"): 1,
        ("a", "/in/y.csv"): 1,
        ("b", "/in/x.csv"): 1,
        ("b", "http"): 1,
    }
    assert count_entries(quarantine, Which(source="x.csv", before_us=3)) == {("a", "/in/x.csv"): 1}
    assert drop(quarantine, Which(reason="b", source="x.csv")) == 1
    assert drop(quarantine, Which(before_us=2)) == 1
    assert drop(quarantine, Which()) == 2
    assert quarantine.counts() == {}


def check_many_are_dropped_page_by_page(open_quarantine: Open) -> None:
    quarantine = open_quarantine()
    quarantine.put(entries_of("a" * 12_001))
    assert drop(quarantine, Which()) == 12_001
    assert quarantine.list(state=None) == []


def check_it_does_as_the_one_in_memory_does(open_quarantine: Open) -> None:
    quarantine, memory, chance = open_quarantine(), MemoryQuarantine(parse_url("memory://")), random.Random(7)
    for _ in range(30):
        lines = [
            Quarantined(
                1, chance.choice("BaäZ"), "d", chance.choice([b"x", b"y", b""]), "s", chance.randrange(9), "csv"
            )
            for _ in range(chance.randrange(6))
        ]
        marked, state = chance.randrange(30), chance.choice(("released", "dropped", "open"))
        views = []
        for store in (quarantine, memory):
            added = store.put(lines)
            listed = store.list(state=None)
            store.mark([listed[marked].id] if marked < len(listed) else [], state)  # type: ignore[arg-type]
            view = [(e.source, e.position, e.raw, e.reason, e.state) for e in store.list(state=None)]
            views.append((added, view, list(store.counts().items())))
        assert views[0] == views[1]


def check_the_entries_of_a_time_are_found_among_many(open_quarantine: Open) -> None:
    quarantine = open_quarantine()
    lines = entries_of("a" * 6_000)
    quarantine.put([Quarantined(e.position, e.reason, e.detail, e.raw, e.source, e.position, e.format) for e in lines])
    assert [entry.at_us for entry in entries_between(quarantine, 5_100, 5_103)] == [5_100, 5_101, 5_102]


def check_what_was_written_is_found_again(open_quarantine: Open) -> None:
    quarantine = open_quarantine()
    quarantine.put(entries_of("ab"))
    quarantine.close()
    again = open_quarantine()
    assert again.counts() == {"a": 1, "b": 1}
    assert quarantine.put(entries_of("abc")) == 1, "a closed store opens again when it is used"
    assert again.counts() == {"a": 1, "b": 1, "c": 1}


def check_a_copy_has_the_ids_and_states_of_the_first_one(open_quarantine: Open) -> None:
    first, copy = MemoryQuarantine(parse_url("memory://")), open_quarantine()
    assert isinstance(copy, RestorableQuarantine)
    first.put(entries_of("aabbcc"))
    first.mark([2], "released")
    first.mark([3, 6], "dropped")
    entries = first.list(state=None)
    copy.restore(0, 4, entries[:3])
    copy.restore(4, 99, entries[3:])
    assert copy.list(state=None) == entries
    first.mark([1], "dropped")
    first.mark([4], "released")
    copy.restore(0, 99, first.list(state=None))
    assert copy.list(state=None) == first.list(state=None)
    assert copy.put(entries_of("aabb")) == 2, "what was dropped may come in again"
    assert min(entry.id for entry in copy.list(state=None)[3:]) > 5


CHECKS: dict[str, Callable[[Open], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_a_copy_has_the_ids_and_states_of_the_first_one,
        check_what_is_put_is_listed_once,
        check_any_line_comes_back_to_the_byte,
        check_an_entry_is_found_by_its_id_in_any_state,
        check_what_is_released_stays_and_what_is_dropped_goes,
        check_what_is_dropped_is_chosen_by_reason_source_and_time,
        check_many_are_dropped_page_by_page,
        check_it_does_as_the_one_in_memory_does,
        check_the_entries_of_a_time_are_found_among_many,
        check_what_was_written_is_found_again,
    )
}
