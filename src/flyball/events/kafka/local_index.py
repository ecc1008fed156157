"""The ids in a topic, in a file of this machine: which messages are duplicates, and which records are new.

Within a partition the first message with an id counts. So the index is a function of the topic: every machine builds
the same one, any process brings it up to date, and where the file is missing it is built from the topic again. Its
position is stored with its ids in one transaction.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from flyball.core import BadSetting, SqliteFile
from flyball.events import id_index
from flyball.events.client_ids import HALF, repeats_among
from flyball.events.kafka.options import MOST_PARTITIONS
from flyball.events.log import Record

_SCRIPT = """
CREATE TABLE IF NOT EXISTS positions(part INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS duplicates(part INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(part, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS id_runs(
    run INTEGER PRIMARY KEY AUTOINCREMENT, count INTEGER NOT NULL, low BLOB NOT NULL, high BLOB NOT NULL,
    fences BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS id_runs_range ON id_runs(high, low);
CREATE INDEX IF NOT EXISTS id_runs_count ON id_runs(count);
CREATE TABLE IF NOT EXISTS id_pages(position INTEGER PRIMARY KEY, ids BLOB NOT NULL)
"""


class LocalIndex:
    """The index of one topic; threads and processes share the file."""

    def __init__(self, folder: Path, name: str, busy_s: float) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadSetting(
                f"option index of kafka:// must be a folder that may be written, got {folder}: {error.strerror}"
            ) from None
        path = folder / f"{name}.db"
        self._file = SqliteFile(path, _SCRIPT, busy_s, format=1, remedy="delete it: it is built again", durable=False)

    @contextmanager
    def changing(self) -> "Iterator[IndexChange]":
        """The only change under way on this machine; kept when the block ends without an error."""
        with self._file.writing() as connection:
            yield IndexChange(connection)

    def positions(self) -> dict[int, int]:
        """{partition: the offset up to which messages are indexed}."""
        with self._file.reading() as connection:
            return _positions(connection)

    def duplicates(self, part: int, start: int, end: int) -> frozenset[int]:
        """The offsets in [start, end) whose messages are duplicates."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT at FROM duplicates WHERE part = ? AND at >= ? AND at < ?", (part, start, end)
            ).fetchall()
        return frozenset(at for (at,) in rows)

    def close(self) -> None:
        self._file.close()


def discard_index(folder: Path, name: str) -> None:
    """Delete the index of a topic that is no more, which holds digests of what was removed."""
    for end in ("", "-wal", "-shm"):
        (folder / f"{name}.db{end}").unlink(missing_ok=True)


class IndexChange:
    """A change of the index, inside its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def positions(self) -> dict[int, int]:
        return _positions(self._connection)

    def known(self, ids: Sequence[bytes], parts: Sequence[int]) -> list[int]:
        """The indices of ids that the index holds, and of those that occurred at a lower index."""
        keys = _keys(ids, parts)
        order = keys.argsort(kind="stable")
        repeats = set(id_index.repeats_within(keys, order))
        repeats.update(order[id_index.find(self._connection, keys[order])].tolist())
        return sorted(repeats)

    def repeats(self, records: Sequence[Record], parts: Sequence[int]) -> tuple[list[int], list[int]]:
        """The indices of records that are duplicates, and of conflicts (`client_ids`), in any partition."""
        clients = [record.client_id for record in records if record.client_id]
        if not clients:
            return self.known([record.id for record in records], parts), []
        marked = id_index.split_ids(_keys([record.id for record in records], parts))
        known: set[bytes] = id_index.known_ids(self._connection, marked)
        halves = id_index.known_halves(self._connection, clients)
        known |= self._stored([client for client in clients if client[:HALF] in halves])
        pairs = [(key, record.client_id) for key, record in zip(marked, records, strict=True)]
        return repeats_among(pairs, known, halves)

    def _stored(self, clients: Sequence[bytes]) -> set[bytes]:
        """Those of the client ids that the index holds, whatever their partition."""
        stored = set()
        for part in self.positions():
            marked = id_index.split_ids(_keys(clients, [part] * len(clients))) if clients else []
            known = id_index.known_ids(self._connection, marked) if marked else set()
            stored |= {client for client, key in zip(clients, marked, strict=True) if key in known}
        return stored

    def take(self, part: int, messages: Sequence[tuple[int, Record]], end: int) -> None:
        """Index the messages (offset, record) of one partition from its position to `end`."""
        if messages:
            records = [record for _, record in messages]
            again = self._repeats_in(part, records)
            self._connection.executemany(
                "INSERT OR IGNORE INTO duplicates VALUES (?, ?)",
                [(part, messages[index][0]) for index in sorted(again)],
            )
            self.add([record for index, record in enumerate(records) if index not in again], {}, part)
        self.move({part: end})

    def _repeats_in(self, part: int, records: Sequence[Record]) -> set[int]:
        """The indices of the records that are no events, since an earlier one of the partition has their id, or a
        client id that begins like theirs."""
        clients = [record.client_id for record in records if record.client_id]
        parts = [part] * len(records)
        if not clients:
            return set(self.known([record.id for record in records], parts))
        marked = id_index.split_ids(_keys([record.id for record in records], parts))
        own_clients = id_index.split_ids(_keys(clients, [part] * len(clients)))
        known = id_index.known_ids(self._connection, [*marked, *own_clients])
        marked_halves = id_index.split_ids(_keys(_halves(clients), [part] * len(clients)))
        taken = id_index.known_ids(self._connection, marked_halves)
        halves = {half[:HALF] for half in taken}
        known |= {client for client, key in zip(clients, own_clients, strict=True) if key in known}
        pairs = [(key, record.client_id) for key, record in zip(marked, records, strict=True)]
        duplicates, conflicts = repeats_among(pairs, known, halves)
        return {*duplicates, *conflicts}

    def add(self, records: Sequence[Record], positions: Mapping[int, int], part: int | Sequence[int]) -> None:
        """Add records that it does not hold, each of its partition (or all of one), and move on to `positions`."""
        parts = [part] * len(records) if isinstance(part, int) else part
        named = [(record.client_id, own) for record, own in zip(records, parts, strict=True) if record.client_id]
        if records:
            keys = _keys([record.id for record in records], parts)
            if named:
                clients, own_parts = [client for client, _ in named], [own for _, own in named]
                keys = np.concatenate([keys, _keys(clients, own_parts), _keys(_halves(clients), own_parts)])
                id_index.add_missing(self._connection, keys)
            else:
                keys.sort()
                id_index.add(self._connection, keys)
        self.move(positions)

    def move(self, positions: Mapping[int, int]) -> None:
        """Store up to where messages are indexed."""
        self._connection.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", list(positions.items()))

    def forget(self) -> None:
        """Start again from nothing."""
        for table in ("positions", "duplicates", "id_runs", "id_pages"):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608


def _halves(clients: Sequence[bytes]) -> list[bytes]:
    """The first halves of client ids as ids."""
    return [client[:HALF] + b"\xff" * HALF for client in clients]


def _positions(connection: sqlite3.Connection) -> dict[int, int]:
    return dict(connection.execute("SELECT part, next FROM positions").fetchall())


def _keys(ids: Sequence[bytes], parts: Sequence[int]) -> Any:
    """The ids as keys of the index, in which the same id in another partition is another key."""
    keys = np.frombuffer(b"".join(ids), dtype=np.uint64).reshape(-1, 2).copy()
    keys[:, 1] ^= _MARKS[np.asarray(parts)]
    return keys.reshape(-1).view("S16")


_MARKS = np.array(
    [int.from_bytes(blake2b(f"partition {part}".encode(), digest_size=8).digest()) for part in range(MOST_PARTITIONS)],
    dtype=np.uint64,
)
"""64 bits by partition, changed in the second half of an id; the first half, which may be a time, keeps the order."""
