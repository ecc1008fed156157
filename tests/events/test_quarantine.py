"""Every quarantine backend keeps the same promises."""

import itertools
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flyball.core import UnknownBackend
from flyball.events import QUARANTINE_BACKENDS, Quarantine, entries_between, open_quarantine
from flyball.testing.quarantine_contract import CHECKS, entries_of

URLS = {"sqlite": "sqlite://{folder}/quarantine.db", "memory": "memory://"}
ELSEWHERE = {"postgresql": "tests/live/test_postgres_catalog.py"}
"""Backends whose contract another file holds, since they need a server."""

EXEMPT = {"memory": {"what_was_written_is_found_again": "it is gone with its owner by design"}}


@pytest.mark.parametrize(("backend", "check"), list(itertools.product(URLS, CHECKS)))
def test_contract(backend: str, check: str, tmp_path: Path) -> None:
    if check in EXEMPT.get(backend, {}):
        assert EXEMPT[backend][check]
        return
    CHECKS[check](lambda: open_quarantine(URLS[backend].format(folder=tmp_path)))


def test_every_backend_is_covered() -> None:
    assert {*URLS, *ELSEWHERE} == set(QUARANTINE_BACKENDS)
    assert all("CHECKS" in Path(file).read_text() for file in ELSEWHERE.values())
    assert all(name in CHECKS for names in EXEMPT.values() for name in names)
    words = "quarantine URL must start with one of memory://, postgresql://, sqlite://, got pg://"
    with pytest.raises(UnknownBackend, match=words):
        open_quarantine("pg://host/db")


@pytest.fixture(params=sorted(URLS))
def quarantine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Quarantine]:
    opened = open_quarantine(URLS[request.param].format(folder=tmp_path))
    yield opened
    opened.close()


@settings(max_examples=60, deadline=None)
@given(
    waits=st.lists(st.integers(0, 4), max_size=40),
    dropped=st.sets(st.integers(1, 40)),
    since_us=st.integers(-1, 90),
    length_us=st.integers(0, 90),
)
def test_the_entries_of_a_time_are_those_that_a_scan_finds(
    waits: list[int], dropped: set[int], since_us: int, length_us: int
) -> None:
    memory, times = open_quarantine("memory://"), list(accumulate(waits))
    memory.put([replace(entry, at_us=at_us) for entry, at_us in zip(entries_of("a" * len(times)), times, strict=True)])
    ids = [entry.id for entry in memory.list(state=None)]
    memory.mark([id for id in ids if id in dropped], "dropped")
    scanned = [e for e in memory.list(state=None) if since_us <= e.at_us < since_us + length_us]
    assert list(entries_between(memory, since_us, since_us + length_us)) == scanned


def test_finding_the_entries_of_a_time_reads_few_others(
    quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine.put([replace(entry, at_us=entry.position) for entry in entries_of("a" * 12_000)])
    calls, listed = list[int](), quarantine.list
    monkeypatch.setattr(quarantine, "list", lambda **kind: calls.append(kind["limit"]) or listed(**kind))
    assert [entry.at_us for entry in entries_between(quarantine, 11_000, 11_003)] == [11_000, 11_001, 11_002]
    assert calls.count(1) == len(calls) - 1 < 40
