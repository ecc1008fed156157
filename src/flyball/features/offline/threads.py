"""Runs compiled loops on several threads, each over a part of the rows; rows are independent, so bits do not change."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

MOST_THREADS = 4
FEWEST_ROWS = 50_000
"""The fewest rows for which another thread is worth its cost."""


def parts_of(rows: int) -> list[tuple[int, int]]:
    """`[0, rows)` in one part for each thread."""
    threads = max(1, min(MOST_THREADS, os.cpu_count() or 1, rows // FEWEST_ROWS))
    return list(pairwise([rows * part // threads for part in range(threads + 1)]))


def over_rows(kernel: Any, rows: int, *arguments: Any) -> None:
    """Call `kernel(first, last, *arguments)` for the parts of `[0, rows)`, on several threads."""
    run_calls(kernel, parts_of(rows), *arguments)


def run_calls(kernel: Any, calls: Sequence[tuple[Any, ...]], *arguments: Any) -> list[Any]:
    """The results of `kernel(*call, *arguments)` for each call, on several threads."""
    if len(calls) == 1:
        return [kernel(*calls[0], *arguments)]
    with ThreadPoolExecutor(max(1, min(MOST_THREADS, os.cpu_count() or 1, len(calls)))) as pool:
        return [done.result() for done in [pool.submit(kernel, *call, *arguments) for call in calls]]
