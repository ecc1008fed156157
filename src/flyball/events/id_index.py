"""The index of the identities in a log: sorted runs of 16-byte ids in a few large rows, merged as they grow.

A unique index in SQLite costs a tree insertion for each random id (measured: 90,000 rows/s). Here an append writes its
ids as one sorted run and looks them up in the runs that overlap it, page by page with numpy. Small runs are merged,
sixteen at a time (a log-structured merge tree: O'Neil et al., Acta Informatica 1996). Everything happens inside the
append's transaction, so it is exact with any number of writers. Ids that begin with their time (see `checks`) overlap
few runs; ids of natural keys without `at` are looked up in every run.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Ids = np.ndarray[Any, np.dtype[np.bytes_]]
"""Shape (n,), dtype S16. Trailing NULs are dropped in comparisons, which is harmless at equal width."""

_PAGE = 512
_FANOUT = 16
_FINAL = 1 << 18
"""A run of this length is not merged again: merging millions of ids would keep other writers waiting."""


def as_ids(ids: Sequence[bytes]) -> Ids:
    """The ids as an array, in the same order."""
    return np.frombuffer(b"".join(ids), dtype="S16")


def repeats_within(ids: Ids, order: Any) -> list[int]:
    """Indices of the ids that occurred at a lower index already; `order` sorts `ids` stably."""
    ranked = ids[order]
    same = np.flatnonzero(ranked[1:] == ranked[:-1]) + 1
    return [int(index) for index in order[same]]


def find(connection: sqlite3.Connection, ranked: Ids) -> Any:
    """A mask over the sorted `ranked`: True where the index holds the id."""
    mask = np.zeros(len(ranked), dtype=bool)
    if not len(ranked):
        return mask
    for run, fences in _runs_between(connection, ranked[:1].tobytes(), ranked[-1:].tobytes()):
        _find_in_run(connection, run, fences, ranked, mask)
    return mask


def find_halves(connection: sqlite3.Connection, ranked: Ids) -> Any:
    """A mask over the sorted `ranked`: True where the index holds an id that begins with the same 8 bytes."""
    mask = np.zeros(len(ranked), dtype=bool)
    if not len(ranked):
        return mask
    lows = _first_halves(ranked)
    for run, fences in _runs_between(connection, ranked[:1].tobytes()[:8], ranked[-1:].tobytes()[:8] + b"\xff" * 8):
        pages = np.searchsorted(fences, lows, side="right") - 1
        following = np.minimum(pages + 1, len(fences) - 1)
        mask |= _first_halves(fences[following]) == lows  # the first id of the page after the one that was looked at
        for page in np.unique(pages).tolist():
            if page < 0:
                continue
            (blob,) = connection.execute("SELECT ids FROM id_pages WHERE position = ?", (run << 24 | page,)).fetchone()
            ids, rows = np.frombuffer(blob, dtype="S16"), np.flatnonzero(pages == page)
            indices = np.minimum(np.searchsorted(ids, lows[rows]), len(ids) - 1)
            mask[rows] |= _first_halves(ids[indices]) == lows[rows]
    return mask


def known_ids(connection: sqlite3.Connection, ids: Sequence[bytes]) -> set[bytes]:
    """Those of the ids that the index holds."""
    ranked = np.unique(as_ids(ids))
    return set(split_ids(ranked[find(connection, ranked)]))


def known_halves(connection: sqlite3.Connection, ids: Sequence[bytes]) -> set[bytes]:
    """The first 8 bytes of those ids that an id in the index begins with."""
    if not ids:
        return set()
    ranked = np.unique(as_ids(ids))
    return {known[:8] for known in split_ids(ranked[find_halves(connection, ranked)])}


def split_ids(ids: Ids) -> list[bytes]:
    """The ids, each of 16 bytes: numpy gives them without the NULs at their end."""
    data = ids.tobytes()
    return [data[start : start + 16] for start in range(0, len(data), 16)]


def _first_halves(ids: Ids) -> Ids:
    """The ids with zeros after their first 8 bytes."""
    halves = np.ascontiguousarray(ids).view(np.uint64).reshape(-1, 2).copy()
    halves[:, 1] = 0
    return halves.reshape(-1).view("S16")


def _runs_between(connection: sqlite3.Connection, low: bytes, high: bytes) -> Iterator[tuple[int, Ids]]:
    """The runs that may hold an id in [low, high], with the first id of each page."""
    runs = connection.execute("SELECT run FROM id_runs WHERE high >= ? AND low <= ?", (low, high)).fetchall()
    for (run,) in runs:
        (fences,) = connection.execute("SELECT fences FROM id_runs WHERE run = ?", (run,)).fetchone()
        yield run, np.frombuffer(fences, dtype="S16")


def _find_in_run(connection: sqlite3.Connection, run: int, fences: Ids, ranked: Ids, mask: Any) -> None:
    pages = np.searchsorted(fences, ranked, side="right") - 1
    needed, starts = np.unique(pages, return_index=True)
    if 2 * len(needed) > len(fences):  # for half of the pages or more, one query for the whole run is faster
        _mark(_read_run(connection, run), ranked, mask)
        return
    ends = np.append(starts[1:], len(ranked))
    for page, start, end in zip(needed.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if page < 0:
            continue
        (blob,) = connection.execute("SELECT ids FROM id_pages WHERE position = ?", (run << 24 | page,)).fetchone()
        _mark(np.frombuffer(blob, dtype="S16"), ranked[start:end], mask[start:end])


def _mark(ids: Ids, searched: Ids, mask: Any) -> None:
    """Set `mask` where `ids`, sorted, holds the ids searched for."""
    indices = np.minimum(np.searchsorted(ids, searched), len(ids) - 1)
    mask |= ids[indices] == searched


def add(connection: sqlite3.Connection, ranked: Ids) -> None:
    """Add sorted ids that the index does not hold; merges runs of one size when there are enough."""
    if not len(ranked):
        return
    _write_run(connection, ranked)
    while group := _ripe(connection):
        merged = np.sort(np.concatenate([_read_run(connection, run) for run in group]), kind="stable")
        for run in group:
            _delete_run(connection, run)
        _write_run(connection, merged)


def add_missing(connection: sqlite3.Connection, ids: Ids) -> None:
    """Add those of the ids, in any order, that the index does not hold."""
    ranked = np.unique(ids)
    add(connection, ranked[~find(connection, ranked)])


def remove(connection: sqlite3.Connection, ids: Ids) -> None:
    """Remove those of the ids, in any order, that the index holds."""
    ranked = np.unique(ids)
    if not len(ranked):
        return
    low, high = ranked[:1].tobytes(), ranked[-1:].tobytes()
    for (run,) in connection.execute("SELECT run FROM id_runs WHERE high >= ? AND low <= ?", (low, high)).fetchall():
        own = _read_run(connection, run)
        mask = np.zeros(len(own), dtype=bool)
        _mark(ranked, own, mask)
        if mask.any():
            _delete_run(connection, run)
            if not mask.all():
                _write_run(connection, own[~mask])


def _delete_run(connection: sqlite3.Connection, run: int) -> None:
    connection.execute("DELETE FROM id_pages WHERE position BETWEEN ? AND ?", (run << 24, (run + 1 << 24) - 1))
    connection.execute("DELETE FROM id_runs WHERE run = ?", (run,))


def _ripe(connection: sqlite3.Connection) -> list[int]:
    """Runs of one size class (powers of 16), when there are enough to merge."""
    classes: dict[int, list[int]] = {}
    for run, count in connection.execute("SELECT run, count FROM id_runs WHERE count < ? ORDER BY run", (_FINAL,)):
        group = classes.setdefault((int(count).bit_length() - 1) // 4, [])
        group.append(run)
        if len(group) == _FANOUT:
            return group
    return []


def _write_run(connection: sqlite3.Connection, ranked: Ids) -> None:
    blob = ranked.tobytes()
    width = 16 * _PAGE
    pages = [blob[start : start + width] for start in range(0, len(blob), width)]
    fences = b"".join(page[:16] for page in pages)
    run = connection.execute(
        "INSERT INTO id_runs(count, low, high, fences) VALUES (?, ?, ?, ?)",
        (len(ranked), blob[:16], blob[-16:], fences),
    ).lastrowid
    assert run is not None  # an INSERT has a row
    connection.executemany(
        "INSERT INTO id_pages VALUES (?, ?)", ((run << 24 | n, page) for n, page in enumerate(pages))
    )


def _read_run(connection: sqlite3.Connection, run: int) -> Ids:
    rows = connection.execute(
        "SELECT ids FROM id_pages WHERE position BETWEEN ? AND ? ORDER BY position", (run << 24, (run + 1 << 24) - 1)
    )
    return np.frombuffer(b"".join(ids for (ids,) in rows), dtype="S16")
