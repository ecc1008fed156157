"""Behind a slow, stuck or cut link each call ends within its deadline, and nothing is lost or there twice after it."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.processes import succeeds
from tests.slow_link import SlowLink

from flyball.core import StoreUnavailable
from flyball.events import Quarantined, open_quarantine
from flyball.files import open_files
from flyball.registry import Registry, begin_run
from flyball.stores import open_state

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "")
REDIS = os.environ.get("TEST_REDIS_URL", "")
OBJECTS = os.environ.get("TEST_OBJECTS_ENDPOINT", "")
TIMEOUT_MS = 1_500
WITHIN_S = 20.0
"""An object store is asked three times, each for `timeout_ms`, with pauses; the machine may be loaded."""

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not (POSTGRES and REDIS and OBJECTS), reason="no TEST_OBJECTS_ENDPOINT and other servers"),
]

Write = Callable[[int], object]
Stored = Callable[[], list[int]]
_names = (f"slow_{os.urandom(6).hex()}_{number}" for number in count())


def of_registry(port: int, folder: Path) -> tuple[Write, Stored]:
    registry = Registry(_postgres(port))
    return lambda number: begin_run(registry, "shop", number, number), lambda: [run.as_of_us for run in registry.runs()]


def of_quarantine(port: int, folder: Path) -> tuple[Write, Stored]:
    quarantine = open_quarantine(_postgres(port))
    return (
        lambda number: quarantine.put([Quarantined(1, "r", "d", b"x", "s", number, "csv")]),
        lambda: [entry.position for entry in quarantine.list(limit=1_000)],
    )


def of_state(port: int, folder: Path) -> tuple[Write, Stored]:
    parts = urlsplit(REDIS)
    store = open_state(f"redis://127.0.0.1:{port}{parts.path}?name={next(_names)}&timeout_ms={TIMEOUT_MS}")
    return (
        lambda number: store.write({b"%09d" % number: b"x"}, (number,)),
        lambda: [int(key) for key, _ in store.scan(b"0")],
    )


def of_files(port: int, folder: Path) -> tuple[Write, Stored]:
    url = f"s3://flyball/{next(_names)}?endpoint=http://127.0.0.1:{port}&timeout_ms={TIMEOUT_MS}"
    files = open_files("history", url, folder / "cache")
    return (
        lambda number: files.write(f"parts/{number}", b"x"),
        lambda: [int(info.name.rpartition("/")[2]) for info in files.names()],
    )


def _postgres(port: int) -> str:
    parts = urlsplit(POSTGRES)
    login = f"{parts.username}@" if parts.username else ""
    return f"postgresql://{login}127.0.0.1:{port}{parts.path}?schema={next(_names)}&timeout_ms={TIMEOUT_MS}"


SERVERS = {"registry": POSTGRES, "quarantine": POSTGRES, "state": REDIS, "files": OBJECTS}
KINDS = {"registry": of_registry, "quarantine": of_quarantine, "state": of_state, "files": of_files}
REPEATABLE = ("quarantine", "state", "files")
"""Stores to which a call that was given up may be repeated."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def link(kind: str) -> Iterator[SlowLink]:
    parts = urlsplit(SERVERS[kind])
    link = SlowLink(parts.hostname or "127.0.0.1", parts.port or 0)
    yield link
    link.close()


def test_each_call_ends_in_time_and_nothing_is_lost_or_doubled(kind: str, link: SlowLink, tmp_path: Path) -> None:
    write, stored = KINDS[kind](link.port, tmp_path)
    write(1)
    link.mode = "slow"
    write(2)
    link.mode = "stuck"
    for number in (3, 4):
        began_s = time.monotonic()
        with pytest.raises(StoreUnavailable):
            write(number)
        assert time.monotonic() - began_s < WITHIN_S
    link.mode = "fast"
    succeeds(lambda: write(5), StoreUnavailable)  # the first may still meet a connection of before
    link.cut()
    succeeds(lambda: write(6), StoreUnavailable)
    if kind in REPEATABLE:
        write(3)
        write(4)
    counts = Counter(stored())
    assert [counts[number] for number in (1, 2)] == [1, 1]
    assert min(counts[5], counts[6]) >= 1
    assert not set(counts) - set(range(1, 7))
    if kind in REPEATABLE:
        assert counts == Counter(range(1, 7))
