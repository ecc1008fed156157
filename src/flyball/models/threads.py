"""Processes independent rows on all cores.

Kernels release the interpreter lock; a row's result does not depend on the block it is in.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_BLOCKS_PER_THREAD = 8  # rows differ in cost (popular items, active users); small blocks balance the threads


def our_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def in_blocks(rows: int, work: Callable[[int, int], object], threads: int | None = None) -> None:
    """Call `work(first, last)` over blocks covering `[0, rows)` on `threads` threads (default: all our cores)."""
    threads = our_cores() if threads is None else threads
    if threads <= 1 or rows < 2 * threads:
        work(0, rows)
        return
    step = -(-rows // (threads * _BLOCKS_PER_THREAD))
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, first, min(first + step, rows)) for first in range(0, rows, step)]:
            done.result()
