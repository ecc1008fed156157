"""The event log in one SQLite file. A row is a block of records of one partition, as in Kafka's record batches.

So an append of thousands of records takes a few insertions and one synced commit. Any number of threads and processes
append and read; appends are serialized, each in one short transaction.
"""

import sqlite3
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path

import msgspec

from flyball.core import BadInput, BadSetting, SqliteFile, StoreCorrupt, Url
from flyball.events.client_ids import repeats_among
from flyball.events.log import Appended, Offsets, Record, Slice, check_restored
from flyball.events.reading import check_offsets
from flyball.events.sqlite_schemas import SqliteSchemas
from flyball.events.written import WrittenType

_SCRIPT = """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS schemas(number INTEGER PRIMARY KEY AUTOINCREMENT, fingerprint INTEGER NOT NULL,
    written BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS blocks(
    position INTEGER PRIMARY KEY, count INTEGER NOT NULL, at_min INTEGER NOT NULL, at_max INTEGER NOT NULL,
    kinds TEXT NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS blocks_at ON blocks(at_max, at_min);
CREATE TABLE IF NOT EXISTS committed(
    name TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY(name, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS id_runs(
    run INTEGER PRIMARY KEY AUTOINCREMENT, count INTEGER NOT NULL, low BLOB NOT NULL, high BLOB NOT NULL,
    fences BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS id_runs_range ON id_runs(high, low);
CREATE INDEX IF NOT EXISTS id_runs_count ON id_runs(count);
CREATE TABLE IF NOT EXISTS id_pages(position INTEGER PRIMARY KEY, ids BLOB NOT NULL)
"""

_OFFSET_BITS = 40
"""`position` = partition << 40 | offset of the block's first record: a partition's blocks are stored in order."""

_BLOCK = 1_024
FORMAT = 2
"""The format of the file. Format 1 (stored as 0) had no schemas."""
_FIRST_US, _LAST_US = -(1 << 63), (1 << 63) - 1


class SqliteLog:
    """`sqlite:///path/events.db?partitions=4&unique=1&busy_ms=10000`; `unique=0` does not look for duplicates."""

    def __init__(self, url: Url) -> None:
        url.check_options(("partitions", "unique", "busy_ms"))
        self.path = Path(url.path)
        self.unique = url.integer("unique", 1) != 0
        busy_s = url.integer("busy_ms", 10_000) / 1_000
        self._file = SqliteFile(self.path, _SCRIPT, busy_s, format=FORMAT, remedy="read its source into a new --home")
        self.schemas = SqliteSchemas(self._file)
        self._mostly_known = False
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Record]).decode
        self.partitions = self._agree_partitions(url.options.get("partitions"), url.integer("partitions", 4))
        self.groups = SqliteGroups(self._file, self.partitions)

    @staticmethod
    def exists(url: Url) -> bool:
        """Whether the file exists."""
        return Path(url.path).exists()

    def append(self, records: Sequence[Record]) -> Appended:
        """Write the records whose id is new, durably, in one transaction."""
        if not records:
            return Appended(0, [])
        if self.unique:
            return self._append_unique(records)
        blocks = self._blocks(records)
        with self._file.writing() as connection:
            self.schemas.use(connection, records)
            self._insert(connection, blocks)
        return Appended(len(records), [])

    def restore(self, slices: Sequence[Slice], written: Sequence[WrittenType]) -> None:
        """Store slices of another log at their offsets, in one transaction; see `RestorableLog`."""
        records = [record for piece in slices for record in piece.records]
        with self._file.writing() as connection:
            check_restored(str(self.path), slices, [self._end(connection, part) for part in range(self.partitions)])
            self.schemas.restore(connection, written)
            for piece in slices:
                self._insert(connection, self._restored_blocks(piece))
            if self.unique and records:
                from flyball.events import id_index  # imports numpy

                id_index.add_missing(connection, id_index.as_ids(_identities(records)))

    def check_removal(self) -> None:
        """Records may always be removed from a file; see `ErasableLog`."""

    def remove(self, offsets: Mapping[int, Sequence[int]]) -> int:
        """Remove the records at these offsets, one transaction for each block; see `ErasableLog`."""
        return sum(self._remove_from(part, sorted(set(numbers))) for part, numbers in offsets.items())

    def rewrite(self) -> None:
        self._file.rewrite()

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        """Up to about `limit` records from `after` on, evenly from the partitions that have some."""
        check_offsets(after, self.partitions)
        slices: list[Slice] = []
        left = max(limit, 1)
        with self._file.reading() as connection:
            for part in range(self.partitions):
                share = max(1, left // (self.partitions - part))
                for piece in self._read_partition(connection, part, after[part], share):
                    slices.append(piece)
                    left -= len(piece.records)
        return slices

    def ends(self) -> Offsets:
        with self._file.reading() as connection:
            return tuple(self._end(connection, part) for part in range(self.partitions))

    def read_where(
        self,
        partition: int,
        after: int,
        until: int,
        types: Mapping[str, int] | None = None,
        at_us: tuple[int, int] | None = None,
    ) -> Iterator[Slice]:
        """Yield the blocks that may hold a matching record, cut to [after, until)."""
        first_us, last_us = at_us or (_FIRST_US, _LAST_US)
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT position, count, at_max, kinds FROM blocks"
                " WHERE position >= ? AND position < ? AND at_max >= ? AND at_min < ? ORDER BY position",
                (self._block_of(connection, partition, after), partition << _OFFSET_BITS | until, first_us, last_us),
            ).fetchall()
        for position, count, latest_us, names in rows:
            if not names:
                continue  # offsets without records
            first = position & (1 << _OFFSET_BITS) - 1
            skip = max(0, after - first)
            if types is not None and not any(types.get(name, _LAST_US) <= latest_us for name in names.split(",")):
                continue
            if first + skip >= min(first + count, until):
                continue
            with (
                self._file.reading() as connection
            ):  # a transaction for each block, since the caller may stop reading at any time
                crc, data = connection.execute(
                    "SELECT crc, data FROM blocks WHERE position = ?", (position,)
                ).fetchone()
            yield Slice(partition, first + skip, self._open(position, count, crc, data)[skip : until - first])

    def close(self) -> None:
        """Close this process's connections; they are reopened when the log is used again."""
        self._file.close()

    def _append_unique(self, records: Sequence[Record]) -> Appended:
        from flyball.events import (
            id_index,
        )  # imports numpy, which a log without identities (the prediction log) does not need

        raw = [record.id for record in records]
        if set(map(len, raw)) != {16}:
            raise BadInput("id of a record", "16 bytes", sorted(set(map(len, raw))))
        if any(record.client_id for record in records):
            return self._append_named(records)
        ids = id_index.as_ids(raw)
        order = ids.argsort(kind="stable")
        repeats = set(id_index.repeats_within(ids, order))
        # before the transaction, so that other writers wait less; wasted for a source that is ingested again
        blocks = None if self._mostly_known else self._blocks(records)
        with self._file.writing() as connection:
            self.schemas.use(connection, records)
            ranked = ids[order]
            known = id_index.find(connection, ranked)
            repeats.update(order[known].tolist())
            self._mostly_known = 2 * len(repeats) > len(records)
            if repeats or blocks is None:
                fresh = [record for index, record in enumerate(records) if index not in repeats]
                blocks = self._blocks(fresh)
                keep = [index not in repeats for index in order.tolist()]
                ranked = ranked[keep]
            self._insert(connection, blocks)
            id_index.add(connection, ranked)
        return Appended(len(records) - len(repeats), sorted(repeats))

    def _append_named(self, records: Sequence[Record]) -> Appended:
        """As `_append_unique`, for records some of which have a client id."""
        from flyball.events import id_index  # imports numpy

        pairs = [(record.id, record.client_id) for record in records]
        with self._file.writing() as connection:
            self.schemas.use(connection, records)
            known = id_index.known_ids(connection, _identities(records))
            halves = id_index.known_halves(connection, [client for _, client in pairs if client])
            duplicates, conflicts = repeats_among(pairs, known, halves)
            left_out = {*duplicates, *conflicts}
            fresh = [record for index, record in enumerate(records) if index not in left_out]
            self._insert(connection, self._blocks(fresh))
            if fresh:
                id_index.add_missing(connection, id_index.as_ids(_identities(fresh)))
        return Appended(len(fresh), duplicates, conflicts)

    def _blocks(self, records: Sequence[Record]) -> "list[_Block]":
        parts: list[list[Record]] = [[] for _ in range(self.partitions)]
        count, crc32 = self.partitions, zlib.crc32
        for record in records:
            parts[crc32(record.key.encode()) % count].append(record)
        return [
            self._block(part, members[start : start + _BLOCK])
            for part, members in enumerate(parts)
            for start in range(0, len(members), _BLOCK)
        ]

    def _block(self, part: int, records: list[Record]) -> "_Block":
        data = self._encode(records)
        ats = [record.at for record in records]
        kinds = ",".join(sorted({record.type for record in records}))
        return _Block(part, len(records), min(ats), max(ats), kinds, zlib.crc32(data), data)

    def _remove_from(self, part: int, offsets: list[int]) -> int:
        removed, start = 0, 0
        while start < len(offsets):
            with self._file.writing() as connection:
                position = self._block_of(connection, part, offsets[start])
                row = connection.execute(
                    "SELECT position, count, crc, data FROM blocks WHERE position = ?", (position,)
                ).fetchone()
                end = start + 1
                if row is not None:
                    first = position & (1 << _OFFSET_BITS) - 1
                    end = max(end, bisect_left(offsets, first + row[1]))
                    removed += self._cut(connection, row, {*offsets[start:end]})
                start = end
        return removed

    def _cut(self, connection: sqlite3.Connection, row: tuple[int, int, int, bytes], offsets: set[int]) -> int:
        """Replace a block by those of its records that stay, with blocks of nothing between them."""
        position, count, crc, data = row
        records = self._open(position, count, crc, data)
        part, first = divmod(position, 1 << _OFFSET_BITS)
        gone = [record for offset, record in enumerate(records, first) if offset in offsets]
        if not gone:
            return 0
        connection.execute("DELETE FROM blocks WHERE position = ?", (position,))
        pairs = enumerate(records, first)
        for is_gone, run in groupby(pairs, key=lambda pair: pair[0] in offsets):
            pieces = list(run)
            block = (
                _Block(part, len(pieces), 0, 0, "", *self._nothing)
                if is_gone
                else self._block(part, [record for _, record in pieces])
            )
            connection.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)",
                (part << _OFFSET_BITS | pieces[0][0], *msgspec.structs.astuple(block)[1:]),
            )
        if self.unique:
            from flyball.events import id_index  # imports numpy

            id_index.remove(connection, id_index.as_ids(_identities(gone)))
        return len(gone)

    def _restored_blocks(self, piece: Slice) -> "list[_Block]":
        gap = [_Block(piece.partition, piece.skipped, 0, 0, "", *self._nothing)] if piece.skipped else []
        pages = range(0, len(piece.records), _BLOCK)
        return [*gap, *(self._block(piece.partition, piece.records[start : start + _BLOCK]) for start in pages)]

    @cached_property
    def _nothing(self) -> tuple[int, bytes]:
        """Checksum and content of a block of offsets without records."""
        data = self._encode([])
        return zlib.crc32(data), data

    def _insert(self, connection: sqlite3.Connection, blocks: "list[_Block]") -> None:
        ends: dict[int, int] = {}
        for block in blocks:
            first = ends.get(block.part)
            if first is None:
                first = self._end(connection, block.part)
            ends[block.part] = first + block.count
            connection.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)",
                (block.part << _OFFSET_BITS | first, *msgspec.structs.astuple(block)[1:]),
            )

    def _end(self, connection: sqlite3.Connection, part: int) -> int:
        row = connection.execute(
            "SELECT position, count FROM blocks WHERE position >= ? AND position < ? ORDER BY position DESC LIMIT 1",
            (part << _OFFSET_BITS, part + 1 << _OFFSET_BITS),
        ).fetchone()
        return 0 if row is None else (row[0] & (1 << _OFFSET_BITS) - 1) + row[1]

    def _block_of(self, connection: sqlite3.Connection, part: int, offset: int) -> int:
        """Where to start reading for `offset`: the last block that begins at or before it, else its own position."""
        row = connection.execute(
            "SELECT max(position) FROM blocks WHERE position >= ? AND position <= ?",
            (part << _OFFSET_BITS, part << _OFFSET_BITS | offset),
        ).fetchone()
        return row[0] if row[0] is not None else part << _OFFSET_BITS | offset

    def _read_partition(self, connection: sqlite3.Connection, part: int, after: int, limit: int) -> Iterable[Slice]:
        rows = connection.execute(
            "SELECT position, count, crc, data FROM blocks WHERE position >= ? AND position < ? ORDER BY position",
            (self._block_of(connection, part, after), part + 1 << _OFFSET_BITS),
        )
        for position, count, crc, data in rows:
            first = position & (1 << _OFFSET_BITS) - 1
            if first + count <= after:
                continue
            records = self._open(position, count, crc, data)
            skip = max(0, after - first)
            if not records:
                yield Slice(part, first + count, [], skipped=count - skip)
                continue
            piece = records[skip : skip + limit] if skip or count > limit else records
            yield Slice(part, first + skip, piece)
            limit -= len(piece)
            if limit <= 0:
                rows.close()
                return

    def _open(self, position: int, count: int, crc: int, data: bytes) -> list[Record]:
        part, first = divmod(position, 1 << _OFFSET_BITS)
        where = f"{self.path}, partition {part}, block at offset {first},"
        if zlib.crc32(data) != crc:
            raise StoreCorrupt(where, f"of checksum {crc}", zlib.crc32(data))
        try:
            records = self._decode(data)
        except msgspec.DecodeError as error:
            raise StoreCorrupt(where, "msgpack records", str(error)) from None
        if len(records) != count and data != self._nothing[1]:
            raise StoreCorrupt(where, f"{count} records", len(records))
        return records

    def _agree_partitions(self, requested: str | None, default: int) -> int:
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = 'partitions'").fetchone()
        if row is None:
            if not 1 <= default <= 1_024:
                raise BadSetting(f"option partitions of {self.path} must be 1 to 1024, got {default}")
            with self._file.writing() as connection:
                connection.execute("INSERT OR IGNORE INTO meta VALUES ('partitions', ?)", (default,))
                row = connection.execute("SELECT value FROM meta WHERE name = 'partitions'").fetchone()
        stored: int = row[0]
        if requested is not None and stored != default:
            raise BadSetting(
                f"option partitions of {self.path} must be {stored}, as when it was made, got {requested}: "
                "leave the option out, or choose another --home"
            )
        return stored


class SqliteGroups:
    """The table `committed` of `file`."""

    def __init__(self, file: SqliteFile, partitions: int) -> None:
        self._file, self._partitions = file, partitions

    def commit(self, group: str, offsets: Offsets) -> None:
        check_offsets(offsets, self._partitions)
        with self._file.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO committed VALUES (?, ?, ?)",
                [(group, part, offset) for part, offset in enumerate(offsets)],
            )

    def committed(self, group: str) -> Offsets:
        with self._file.reading() as connection:
            rows = dict(connection.execute("SELECT part, next FROM committed WHERE name = ?", (group,)).fetchall())
        return tuple(rows.get(part, 0) for part in range(self._partitions))


def _identities(records: Sequence[Record]) -> list[bytes]:
    """What the index holds of records."""
    return [known for record in records for known in (record.id, record.client_id) if known]


class _Block(msgspec.Struct, frozen=True):
    part: int
    count: int
    at_min: int
    at_max: int
    kinds: str
    crc: int
    data: bytes
