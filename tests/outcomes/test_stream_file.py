"""What a file derived from streams promises: all or nothing, and offsets by stream."""

from pathlib import Path

import pytest

from flyball.core import StoreUnavailable
from flyball.outcomes.stream_file import STREAM_TABLES, StreamFile
from flyball.outcomes.tables import open_tables


class Sums(StreamFile):
    def __init__(self, path: Path) -> None:
        self._tables = open_tables(path, "sums")
        if not self._tables.format():
            self._tables.create(STREAM_TABLES, {}, 1)
        self._tables.execute("PRAGMA busy_timeout = 0")
        self.undone = 0

    def _undone(self) -> None:
        self.undone += 1


def test_offsets_are_kept_by_stream_and_partition(tmp_path: Path) -> None:
    file = Sums(tmp_path / "sums.db")
    file.put_offsets("events", (5, 7))
    file.put_offsets("predictions", (9,))
    file.put_offsets("events", (6, 7))
    assert (file.offsets("events"), file.offsets("predictions"), file.offsets("none")) == ({0: 6, 1: 7}, {0: 9}, {})


def write_and_fail(file: Sums) -> None:
    with file.transaction():
        file.put_offsets("events", (5,))
        file.put_pending({b"a": b"1"})
        _ = 1 / 0


def test_a_transaction_that_raises_changes_nothing_and_says_so(tmp_path: Path) -> None:
    file = Sums(tmp_path / "sums.db")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(file)
    assert (file.offsets("events"), file.read([b"a"]), file.undone) == ({}, ([None], ()), 1)
    with file.transaction():
        file.put_offsets("events", (5,))
    assert (file.offsets("events"), file.undone) == ({0: 5}, 1)


def test_a_locked_file_is_unavailable_and_says_what_is_in_it(tmp_path: Path) -> None:
    first, second = Sums(tmp_path / "sums.db"), Sums(tmp_path / "sums.db")
    with (
        first.transaction(),
        pytest.raises(StoreUnavailable, match="sums must be writable: .*locked"),
        second.transaction(),
    ):
        pass


def test_pending_events_are_read_scanned_in_order_and_dropped(tmp_path: Path) -> None:
    file = Sums(tmp_path / "sums.db")
    file.put_pending({b"b2": b"2", b"b1": b"1", b"c": b"3"})
    assert file.read([b"c", b"x", b"b1"])[0] == [b"3", None, b"1"]
    assert list(file.scan(b"b")) == [(b"b1", b"1"), (b"b2", b"2")]
    assert list(file.scan(b"b", 1)) == [(b"b1", b"1")]
    file.put_pending({b"b1": None})
    assert list(file.scan(b"b")) == [(b"b2", b"2")]
