"""Every backend of the entity catalog keeps the same promises."""

import itertools
from pathlib import Path

import pytest

from flyball.core import UnknownBackend
from flyball.events import CATALOG_BACKENDS, open_known_entities
from flyball.testing.catalog_contract import CHECKS

URLS = {"sqlite": "sqlite://{folder}/catalog.db", "memory": "memory://"}
ELSEWHERE = {"postgresql": "tests/live/test_postgres_catalog.py"}
"""Backends whose contract another file holds, since they need a server."""

EXEMPT = {
    "memory": {
        "what_was_written_is_found_again": "it is gone with its owner by design",
        "a_reader_misses_nothing_while_others_write": "two openings are two stores",
    }
}


@pytest.mark.parametrize(("backend", "check"), list(itertools.product(URLS, CHECKS)))
def test_contract(backend: str, check: str, tmp_path: Path) -> None:
    if check in EXEMPT.get(backend, {}):
        assert EXEMPT[backend][check]
        return
    CHECKS[check](lambda: open_known_entities(URLS[backend].format(folder=tmp_path)))


def test_every_backend_is_covered() -> None:
    assert {*URLS, *ELSEWHERE} == set(CATALOG_BACKENDS)
    assert all("CHECKS" in Path(file).read_text() for file in ELSEWHERE.values())
    assert all(name in CHECKS for names in EXEMPT.values() for name in names)
    words = "catalog URL must start with one of memory://, postgresql://, sqlite://, got pg://"
    with pytest.raises(UnknownBackend, match=words):
        open_known_entities("pg://host/db")
