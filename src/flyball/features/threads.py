"""Compiled loops over parts of their rows on several threads: each row is computed alone, so parts change no bit."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

MOST_THREADS = 4
FEWEST_ROWS = 50_000
"""Below this a thread costs more than it saves."""


def over_rows(kernel: Any, rows: int, *arguments: Any) -> None:
    """`kernel(first, last, *arguments)` for all of `[0, rows)`."""
    threads = max(1, min(MOST_THREADS, os.cpu_count() or 1, rows // FEWEST_ROWS))
    if threads == 1:
        kernel(0, rows, *arguments)
        return
    edges = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(kernel, *edge, *arguments) for edge in pairwise(edges)]:
            done.result()
