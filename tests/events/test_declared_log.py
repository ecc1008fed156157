"""A log read as declared today: what is looked at, how often, and how what cannot be read is reported."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import pytest
from tests.events.growing import User, declare

from flyball.core import Refused, StoreCorrupt
from flyball.events import DeclaredLog, Event, Schema, Slice, integer, renamed
from flyball.events.declared_log import declaration_problems, log_problems, refuse_unreadable
from flyball.testing.log_contract import PlainLog

AT = 1_700_000_000_000_000
Stars = Annotated[int, integer(0, 100)]
Few = Annotated[int, integer(0, 5)]


def rate(name: str = "Rate", /, **fields: Any) -> type[Event]:
    return declare(name, user=User, **fields)


class Counting(PlainLog):
    """Notes how many records were read."""

    def __init__(self, partitions: int) -> None:
        super().__init__(partitions)
        self.seen = 0

    def read(self, after: Sequence[int], limit: int) -> list[Slice]:
        slices = super().read(after, limit)
        self.seen += sum(len(piece.records) for piece in slices)
        return slices


def put(log: DeclaredLog, *stars: int, at: int = AT) -> None:
    log.append([log.schema.check("rate", {"user": 7, "stars": n}, at + row, at) for row, n in enumerate(stars)])


def read(log: DeclaredLog) -> list[Slice]:
    return list(log.read((0,) * len(log.ends()), 100))


def test_what_was_written_as_declared_today_is_handed_on_as_it_is() -> None:
    log = PlainLog(1)
    declared = DeclaredLog(log, Schema([rate(stars=Stars)]))
    put(declared, 1, 2)
    (stored,), (shown,) = log.read((0,), 100), read(declared)
    assert all(record is other for record, other in zip(shown.records, stored.records, strict=True))


def test_of_records_of_several_declarations_each_is_read_by_its_own() -> None:
    log = PlainLog(1)
    put(DeclaredLog(log, Schema([rate(stars=Stars)])), 1)
    put(DeclaredLog(log, Schema([rate(other=(int, 9), stars=Stars)])), 2, at=AT + 1)
    now = DeclaredLog(log, Schema([rate(points=Annotated[Stars, renamed("stars")])]))
    (piece,) = read(now)
    assert [event.points for event in now.schema.decode_many(piece.records)] == [1, 2]  # type: ignore[attr-defined]
    assert {record.schema for record in piece.records} == {now.schema.types["rate"].fingerprint}
    assert piece.first == 0


def test_values_of_a_narrower_declaration_are_looked_at_once() -> None:
    log = Counting(2)
    put(DeclaredLog(log, Schema([rate(stars=Stars)])), 1, 2, 3)
    narrow = Schema([rate(stars=Few)])
    log.seen = 0
    DeclaredLog(log, narrow)
    assert log.seen == 3
    DeclaredLog(log, narrow)
    assert log.seen == 3, "what was looked at is noted in the log"
    put(DeclaredLog(log, narrow), 4, at=AT + 9)
    log.seen = 0
    assert log_problems(log, narrow) == []
    assert log.seen <= 1


def test_what_is_not_allowed_is_counted_with_the_first_and_looked_at_again_next_time() -> None:
    log = Counting(1)
    put(DeclaredLog(log, Schema([rate(stars=Stars)])), 1, 77, 2, 88)
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            DeclaredLog(log, Schema([rate(stars=Few)]), "the log here")
        reported = "Rate.stars must be int (ge=0, le=5), got 77 at offset 1 of partition 0, one of 2 such records"
        assert str(caught.value).splitlines()[1].startswith(f"- {reported}")
    assert len(log.schemas.stored()) == 1, "nothing was begun"


def test_each_problem_is_reported_once_on_a_line_of_its_own() -> None:
    log = PlainLog(1)
    put(DeclaredLog(log, Schema([rate(stars=Stars)])), 1)
    put(DeclaredLog(log, Schema([rate(stars=Stars, more=(int, 0))])), 1, at=AT + 5)
    schema = Schema([rate(stars=str, needed=int)])
    problems = log_problems(log, schema)
    assert [problem.split(" ")[0] for problem in problems] == ["Rate.stars", "Rate.needed"]
    assert declaration_problems(schema.after(log.schemas.stored())) == problems
    with pytest.raises(Refused) as caught:
        refuse_unreadable(schema.after(log.schemas.stored()), "the copy")
    assert str(caught.value).splitlines()[1:] == [f"- {problem}" for problem in problems]
    refuse_unreadable(Schema([rate(stars=Stars)]).after(log.schemas.stored()), "the copy")


def test_two_classes_cannot_go_by_one_earlier_name() -> None:
    """Rate became Rating; a new class of the old name would read the same records."""
    log = PlainLog(1)
    put(DeclaredLog(log, Schema([rate(stars=Stars)])), 1)
    renamed_log = DeclaredLog(log, Schema([declare("Rating", former=("Rate",), user=User, stars=Stars)]))
    renamed_log.append([renamed_log.schema.check("rating", {"user": 7, "stars": 3}, AT + 1, AT)])
    with pytest.raises(Refused, match="event type 'rate' must be one class only, got (Rate|Rating) and another"):
        DeclaredLog(log, Schema([declare("Rating", user=User, stars=Stars), rate(stars=Stars, shade=(str, ""))]))
    DeclaredLog(log, Schema([declare("Rating", user=User, stars=Stars), declare("Review", user=User)]))


class Foreign(PlainLog):
    """Holds records of a declaration that it does not know."""

    def read(self, after: Sequence[int], limit: int) -> list[Slice]:
        return [
            Slice(
                piece.partition, piece.first, [msgspec.structs.replace(one, schema=0xABCDEF) for one in piece.records]
            )
            for piece in super().read(after, limit)
        ]


def test_a_record_of_no_declaration_that_the_log_holds_is_corrupt() -> None:
    declared = DeclaredLog(Foreign(1), Schema([rate(stars=Stars)]))
    put(declared, 1)
    with pytest.raises(StoreCorrupt, match="written with a declaration that the log holds, got '00abcdef'"):
        read(declared)
