"""How many rows each source sent in each window, kept beside the volumes of tables."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flyball.events import SOURCE_FLAGS
from flyball.monitoring.watch.followed import WindowRows

if TYPE_CHECKING:
    import polars as pl

SOURCE = "source="
"""Volumes of what one source sent of a table are named so, with the flags of the source and the table."""
MOST_KEPT = 500
"""Sources whose rows are kept: files whose names differ in more than their dates are new ones each time."""


def source_key(flags: int, table: str) -> str:
    """The name of the volume of a source of `table`.

    >>> source_key(255, "events.buy")
    'source=ff events.buy'
    """
    return f"{SOURCE}{flags:x} {table}"


def sources_of(volumes: Mapping[str, WindowRows], table: str) -> dict[int, WindowRows]:
    """{flags of a source: its rows of `table`} in volumes."""
    keys = [key.removeprefix(SOURCE).partition(" ") for key in volumes if key.startswith(SOURCE)]
    return {
        int(flags, 16): volumes[source_key(int(flags, 16), table)] for flags, _, of_table in keys if of_table == table
    }


def count_sources(table: str, events: "pl.DataFrame", length_us: int) -> dict[str, dict[int, int]]:
    """{name of the volume of a source: {start of a window: rows}} of events of `table`, by when they became known."""
    import polars as pl

    starts = (pl.col("known_at").cast(pl.Int64) // length_us * length_us).alias("start")
    counted = events.group_by((pl.col("flags") & SOURCE_FLAGS).alias("source"), starts).len()
    by_source: dict[str, dict[int, int]] = {}
    for flags, start, rows in counted.sort("source", "start").iter_rows():
        by_source.setdefault(source_key(flags, table), {})[start] = rows
    return by_source


def with_sources(
    volumes: Mapping[str, dict[int, int]], counted: Mapping[str, Mapping[int, int]], start_us: int
) -> dict[str, dict[int, int]]:
    """The volumes with what sources sent in the window of `start_us`, 0 where it was nothing; those that sent nothing
    in all windows, and the oldest of too many, are left out."""
    after = {key: rows for key, rows in volumes.items() if not key.startswith(SOURCE)}
    known = {key: rows for key, rows in volumes.items() if key.startswith(SOURCE)}
    for key in dict.fromkeys((*known, *counted)):
        known[key] = {**known.get(key, {}), start_us: counted.get(key, {}).get(start_us, 0)}
    sent = {key: max((at_us for at_us, rows in counts.items() if rows), default=-1) for key, counts in known.items()}
    latest = sorted((key for key in sent if sent[key] >= 0), key=lambda key: (-sent[key], key))[:MOST_KEPT]
    return after | {key: known[key] for key in latest}


def lacks_sources(volumes: Mapping[str, WindowRows]) -> bool:
    """Whether there are volumes of events, but none of their sources, which earlier versions did not count."""
    rows = any(counts for table, counts in volumes.items() if table.startswith("events."))
    return rows and not any(table.startswith(SOURCE) for table in volumes)
