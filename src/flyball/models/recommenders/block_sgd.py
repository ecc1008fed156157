"""Stochastic gradient descent on all cores with the same result on any number of them.

Users and items are each cut into `blocks` random parts, the rows into blocks x blocks cells. In a round the cells
(0, s), (1, s + 1), ... share neither a user nor an item, so they run side by side and touch nothing in common; `blocks`
rounds visit every row once. An item part also stays in a core's cache while its cell is visited.
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

_ROWS_A_CELL = 4_000  # below this a round costs more to start than to run
_MOST_BLOCKS = 16

Round = Callable[[Callable[[int, int, int], object], Sequence[int]], None]


class Cells(msgspec.Struct, frozen=True):
    """`order`: the rows by cell, in it by user (in a random order of the users), then as given.

    Cell (b, c) holds `order[pointers[b * blocks + c]:pointers[b * blocks + c + 1]]`; `part_items[part_ptr[c]:...]` are
    the items of part c.
    """

    blocks: int
    order: NDArray[np.int64]
    pointers: NDArray[np.int64]
    part_items: Indexes
    part_ptr: NDArray[np.int64]


def cells_of(users: Indexes, items: Indexes, user_count: int, item_count: int, rng: np.random.Generator) -> Cells:
    """Cut rows into cells; how many depends on the data alone, never on the machine."""
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
