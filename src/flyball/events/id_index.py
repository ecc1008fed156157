"""The index of the identities in a log: sorted runs of 16-byte ids in a few large rows, merged as they grow.

A unique index in SQLite costs a tree insertion for each random id (measured: 90,000 rows/s). Here an append writes its
ids as one sorted run and looks them up in the runs that overlap it, page by page with numpy. Small runs are merged,
sixteen at a time (a log-structured merge tree: O'Neil et al., Acta Informatica 1996). Everything happens inside the
append's transaction, so it is exact with any number of writers. Ids that begin with their time (see `checks`) overlap
few runs; ids of natural keys without `at` are looked up in every run.
"""

import sqlite3
from collections.abc import Sequence
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
    low, high = ranked[:1].tobytes(), ranked[-1:].tobytes()
    runs = connection.execute("SELECT run FROM id_runs WHERE high >= ? AND low <= ?", (low, high)).fetchall()
    for (run,) in runs:
        (fences,) = connection.execute("SELECT fences FROM id_runs WHERE run = ?", (run,)).fetchone()
        _find_in_run(connection, run, np.frombuffer(fences, dtype="S16"), ranked, mask)
    return mask


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
            connection.execute("DELETE FROM id_pages WHERE position BETWEEN ? AND ?", (run << 24, (run + 1 << 24) - 1))
            connection.execute("DELETE FROM id_runs WHERE run = ?", (run,))
        _write_run(connection, merged)


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
