"""A column as arrays, one for each polars chunk, without copying."""

from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.features.offline.kernels import sort as sort
from flyball.features.offline.threads import parts_of, run_calls

FEWEST_IN_CHUNK = 10_000
"""Columns with a shorter mean chunk length are copied into one array first."""


class Chunks:
    """A column in pieces. `parts`: (start, read-only array without nulls); a long chunk has several pieces."""

    def __init__(self, column: pl.Series | npt.NDArray[Any]) -> None:
        self.length, start = len(column), 0
        self.parts: list[tuple[int, npt.NDArray[Any]]] = []
        for chunk in _chunks(column):
            chunk.setflags(write=False)  # one type of array for the compiled loops
            self.parts += [(start + first, chunk[first:last]) for first, last in parts_of(len(chunk))]
            start += len(chunk)

    def __len__(self) -> int:
        return self.length

    @cached_property
    def whole(self) -> npt.NDArray[Any]:
        """All values in one array."""
        return self.parts[0][1] if len(self.parts) == 1 else np.concatenate([piece for _, piece in self.parts])

    def least_step(self) -> int:
        """The smallest difference between a value and its predecessor."""
        inside = run_calls(sort.least_step, [(piece,) for _, piece in self.parts])
        filled = [piece for _, piece in self.parts if len(piece)]
        between = [int(after[0]) - int(before[-1]) for before, after in pairwise(filled)]
        return int(min([*inside, *between]))


def _chunks(column: pl.Series | npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    if isinstance(column, np.ndarray):
        return [column.view()]
    if column.n_chunks() > 1 and column.n_chunks() * FEWEST_IN_CHUNK > len(column):
        column = column.rechunk()
    return [chunk.to_numpy().view() for chunk in column.get_chunks()]
