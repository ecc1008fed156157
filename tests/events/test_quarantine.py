"""Every quarantine backend keeps the same promises."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import NotFound, UnknownBackend
from flyball.events import QUARANTINE_BACKENDS, Quarantine, Quarantined, drop, entry_of, open_quarantine

URLS = {"sqlite": "sqlite://{folder}/quarantine.db", "memory": "memory://"}
_FOLDERS = count()


def test_every_backend_is_covered() -> None:
    assert set(URLS) == set(QUARANTINE_BACKENDS)
    with pytest.raises(UnknownBackend, match="quarantine URL must start with one of memory://, sqlite://, got pg://"):
        open_quarantine("pg://host/db")


@pytest.fixture(params=sorted(URLS))
def quarantine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Quarantine]:
    opened = open_quarantine(URLS[request.param].format(folder=tmp_path))
    yield opened
    opened.close()


def entries(reasons: str, **other: Any) -> list[Quarantined]:
    return [
        Quarantined(
            **{"at_us": 5, "reason": reason, "detail": "d", "raw": b"\x00raw", "source": "s"} | other,
            position=position,
            format="csv",
            header=b"a;b",
            only_type="buy",
            lag_us=7,
        )
        for position, reason in enumerate(reasons, 1)
    ]


def test_what_is_put_is_listed_once(quarantine: Quarantine) -> None:
    put = entries("aba")
    assert quarantine.put(put) == 3
    assert quarantine.put([*put, put[0]]) == 0
    assert quarantine.put([]) == 0
    assert quarantine.put(entries("a", raw=b"other")) == 1, "other bytes at the same position are another line"
    assert quarantine.put(entries("a", source="t")) == 1
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


def test_an_entry_is_found_by_its_id_in_any_state(quarantine: Quarantine) -> None:
    quarantine.put(entries("ab"))
    quarantine.mark([2], "released")
    assert (entry_of(quarantine, 2).reason, entry_of(quarantine, 2).state) == ("b", "released")
    for missing in (0, 3, 99):
        with pytest.raises(NotFound):
            entry_of(quarantine, missing)


def test_what_is_released_stays_and_what_is_dropped_goes(quarantine: Quarantine) -> None:
    quarantine.put(entries("aaab"))
    quarantine.mark([1], "released")
    assert quarantine.counts() == {"a": 2, "b": 1}
    assert drop(quarantine, reason="a") == 2
    assert quarantine.counts() == {"b": 1}
    assert [(entry.id, entry.state) for entry in quarantine.list(state=None)] == [(1, "released"), (4, "open")]
    assert quarantine.put(entries("aaab")) == 2, "what was dropped may come in again, with new ids"
    new = [entry.id for entry in quarantine.list()]
    assert new[0] == 4
    assert min(new[1:]) > 4
    assert drop(quarantine, ids=[4, 1]) == 1, "only open entries are dropped"
    with pytest.raises(NotFound):
        drop(quarantine, ids=[4])


def test_many_are_dropped_page_by_page(quarantine: Quarantine) -> None:
    quarantine.put(entries("a" * 12_001))
    assert drop(quarantine) == 12_001
    assert quarantine.list(state=None) == []


@settings(max_examples=30, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from("st"), st.integers(1, 3), st.sampled_from([b"x", b"y", b""])), max_size=6),
        max_size=5,
    )
)
def test_backends_agree(batches: list[list[tuple[str, int, bytes]]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("quarantine")
    opened = [open_quarantine(url.format(folder=folder)) for url in URLS.values()]
    for batch in batches:
        put = [Quarantined(1, "r", "d", raw, source, position, "csv") for source, position, raw in batch]
        assert len({quarantine.put(put) for quarantine in opened}) == 1
    first, second = ([(e.source, e.position, e.raw) for e in quarantine.list()] for quarantine in opened)
    assert first == second == list(dict.fromkeys(line for batch in batches for line in batch))
    for quarantine in opened:
        quarantine.close()
