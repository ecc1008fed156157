"""Consumers of the log that add to the traces of the events and answers that they apply."""

from collections.abc import Sequence

import msgspec

from flyball.core import Clock
from flyball.events import Slice
from flyball.operations.worker import Consumer
from flyball.outcomes import OutcomeChange
from flyball.tracing import ANSWER, APPEND, Tracer, TraceSpan, span_id, trace_of


def traced(consumer: Consumer, tracer: Tracer, clock: Clock, first: str) -> Consumer:
    """The consumer, with a span for each record that is traced; those of records that are applied again are the same.

    A batch is applied as a whole, so its spans all last as long as the batch. `first`: the name of the first span in
    the trace of a record.
    """

    def apply(slices: Sequence[Slice]) -> object:
        began_us = clock.now_us()
        applied = consumer.apply(slices)
        ended_us = clock.now_us()
        tracer.record(
            [
                TraceSpan(
                    trace=trace,
                    name=f"apply to {consumer.name}",
                    began_us=began_us,
                    ended_us=ended_us,
                    kind="consumer",
                    parent=span_id(trace, first),
                    attributes={"flyball.partition": piece.partition, "flyball.offset": piece.first + index},
                )
                for piece in slices
                for index, record in enumerate(piece.records)
                if tracer.samples(trace := trace_of(record.id))
            ]
        )
        return applied

    return msgspec.structs.replace(consumer, apply=apply)


class OutcomeSpans:
    """Spans of outcomes in the traces of answers, with links to the traces of the events that made them."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def changed(self, changes: Sequence[OutcomeChange]) -> None:
        """What the events of one batch changed in the outcomes of answers is stored."""
        self._tracer.record(
            [
                TraceSpan(
                    trace=trace,
                    name=f"outcome at {change.at_us}",
                    began_us=change.at_us,
                    ended_us=change.at_us,
                    kind="consumer",
                    parent=span_id(trace, ANSWER),
                    attributes={f"flyball.label.{name}": value for name, value in change.labels.items()},
                    links=tuple((event, span_id(event, APPEND)) for event in map(trace_of, change.events)),
                )
                for change in changes
                if self._tracer.samples(trace := trace_of(change.prediction))
            ]
        )
