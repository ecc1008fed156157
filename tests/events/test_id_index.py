"""The index of identities against a set."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyball.events import id_index
from flyball.events.sqlite import _SCRIPT

# few distinct bytes at both ends, so that prefixes and trailing NULs meet
ids = st.builds(
    lambda head, tail: head + b"\x00" * (16 - len(head) - len(tail)) + tail,
    st.binary(max_size=2),
    st.binary(max_size=2),
)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(_SCRIPT)
    yield connection
    connection.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(ids, min_size=1, max_size=40), max_size=25), page=st.sampled_from([1, 3, 512]))
def test_it_finds_exactly_what_was_added(batches: list[list[bytes]], page: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(id_index, "_PAGE", page)
        patch.setattr(id_index, "_FANOUT", 3)
        patch.setattr(id_index, "_FINAL", 100)
        connection = sqlite3.connect(":memory:")
        connection.executescript(_SCRIPT)
        held: set[bytes] = set()
        for batch in batches:
            array = id_index.as_ids(batch)
            order = array.argsort(kind="stable")
            repeats = set(id_index.repeats_within(array, order))
            assert repeats == {index for index, one in enumerate(batch) if one in batch[:index]}
            ranked = array[order]
            found = id_index.find(connection, ranked)
            assert found.tolist() == [one in held for one in sorted(batch)]
            fresh = [not old and index not in repeats for old, index in zip(found, order.tolist(), strict=True)]
            id_index.add(connection, ranked[fresh])
            held.update(batch)
        counts = [count for (count,) in connection.execute("SELECT count FROM id_runs")]
        assert sum(counts) == len(held)
        connection.close()


def test_runs_are_merged_so_that_few_remain(connection: sqlite3.Connection) -> None:
    for number in range(1_000):
        id_index.add(connection, id_index.as_ids([(number * 7919 % 1_000).to_bytes(16)]))
    (runs,) = connection.execute("SELECT count(*) FROM id_runs").fetchone()
    assert runs <= 3 * 16
    every = id_index.as_ids([number.to_bytes(16) for number in range(1_001)])
    assert id_index.find(connection, every).tolist() == [True] * 1_000 + [False]


def test_pages_of_merged_runs_are_not_left_behind(connection: sqlite3.Connection) -> None:
    for number in range(300):
        id_index.add(connection, id_index.as_ids([number.to_bytes(16)]))
    (stored,) = connection.execute("SELECT sum(length(ids)) FROM id_pages").fetchone()
    assert stored == 300 * 16
