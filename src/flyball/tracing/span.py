"""One span, and the ids of traces and spans."""

from hashlib import blake2b
from typing import Literal

import msgspec

ANSWER, APPEND = "answer", "append event"
"""The first span in the trace of an answer, and in that of an event."""

SpanKind = Literal["internal", "server", "producer", "consumer"]
"""Those of OpenTelemetry."""

AttributeValue = str | int | float | bool


class TraceSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work on an event or an answer.

    `trace`: 16 bytes. `name`: unique in its trace, since the span's id follows from both (see `span_id`).
    `began_us`, `ended_us`: wall-clock time. `parent`: the id of the span it is a part of, None for the first of a
    trace. `links`: (trace, span) of others that it has to do with. `error`: what failed, "" if nothing did.
    """

    trace: bytes
    name: str
    began_us: int
    ended_us: int
    kind: SpanKind = "internal"
    parent: bytes | None = None
    attributes: dict[str, AttributeValue] = {}
    links: tuple[tuple[bytes, bytes], ...] = ()
    error: str = ""
    id: bytes = b""

    @property
    def span(self) -> bytes:
        """The id of the span, 8 bytes."""
        return self.id or span_id(self.trace, self.name)


def span_id(trace: bytes, name: str) -> bytes:
    """The id of the span of this name in a trace: the same in every process."""
    return blake2b(name.encode(), digest_size=8, key=trace).digest()


def trace_of(record_id: bytes) -> bytes:
    """The trace of a record of a log by its id of 16 bytes, which is that of its event or answer.

    The standard has no trace of zeros alone; such an id does not occur but by design.
    """
    return record_id if any(record_id) else b"\xff" * 16
