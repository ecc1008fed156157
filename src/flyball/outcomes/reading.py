"""What an event says about a user and an item: the touches that can follow a prediction."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from flyball.core import BadDeclaration
from flyball.events import Event, Record, Schema
from flyball.policy import AnyOf, Outcome, Value, compile_python, outcomes_of

MICRO = 1_000_000
_PARTITION_BITS = 12


class Named(Protocol):
    """An entity; only its name is read here."""

    @property
    def name(self) -> str: ...


class Signalled(Protocol):
    """The part of a task that is read here: whom and what it is about, and what counts as an outcome."""

    @property
    def user(self) -> Named: ...
    @property
    def item(self) -> Named: ...
    @property
    def positive(self) -> Outcome | AnyOf: ...
    @property
    def hint(self) -> Outcome | AnyOf | None: ...
    @property
    def rating(self) -> Value | None: ...


class Touch(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event about one (user, item).

    `seq`: its offset and partition in the log as one number, unique, by offset first. `bits`: bit i set when it
    qualifies for the i-th positive outcome. `taken`: it qualifies for a positive outcome or a hint. `rating_micro`: in
    millionths, None for none.
    """

    at: int
    seq: int
    kind: str
    bits: int
    taken: bool
    rating_micro: int | None


class Spans(msgspec.Struct, frozen=True):
    """For each positive outcome: how many qualifying touches, within which span, make it hold."""

    counts: tuple[int, ...]
    withins_us: tuple[int, ...]

    def hold(self, touches: Sequence[Touch]) -> bool:
        """Whether some outcome holds over `touches`, sorted by time."""
        for place, (count, within_us) in enumerate(zip(self.counts, self.withins_us, strict=True)):
            ats = [touch.at for touch in touches if touch.bits >> place & 1]
            if any(ats[last] - ats[last - count + 1] < within_us for last in range(count - 1, len(ats))):
                return True
        return False


_Test = Callable[[Event], Any]


class Reader:
    """Reads records of the event log as touches, by the outcomes that a task declares."""

    def __init__(self, schema: Schema, task: Signalled) -> None:
        positives, hints = outcomes_of(task.positive), outcomes_of(task.hint)
        self.spans = Spans(
            tuple(one.at_least for one in positives),
            tuple(one.within_us for one in positives),
        )
        self._schema = schema
        self._fields: dict[str, tuple[str, str]] = {}
        self._tests: dict[str, tuple[list[tuple[int, _Test]], list[_Test], _Test | None]] = {}
        declared = {one.event for one in (*positives, *hints)} | ({task.rating.event} if task.rating else set())
        for name, kind in schema.types.items():
            if kind.cls not in declared:
                continue
            refs = {entity: field for field, entity in kind.refs}
            if task.user.name not in refs or task.item.name not in refs:
                raise BadDeclaration(f"outcome event {name}", f"about {task.user.name} and {task.item.name}", refs)
            self._fields[name] = refs[task.user.name], refs[task.item.name]
            self._tests[name] = (
                [(bit, _test(one)) for bit, one in enumerate(positives) if one.event is kind.cls],
                [_test(one) for one in hints if one.event is kind.cls],
                compile_python(task.rating.expression) if task.rating and task.rating.event is kind.cls else None,
            )

    def read(self, partition: int, first: int, records: Sequence[Record]) -> list[tuple[str, str, Touch]]:
        """(user, item, touch) of every record that names both; `first`: the offset of `records[0]`."""
        kept = [
            ((first + place) << _PARTITION_BITS | partition, record)
            for place, record in enumerate(records)
            if record.type in self._fields
        ]
        events = self._schema.decode_many([record for _, record in kept])
        return [
            (str(user), str(item), self._touch(seq, record, event))
            for (seq, record), event in zip(kept, events, strict=True)
            if (user := getattr(event, self._fields[record.type][0])) is not None
            and (item := getattr(event, self._fields[record.type][1])) is not None
        ]

    def _touch(self, seq: int, record: Record, event: Event) -> Touch:
        positives, hints, rating = self._tests[record.type]
        bits = sum(1 << bit for bit, test in positives if test(event))
        taken = bits != 0 or any(test(event) for test in hints)
        rated = None if rating is None else rating(event)
        return Touch(record.at, seq, record.type, bits, taken, None if rated is None else round(rated * MICRO))


def _test(declared: Outcome) -> _Test:
    return (lambda event: True) if declared.where is None else compile_python(declared.where)
