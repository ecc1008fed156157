"""Stochastic gradient descent on all cores, with the same result for any number of cores.

Users and items are each divided into `blocks` random parts, and so the rows into blocks x blocks cells. The cells
(0, s), (1, s + 1), ... of a round share no user and no item, so they can run in parallel without conflicts; `blocks`
rounds visit every row once. A part of the items also stays in a core's cache while its cell is visited.
Source: Gemulla, Nijkamp, Haas, Sismanis, "Large-Scale Matrix Factorization with Distributed Stochastic Gradient
Descent", KDD 2011.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.models.data import Indexes, order_by, row_pointers
from flyball.models.threads import our_cores

_ROWS_A_CELL = 4_000  # with fewer rows, starting a round takes longer than running it
_MOST_BLOCKS = 16

Round = Callable[[Callable[[int, int, int], object], Sequence[int]], None]


class Cells(msgspec.Struct, frozen=True):
    """`order`: the rows sorted by cell, within a cell by user (in a random order of the users), then as given.

    Cell (b, c) holds the rows `order[pointers[b * blocks + c]:pointers[b * blocks + c + 1]]`. The items of part c are
    `part_items[part_ptr[c]:part_ptr[c + 1]]`.
    """

    blocks: int
    order: NDArray[np.int64]
    pointers: NDArray[np.int64]
    part_items: Indexes
    part_ptr: NDArray[np.int64]


def cells_of(users: Indexes, items: Indexes, user_count: int, item_count: int, rng: np.random.Generator) -> Cells:
    """Divide rows into cells. Their number depends on the data alone, not on the machine."""
    blocks = int(np.clip(np.sqrt(len(users) / _ROWS_A_CELL), 1, _MOST_BLOCKS))
    blocks = max(1, min(blocks, user_count // 2, item_count // 8))
    rank, item_rank = rng.permutation(user_count), rng.permutation(item_count)
    part = item_rank % blocks
    cell = (rank[users] % blocks) * blocks + part[items]
    by_user = order_by(rank[users], user_count)
    order = by_user[order_by(cell[by_user], blocks * blocks)]
    by_part = order_by(part, blocks)
    return Cells(
        blocks,
        order,
        row_pointers(cell[order], blocks * blocks),
        by_part.astype(np.int32),
        row_pointers(part[by_part], blocks),
    )


@contextmanager
def side_by_side() -> Iterator[Round]:
    """A function that runs `work(cell, block, part)` for every cell of the rounds it is given, round after round."""
    threads = our_cores()
    with ThreadPoolExecutor(max(1, threads)) as pool:

        def run(work: Callable[[int, int, int], object], shifts: Sequence[int]) -> None:
            blocks = len(shifts)
            for shift in shifts:
                cells = [(block, (block + shift) % blocks) for block in range(blocks)]
                if threads <= 1 or blocks == 1:
                    for block, part in cells:
                        work(block * blocks + part, block, part)
                    continue
                for done in [pool.submit(work, b * blocks + part, b, part) for b, part in cells]:
                    done.result()

        yield run
