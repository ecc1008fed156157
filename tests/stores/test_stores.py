"""Every store of the table keeps the contract."""

import itertools
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flyball.core import BadSetting, UnknownBackend, parse_url
from flyball.stores import STATE_BACKENDS, Replaceable, StateStore, open_state
from flyball.stores.lmdb import LmdbStore
from flyball.stores.store import key_of
from flyball.testing.state_contract import CHECKS

EXEMPT = {
    "memory": {
        "what_was_written_is_found_again": "it is gone with its owner by design",
        "it_grows_far_beyond_its_first_size": "two openings are two stores; it has no first size",
    }
}

ELSEWHERE = {"redis": "tests/live/test_redis_store.py"}
"""Backends whose contract another file holds, since they need a server."""


def opener(backend: str, folder: Path) -> Callable[[], StateStore]:
    urls = {"memory": "memory://", "lmdb": f"lmdb://{folder}/state?map_mb=1&sync=0"}
    return lambda: open_state(urls[backend])


@pytest.mark.parametrize(
    ("backend", "check"), list(itertools.product(sorted(STATE_BACKENDS.keys() - ELSEWHERE.keys()), CHECKS))
)
def test_contract(backend: str, check: str, tmp_path: Path) -> None:
    if check in EXEMPT.get(backend, {}):
        assert EXEMPT[backend][check]
        return
    CHECKS[check](opener(backend, tmp_path))


def test_all_but_the_named_exemptions_were_covered() -> None:
    assert len(CHECKS) >= 6
    assert all("CHECKS" in Path(file).read_text() for file in ELSEWHERE.values())
    assert all(name in CHECKS for names in EXEMPT.values() for name in names)


def test_keys_of_different_parts_differ_and_fit_every_store() -> None:
    long = "x" * 120
    parts = [
        ("a", "b"),
        ("a\0b", ""),
        ("a", "b\0"),
        ("", "a\0b"),
        ("", "ab"),
        ("ab", ""),
        ("é", "b"),
        (long, long),
        (long, "x" * 119),
    ]
    parts += [("x" * 201, "a"), ("x" * 202, "a"), ("é" * 100, "a"), ("é" * 101, "a"), ("日" * 133, "日" * 133)]
    keys = [key_of(b"w/", *pair) for pair in parts]
    assert len(set(keys)) == len(parts)
    assert max(map(len, keys)) <= 511
    for user, item in parts:
        assert key_of(b"w/", user, item).startswith(key_of(b"w/", user, ""))


def test_an_unknown_store_names_the_known_ones() -> None:
    with pytest.raises(UnknownBackend, match="lmdb://, memory://, redis://"):
        open_state("pickle:///x")


def test_lmdb_needs_a_folder() -> None:
    with pytest.raises(BadSetting):
        open_state("lmdb://")


_FORK = """
import os, sys
from flyball.stores import open_state
store = open_state(sys.argv[1])
store.write({b"a": b"1"}, (1,))
child = os.fork()
if child == 0:
    code = 1
    try:
        code = 0 if store.read([b"a"]) == ([b"1"], (1,)) else 2
        store.write({b"a": b"2"}, (2,))
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
(value,), offsets = store.read([b"a"])
assert offsets == (2,)
store.write({b"a": value}, (3,))
print(value, store.offsets())
"""


def test_lmdb_opened_before_a_fork_serves_both_sides(tmp_path: Path) -> None:
    # in a process of its own: forking this one, which has threads, may leave the child with a lock nobody gives back
    command = [sys.executable, "-c", _FORK, f"lmdb://{tmp_path}/state?sync=0"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == "b'2' (3,)\n"


WRITER = """
import sys
from flyball.stores import open_state
store = open_state(sys.argv[1])
count = 0
while True:
    count += 1
    store.write({b"%d" % index: b"%d" % count * 2000 for index in range(40)}, (count,))
    print(count, flush=True)
"""


def test_a_writer_killed_at_any_time_leaves_a_whole_state(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/state?map_mb=1"
    reader = open_state(url)
    for wait_s in (0.0, 0.011, 0.023):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        message = int(writer.stdout.readline())
        pause = threading.Event()
        pause.wait(wait_s)
        writer.send_signal(signal.SIGKILL)
        message = int((writer.stdout.read().split() or [message])[-1])
        writer.stdout.close()
        writer.wait()
        values, offsets = reader.read([b"%d" % index for index in range(40)])
        assert offsets[0] >= message
        assert values == [b"%d" % offsets[0] * 2000] * 40
        reader.close()
        shutil.rmtree(tmp_path / "state")
        reader = open_state(url)


def test_reading_one_value_costs_the_same_however_many_there_are(tmp_path: Path) -> None:
    """By the thread's own processor time, which other work on the machine does not count in; about 5 us a read."""
    costs = []
    for values in (10, 20_000):
        store = open_state(f"lmdb://{tmp_path}/state-{values}?sync=0")
        store.write({b"u/%d" % index: bytes(100) for index in range(values)}, (1, 2, 3, 4))
        tries = []
        for _ in range(5):
            start = time.thread_time()
            for index in range(1_000):
                store.read([b"u/%d" % (index % values)])
            tries.append(time.thread_time() - start)
        costs.append(min(tries))
        store.close()
    assert costs[1] < 20 * costs[0]  # a scan would cost two thousand times as much


def test_a_replaced_store_is_read_by_all_who_have_it_open_and_leaves_no_bytes(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/state?map_mb=1"
    writer, reader = open_state(url), LmdbStore(parse_url(url))
    code = (
        "import sys; from flyball.stores import open_state; store = open_state(sys.argv[1])\n"
        "for _ in sys.stdin: print(store.read([b'user']), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def seen_elsewhere() -> str:
            other.stdin.write("\n")  # type: ignore[union-attr]
            other.stdin.flush()  # type: ignore[union-attr]
            return other.stdout.readline().strip()  # type: ignore[union-attr]

        writer.write({b"user": b"the-person-of-42"}, (3,))
        assert reader.read([b"user"]) == ([b"the-person-of-42"], (3,))
        assert seen_elsewhere() == "([b'the-person-of-42'], (3,))"
        for offset in (4, 5):
            assert isinstance(writer, Replaceable)
            beside = writer.beside()
            built = open_state(beside)
            built.write({b"user": b"nobody-%d" % offset}, (offset,))
            built.close()
            assert reader.offsets() == (offset - 1,)
            writer.replace(beside)
            for store in (writer, reader, open_state(url)):
                assert store.read([b"user"]) == ([b"nobody-%d" % offset], (offset,))
            assert seen_elsewhere() == f"([b'nobody-{offset}'], ({offset},))"
            content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
            assert b"the-person-of-42" not in content
            assert len(list(tmp_path.rglob("data.mdb"))) == 1
        other.stdin.close()


def test_a_store_that_was_begun_beside_and_never_took_the_place_changes_nothing(tmp_path: Path) -> None:
    store = LmdbStore(parse_url(f"lmdb://{tmp_path}/state?map_mb=1"))
    store.write({b"a": b"1"}, (1,))
    open_state(store.beside()).write({b"b": b"2"}, (9,))
    assert store.read([b"a"]) == ([b"1"], (1,))
    beside = store.beside()
    open_state(beside).write({b"c": b"3"}, (2,))
    store.replace(beside)
    assert store.read([b"a", b"b", b"c"]) == ([None, None, b"3"], (2,))
