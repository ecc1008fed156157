"""Finds the records that name a person, or any other entity: in every field that was declared as a reference to it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from unicodedata import normalize

import msgspec

from flyball.core import BadInput
from flyball.events import EventLog, Offsets, Record, WrittenType
from flyball.outcomes import named_in, prediction_of
from flyball.tasks import About

AT_ONCE = 20_000
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Any]).decode


class Person(msgspec.Struct, frozen=True, order=True):
    """A member of an entity: the kind that `Ref(...)` declares, and the id as text."""

    entity: str
    id: str


def equal_ids(id: str) -> tuple[str, ...]:
    """The id and the texts that Unicode holds to be equal to it: an accent may be a letter of its own, or not.

    >>> [len(same) for same in equal_ids("zo\u00eb")]
    [4, 3]
    """
    return tuple(sorted({id, normalize("NFC", id), normalize("NFD", id)}))


class _Reference(msgspec.Struct, frozen=True):
    """A field of a record: its index in the body, its entity, and whether it is a list."""

    index: int
    entity: str
    listed: bool


NamesPeople = Callable[[Record], bool]
"""Whether a record names one of the people."""
OnOther = Callable[[str], object]
"""Takes every id of the same entities in the records that are looked at: longer ids of others among them."""


def _no_id(id: str) -> None:
    """Nobody asks for the ids."""


def records_about(
    log: EventLog,
    names: NamesPeople,
    people: Iterable[Person],
    after: Offsets,
    on_step: Callable[[], object] = lambda: None,
) -> tuple[dict[int, list[int]], Offsets]:
    """{partition: offsets} of the records behind `after` that name one of the people, and the end of what was read.

    `names`: of `event_names` or `answer_names`; it is asked only for records that hold the bytes of an id.
    """
    patterns = [pattern for person in people for pattern in id_forms(person.id)]
    keys = {person.id for person in people}
    matching: dict[int, list[int]] = {}
    while slices := log.read(after, AT_ONCE):
        moved = list(after)
        for piece in slices:
            for offset, record in enumerate(piece.records, piece.first):
                body = record.body
                if (record.key in keys or any(pattern in body for pattern in patterns)) and names(record):
                    matching.setdefault(piece.partition, []).append(offset)
            moved[piece.partition] = max(moved[piece.partition], piece.end)
        if tuple(moved) == after:
            break
        after = tuple(moved)
        on_step()
    return matching, after


def event_names(
    written: Sequence[WrittenType], people: Iterable[Person], now: Mapping[str, Any], on_other: OnOther = _no_id
) -> NamesPeople:
    """Whether an event names one of the people, by the declaration that it was written with.

    `now`: the event types that are declared, by name; the entity of a field that both have is today's too.
    """
    by_schema = {row.fingerprint: _references(row, now.get(row.name)) for row in written}
    ids_by_entity = _by_entity(people)
    ids = {person.id for person in people}

    def names(record: Record) -> bool:
        references = by_schema.get(record.schema)
        if references is None:  # no declared event: all that is known of it is its key
            return record.key in ids
        values = _unpack(record.body)
        is_about = False
        for reference in references:
            own = ids_by_entity.get(reference.entity)
            if own is not None and reference.index < len(values):
                for id in _text_in(values[reference.index], reference.listed):
                    is_about = is_about or id in own
                    on_other(id)
        return is_about

    return names


def answer_names(about: About, people: Iterable[Person], on_other: OnOther = _no_id) -> NamesPeople:
    """Whether an answer's request names one of the people, or the answer shows one."""
    named, ids = named_in(about), {(person.entity, person.id) for person in people}
    keys, entities = {id for _, id in ids}, {entity for entity, _ in ids}

    def names(record: Record) -> bool:
        try:
            prediction = prediction_of(record)
        except BadInput:  # of a format that cannot be read any more: all that is known of it is its key
            return record.key in keys
        those = set(named(prediction))
        for entity, id in those:
            if entity in entities:
                on_other(id)
        return not ids.isdisjoint(those)

    return names


def _by_entity(people: Iterable[Person]) -> dict[str, frozenset[str]]:
    entities: dict[str, set[str]] = {}
    for person in people:
        entities.setdefault(person.entity, set()).add(person.id)
    return {entity: frozenset(ids) for entity, ids in entities.items()}


def _references(row: WrittenType, declared: Any) -> list[_Reference]:
    today = {} if declared is None else dict((*declared.refs, *declared.list_refs))
    references = []
    for index, field in enumerate(row.fields):
        own, listed = field.kind.entity, False
        if own is None and field.kind.item is not None:
            own, listed = field.kind.item.entity, True
        entities = {own, today.get(field.name)} - {None}
        references += [_Reference(index, str(entity), listed) for entity in sorted(map(str, entities))]
    return references


def _text_in(value: Any, listed: bool) -> set[str]:
    if value is None:
        return set()
    return {str(item) for item in value} if listed and isinstance(value, list) else {str(value)}


def id_forms(id: str) -> Iterator[bytes]:
    """The bytes of an id in a body: as text, and as a number where it is written like one."""
    yield id.encode()
    digits = id.removeprefix("-")
    if digits.isdecimal() and str(int(id)) == id and -(1 << 63) <= int(id) < 1 << 64:
        yield _pack(int(id))
