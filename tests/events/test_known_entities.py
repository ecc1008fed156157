"""Every backend of the entity catalog keeps the same promises."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import UnknownBackend
from flyball.events import CATALOG_BACKENDS, KnownEntities, open_known_entities

URLS = {"sqlite": "sqlite://{folder}/catalog.db", "memory": "memory://"}


def test_every_backend_is_covered() -> None:
    assert set(URLS) == set(CATALOG_BACKENDS)
    with pytest.raises(UnknownBackend, match="catalog URL must start with one of memory://, sqlite://, got pg://"):
        open_known_entities("pg://host/db")


@pytest.fixture(params=sorted(URLS))
def entities(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KnownEntities]:
    opened = open_known_entities(URLS[request.param].format(folder=tmp_path))
    yield opened
    opened.close()


def test_entities_are_numbered_as_they_become_known(entities: KnownEntities) -> None:
    assert entities.since(0) == []
    entities.add({("user", "7"): False, ("film", "up"): True}, None)
    entities.add({("film", "up"): True, ("user", "8"): False}, None)
    numbered = entities.since(0)
    assert [name for _, *name in numbered] == [["user", "7"], ["film", "up"], ["user", "8"]]
    numbers = [number for number, *_ in numbered]
    assert numbers == sorted(set(numbers))
    assert entities.since(numbers[1]) == numbered[2:]


def test_a_profile_counts_once_it_came(entities: KnownEntities) -> None:
    entities.add({("user", "7"): False}, None)
    assert (entities.has("user", False), entities.has("user", True), entities.has("film", False)) == (
        True,
        False,
        False,
    )
    entities.add({("user", "7"): True}, None)
    entities.add({("user", "7"): False}, None)
    assert entities.has("user", True)


def test_offsets_only_rise(entities: KnownEntities) -> None:
    assert entities.offsets(2) == (0, 0)
    entities.add({}, (3, 5))
    entities.add({}, (4, 1))
    entities.add({("user", "7"): False}, None)
    assert entities.offsets(2) == (4, 5)
    assert entities.offsets(3) == (4, 5, 0)


NAMES = st.tuples(st.sampled_from(["user", "film"]), st.sampled_from("abc"))
OFFSETS = st.none() | st.tuples(st.integers(0, 5), st.integers(0, 5))
ADDS = st.lists(st.tuples(st.dictionaries(NAMES, st.booleans()), OFFSETS), max_size=6)


@settings(max_examples=30, deadline=None)
@given(adds=ADDS)
def test_backends_agree(
    adds: list[tuple[dict[tuple[str, str], bool], tuple[int, int] | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("catalog")
    opened = [open_known_entities(url.format(folder=folder)) for url in URLS.values()]
    for known, offsets in adds:
        for entities in opened:
            entities.add(known, offsets)
    views = [
        (
            [name for _, *name in entities.since(0)],
            [entities.has(kind, profiled) for kind in ("user", "film") for profiled in (False, True)],
            entities.offsets(2),
        )
        for entities in opened
    ]
    assert views[0] == views[1]
    for entities in opened:
        entities.close()
