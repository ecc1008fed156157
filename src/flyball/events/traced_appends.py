"""Appends to a log with a trace for each event: the first span of the event's own trace."""

from collections.abc import Sequence

from flyball.core import Clock
from flyball.events.log import Appended, Appends, Record
from flyball.tracing import APPEND, Tracer, TraceSpan, trace_of


class TracedAppends:
    """Appends through `target`, and records a span for each event that was new and is traced."""

    def __init__(self, target: Appends, tracer: Tracer, clock: Clock) -> None:
        self._target, self._tracer, self._clock = target, tracer, clock

    def append(self, records: Sequence[Record]) -> Appended:
        began_us = self._clock.now_us()
        appended = self._target.append(records)
        ended_us, repeated = self._clock.now_us(), set(appended.duplicates)
        self._tracer.record(
            [
                TraceSpan(
                    trace=trace,
                    name=APPEND,
                    began_us=began_us,
                    ended_us=ended_us,
                    kind="producer",
                    attributes={"flyball.event.type": record.type},
                )
                for index, record in enumerate(records)
                if index not in repeated and self._tracer.samples(trace := trace_of(record.id))
            ]
        )
        return appended
