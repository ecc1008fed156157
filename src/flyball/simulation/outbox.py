"""Events and outcomes of a simulated world that are decided but not emitted yet."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.simulation.world import Timeline, TrueOutcome, WorldBatch


class Outbox:
    """JSON lines and true outcomes that are to be emitted.

    Lines are ordered by world time, then by the number of the request, then by the step among the events after it.
    """

    def __init__(self) -> None:
        self._lines: list[tuple[int, int, int, str, Mapping[str, Any]]] = []
        self._outcomes: list[TrueOutcome] = []

    def add(self, at_us: int, number: int, step: int, type: str, fields: Mapping[str, Any]) -> None:
        """Add an event of `type` at world time `at_us`, the `step`-th event after the `number`-th request."""
        self._lines.append((at_us, number, step, type, fields))

    def note(self, outcome: TrueOutcome) -> None:
        self._outcomes.append(outcome)

    def batch(self, until_us: int, timeline: Timeline) -> WorldBatch:
        """The lines before `until_us`, with written timestamps, and all outcomes noted since the last batch."""
        self._lines.sort(key=lambda line: line[:3])
        due = [line for line in self._lines if line[0] < until_us]
        self._lines = self._lines[len(due) :]
        outcomes, self._outcomes = self._outcomes, []
        encode = msgspec.json.Encoder().encode
        lines = [encode({"type": type, "at": timeline.written(at), **fields}) for at, _, _, type, fields in due]
        planted = Counter(line[3] for line in due)
        return WorldBatch([("jsonl", lines)] if lines else [], planted, outcomes, bool(self._lines))
