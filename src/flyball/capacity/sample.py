"""Events of an application to measure with: those of its log, or of its world, and smaller samples of them."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, get_type_hints
from zlib import crc32

import msgspec

from flyball.core import Refused, format_timestamp
from flyball.events import Event, Ref, Schema, after_slices
from flyball.runtime import Runtime
from flyball.tasks import key_field

LEAST, MOST = 2_000, 100_000
_BATCH, _DAY_US = 5_000, 86_400_000_000


class SampledEvent(msgspec.Struct, frozen=True):
    """One event as a line of JSON; `user`: the text of who the application answers about, `item`: of what it ranks, ""
    where it names none; `request`: the fields of a request, where it is one."""

    line: bytes
    at_us: int
    user: str = ""
    item: str = ""
    request: dict[str, Any] | None = None


class EventSample(msgspec.Struct, frozen=True):
    """Events in their order, and where they came from, as text."""

    events: tuple[SampledEvent, ...]
    source: str

    @property
    def users(self) -> int:
        return len({event.user for event in self.events} - {""})

    @property
    def items(self) -> int:
        return len({event.item for event in self.events} - {""})

    @property
    def days(self) -> float:
        """The time from the first to the last event that is no profile, at least an hour."""
        times = sorted(event.at_us for event in self.events)
        few = len(times) // 100  # profiles and stray times
        return max((times[-1 - few] - times[few]) / _DAY_US, 1 / 24)

    def part(self, users: bool, items: bool) -> "EventSample":
        """The events of half of the users, half of the items, or both; who and what stays depends on its name alone."""
        kept = [
            event
            for event in self.events
            if not (users and event.user and _odd(event.user)) and not (items and event.item and _odd(event.item))
        ]
        return EventSample(tuple(kept), self.source)


def _odd(name: str) -> bool:
    return bool(crc32(name.encode()) & 1)


def take_sample(runtime: Runtime, source: str, most: int = MOST) -> EventSample:
    """The first `most` events of the log. Raises `Refused` for fewer than 2,000."""
    events = tuple(islice(_events(runtime), most))
    if len(events) < LEAST:
        raise Refused(
            f"the log must hold {LEAST:,} events to measure with, got {len(events):,} in {source}: ingest more, or "
            "name a home that has them by --home"
        )
    return EventSample(events, source)


def _events(runtime: Runtime) -> Iterator[SampledEvent]:
    about, schema, log = runtime.app.task.about, runtime.schema, runtime.log
    user = user_entity(about.request)
    position = (0,) * len(log.ends())
    while slices := log.read(position, _BATCH):
        for piece in slices:
            for event in schema.decode_many(piece.records):
                yield _sampled(schema, event, user, about.items, about.request)
        position = after_slices(position, slices)


def user_entity(request: type[Event]) -> str:
    """The entity that a request names first; "" where it names none."""
    name = key_field(request)
    annotation = get_type_hints(request, include_extras=True).get(name)
    return next((mark.entity for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Ref)), "")


def _sampled(schema: Schema, event: Event, user: str, item: str, request: type[Event]) -> SampledEvent:
    declared = schema.type_of(type(event))
    if declared is None:
        raise Refused(f"an event must be of a declared type, got {type(event).__name__}: run flyball check")
    fields = msgspec.to_builtins(event, builtin_types=(bytes,))
    at_us = fields.pop("at")
    named = {entity: str(fields[field]) for field, entity in declared.refs if fields.get(field) is not None}
    line = msgspec.json.encode({"type": declared.name, "at": format_timestamp(at_us), **fields})
    request_fields = fields if isinstance(event, request) else None
    return SampledEvent(line, at_us, named.get(user, ""), named.get(item, "") if item else "", request_fields)
