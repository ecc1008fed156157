"""The responses of one candidate to an evaluation set as columns, from which metrics are computed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.tasks.response import Response

T = TypeVar("T")


class Answers(msgspec.Struct, frozen=True):
    """A row for each request; it crosses between processes.

    `items`: int32 (requests, width), indexes into `names`, best first, -1 for none. `sources`: int8 of the same shape,
    indexes into `source_names`. `scores`: float64 of the same shape. `values`: float64 (requests, values).
    `decisions`: of each request, [] where there are none. `further`: what a task's metrics need beside responses.
    `derived`: what metrics computed from them and share.
    """

    items: NDArray[np.int32]
    names: list[str]
    sources: NDArray[np.int8]
    source_names: list[str]
    scores: NDArray[np.float64]
    values: NDArray[np.float64]
    further: Mapping[str, NDArray[Any]] = {}
    derived: dict[str, Any] = {}
    decisions: list[str] = []

    def take(self, rows: NDArray[np.int64]) -> "Answers":
        """The answers to some of the requests, without `further`."""
        decisions = [self.decisions[row] for row in rows.tolist()] if self.decisions else []
        return Answers(
            self.items[rows],
            self.names,
            self.sources[rows],
            self.source_names,
            self.scores[rows],
            self.values[rows],
            decisions=decisions,
        )

    def shared(self, name: str, compute: Callable[[], T]) -> T:
        """The result of `compute`, cached."""
        if name not in self.derived:
            self.derived[name] = compute()
        value: T = self.derived[name]
        return value


def answers_of(responses: Sequence[Response], further: Mapping[str, NDArray[Any]] | None = None) -> Answers:
    """The responses as columns.

    >>> answers_of([Response(values=(1.5,)), Response(values=(2.0,))]).values
    array([[1.5],
           [2. ]])
    """
    width = max((len(response.items) for response in responses), default=0)
    index: dict[str, int] = {}
    sources: dict[str, int] = {}
    items = np.full((len(responses), width), -1, np.int32)
    codes, scores = np.zeros(items.shape, np.int8), np.zeros(items.shape)
    for row, response in enumerate(responses):
        ranked = response.items
        items[row, : len(ranked)] = [index.setdefault(item.item, len(index)) for item in ranked]
        codes[row, : len(ranked)] = [sources.setdefault(item.source, len(sources)) for item in ranked]
        scores[row, : len(ranked)] = [item.score for item in ranked]
    values = np.array([response.values for response in responses], np.float64).reshape(len(responses), -1)
    decisions = [response.decision for response in responses]
    decided = decisions if any(decisions) else []
    return Answers(items, list(index), codes, list(sources), scores, values, further or {}, {}, decided)
