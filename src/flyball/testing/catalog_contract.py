"""The contract of every store of known entities.

The test of a backend calls each function of `CHECKS` with a function that opens the same, at first empty store; what
another handle wrote is seen by all, unless the backend is exempt.
"""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flyball.core import parse_url
from flyball.events import KnownEntities, ReplaceableEntities
from flyball.events.known_entities_memory import MemoryKnownEntities

Open = Callable[[], KnownEntities]

ODD_KEYS = ("", "\0", "a\0b", "ü", "\U0001f3ac", " ", "%s", "'", "\\", "x" * 2_000)


def check_entities_are_numbered_as_they_become_known(open_entities: Open) -> None:
    entities = open_entities()
    assert entities.since(0) == []
    entities.add({("user", "7"): False, ("film", "up"): True}, None)
    entities.add({("film", "up"): True, ("user", "8"): False}, None)
    numbered = entities.since(0)
    assert [name for _, *name in numbered] == [["user", "7"], ["film", "up"], ["user", "8"]]
    numbers = [number for number, *_ in numbered]
    assert numbers == sorted(set(numbers))
    assert entities.since(numbers[1]) == numbered[2:]


def check_a_profile_counts_once_it_came(open_entities: Open) -> None:
    entities = open_entities()
    entities.add({("user", "7"): False}, None)
    known = entities.has("user", False), entities.has("user", True), entities.has("film", False)
    assert known == (True, False, False)
    entities.add({("user", "7"): True}, None)
    entities.add({("user", "7"): False}, None)
    assert entities.has("user", True)


def check_all_can_be_replaced_and_who_reads_on_gets_all(open_entities: Open) -> None:
    entities = open_entities()
    entities.add({("user", "7"): True, ("user", "8"): False, ("film", "up"): True}, (3, 5))
    last = max(number for number, *_ in entities.since(0))
    assert isinstance(entities, ReplaceableEntities)
    entities.replace({("user", "8"): True, ("film", "it"): False}, (3, 4))
    assert [name for _, *name in entities.since(last)] == [["user", "8"], ["film", "it"]]
    assert entities.since(0) == entities.since(last)
    assert (entities.offsets(2), entities.has("user", True), entities.has("film", True)) == ((3, 4), True, False)


def check_offsets_only_rise(open_entities: Open) -> None:
    entities = open_entities()
    assert entities.offsets(2) == (0, 0)
    entities.add({}, (3, 5))
    entities.add({}, (4, 1))
    entities.add({("user", "7"): False}, None)
    assert entities.offsets(2) == (4, 5)
    assert entities.offsets(3) == (4, 5, 0)
    entities.add({}, (2**40, 5))
    assert entities.offsets(1) == (2**40,)


def check_any_text_is_a_key(open_entities: Open) -> None:
    entities = open_entities()
    entities.add({("user", key): False for key in ODD_KEYS}, None)
    entities.add({("user", key): False for key in ODD_KEYS}, None)
    assert [key for _, _, key in entities.since(0)] == list(ODD_KEYS)


def check_many_are_added_at_once(open_entities: Open) -> None:
    entities = open_entities()
    keys = [f"{number:06d}" for number in random.Random(3).sample(range(10**6), 12_001)]
    entities.add({("user", key): False for key in keys}, (1,))
    assert [key for _, _, key in entities.since(0)] == keys


def check_it_does_as_the_one_in_memory_does(open_entities: Open) -> None:
    entities, memory, chance = open_entities(), MemoryKnownEntities(parse_url("memory://")), random.Random(5)
    for _ in range(40):
        names = [(chance.choice(("user", "film")), chance.choice("abcdef")) for _ in range(chance.randrange(4))]
        known = {name: chance.random() < 0.3 for name in names}
        offsets = (chance.randrange(9), chance.randrange(9)) if chance.random() < 0.5 else None
        views = []
        for store in (entities, memory):
            store.add(known, offsets)
            has = [store.has(entity, profiled) for entity in ("user", "film") for profiled in (False, True)]
            views.append(([name for _, *name in store.since(0)], has, store.offsets(2)))
        assert views[0] == views[1]


def check_what_was_written_is_found_again(open_entities: Open) -> None:
    entities = open_entities()
    entities.add({("user", "7"): True}, (4,))
    entities.close()
    again = open_entities()
    assert ([name for _, *name in again.since(0)], again.offsets(1)) == ([["user", "7"]], (4,))
    entities.add({("user", "8"): True}, None)
    assert len(again.since(0)) == 2, "a closed store opens again when it is used"


def check_a_reader_misses_nothing_while_others_write(open_entities: Open) -> None:
    """A number that is given is not seen later than a higher one."""
    done = threading.Event()

    def write(writer: int) -> None:
        own = open_entities()
        for number in range(25):
            own.add({("user", f"{writer}/{number}"): False}, None)

    def read() -> list[str]:
        own, seen, last, ending = open_entities(), list[str](), 0, False
        while not ending:
            ending = done.is_set()
            for number, _, key in own.since(last):
                seen.append(key)
                last = number
        return seen

    with ThreadPoolExecutor(4) as threads:
        reader = threads.submit(read)
        try:
            list(threads.map(write, range(3)))
        finally:
            done.set()
        assert sorted(reader.result()) == sorted(f"{writer}/{number}" for writer in range(3) for number in range(25))


CHECKS: dict[str, Callable[[Open], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_entities_are_numbered_as_they_become_known,
        check_a_profile_counts_once_it_came,
        check_all_can_be_replaced_and_who_reads_on_gets_all,
        check_offsets_only_rise,
        check_any_text_is_a_key,
        check_many_are_added_at_once,
        check_it_does_as_the_one_in_memory_does,
        check_what_was_written_is_found_again,
        check_a_reader_misses_nothing_while_others_write,
    )
}
