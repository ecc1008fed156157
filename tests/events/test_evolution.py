"""What was written under an earlier declaration is read by field name, or refused before anything else happens."""

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.events.growing import Model, User, declare

from flyball.core import BadDeclaration, Refused, StoreCorrupt
from flyball.events import (
    DeclaredLog,
    Event,
    Record,
    Ref,
    Schema,
    integer,
    log_problems,
    open_log,
    real,
    renamed,
    text,
)
from flyball.testing.log_contract import PlainLog

AT = 1_700_000_000_000_000
Item = Annotated[str, Ref("item"), text(max_length=60)]
Stars = Annotated[int, integer(0, 100)]


def rate(**fields: Any) -> type[Event]:
    return declare("Rate", user=User, item=Item, **fields)


BEFORE = rate(stars=Stars, seconds=Stars)


def filled(*classes: type[Event], **values: Any) -> PlainLog:
    """A log with one event, written as declared by `classes`."""
    log = PlainLog(2)
    put(DeclaredLog(log, Schema(classes or [BEFORE])), **(values or {"stars": 5, "seconds": 90}))
    return log


def put(log: DeclaredLog, at: int = AT, name: str = "rate", **values: Any) -> Record:
    """Append an event of user 7 about item x."""
    record = log.schema.check(name, {"user": 7, "item": "x", **values}, at, at)
    log.append([record])
    return record


def events_of(log: DeclaredLog) -> list[Any]:
    return log.schema.decode_many([one for piece in log.read((0,) * len(log.ends()), 10_000) for one in piece.records])


def read(log: PlainLog, *classes: type[Event]) -> Any:
    (event,) = events_of(DeclaredLog(log, Schema(classes)))
    return event


def refused(log: PlainLog, *classes: type[Event]) -> str:
    """Why the log is refused; `flyball check` says the same."""
    with pytest.raises(Refused) as caught:
        DeclaredLog(log, Schema(classes), "the log here")
    problems = log_problems(log, Schema(classes))
    assert problems
    assert all(problem in str(caught.value) for problem in problems)
    assert str(caught.value).startswith("records in the log here must be readable as the event types are declared now")
    return str(caught.value)


def test_swapped_fields_keep_their_values() -> None:
    event = read(filled(), rate(seconds=Stars, stars=Stars))
    assert (event.stars, event.seconds) == (5, 90)


def test_a_field_inserted_before_others_has_its_default() -> None:
    event = read(filled(), rate(device=(str | None, None), stars=Stars, tags=(list[str], []), seconds=Stars))
    assert (event.stars, event.seconds, event.device, event.tags) == (5, 90, None, [])


def test_a_removed_field_leaves_the_others_as_they_were() -> None:
    assert read(filled(), rate(seconds=Stars)).seconds == 90


def test_a_removed_field_that_comes_back_has_its_values_again() -> None:
    log = filled()
    put(DeclaredLog(log, Schema([rate(seconds=Stars)])), at=AT + 1, seconds=8)
    first, second = events_of(DeclaredLog(log, Schema([rate(seconds=Stars, stars=(Stars | None, None))])))
    assert (first.stars, first.seconds, second.stars, second.seconds) == (5, 90, None, 8)
    assert "Rate.stars" in refused(log, rate(seconds=Stars, stars=Stars))


def test_a_renamed_field_is_read_by_its_former_name() -> None:
    log = filled()
    event = read(log, rate(stars=Stars, duration=Annotated[Stars, renamed("seconds")]))
    assert (event.stars, event.duration) == (5, 90)
    put(
        DeclaredLog(log, Schema([rate(stars=Stars, length=Annotated[Stars, renamed("seconds")])])),
        at=AT + 1,
        stars=1,
        length=2,
    )
    later = rate(length=Stars, stars=Stars)  # the log knows by now: the mark may go
    assert [(one.stars, one.length) for one in events_of(DeclaredLog(log, Schema([later])))] == [(5, 90), (1, 2)]


def test_a_renamed_type_is_read_by_its_former_name() -> None:
    log = filled()
    rating = declare("Rating", former=("Rate",), user=User, item=Item, seconds=Stars, stars=Stars)
    declared = DeclaredLog(log, Schema([rating]))
    (event,) = events_of(declared)
    assert (type(event), event.stars, event.seconds) == (rating, 5, 90)
    found = [
        one.type
        for part, end in enumerate(log.ends())
        for piece in declared.read_where(part, 0, end, {"rating": 0})
        for one in piece.records
    ]
    assert found == ["rating"]
    put(declared, name="rating", stars=5, seconds=90)
    assert sum(log.ends()) == 1  # the same event as before
    put(declared, name="rating", at=AT + 1, stars=6, seconds=90)
    unmarked = declare("Rating", user=User, item=Item, seconds=Stars, stars=Stars)
    assert [one.stars for one in events_of(DeclaredLog(log, Schema([unmarked])))] == [5, 6]
    assert "must be one class only" in refused(log, unmarked, BEFORE)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Annotated[float, real(0, 100)], 5.0),
        (float | None, 5.0),
        (Stars | None, 5),
        (Annotated[int, integer(-5, 1_000)], 5),
        (int, 5),
    ],
)
def test_a_widened_field_holds_what_it_held(annotation: Any, value: Any) -> None:
    event = read(filled(), rate(stars=annotation, seconds=Stars))
    assert (event.stars, type(event.stars), event.seconds) == (value, type(value), 90)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("before", "after", "stored", "value"),
    [
        (Literal["red"], Literal["blue", "red"], "red", "red"),
        (Literal["red", "blue"], Color, "red", Color.RED),
        (Color, Literal["red", "blue"], "red", "red"),
        (Literal["red"], str, "red", "red"),
        (list[Annotated[int, integer(0, 9)]], list[float], [1, 2], [1.0, 2.0]),
        (Annotated[str, text(max_length=5)], Annotated[str, text(max_length=50)], "a", "a"),
        (Annotated[str, text(pattern="a")], Annotated[str, text()], "a", "a"),
        (str, Item, "a", "a"),
        (Item, str, "a", "a"),
    ],
)
def test_choices_lists_and_texts_widen(before: Any, after: Any, stored: Any, value: Any) -> None:
    assert read(filled(rate(what=before), what=stored), rate(what=after)).what == value


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (rate(stars=Stars, seconds=Stars, device=str), ["Rate.device (str) is new and has no default", "fb.renamed"]),
        (rate(stars=Stars, duration=Stars), ["Rate.duration (int (ge=0, le=100)) is new", "fb.renamed"]),
        (rate(stars=str, seconds=Stars), ["Rate.stars must stay int (ge=0, le=100), got str", "another name"]),
        (rate(stars=bool, seconds=Stars), ["Rate.stars must stay int"]),
        (rate(stars=list[int], seconds=Stars), ["Rate.stars must stay int (ge=0, le=100), got list[int]"]),
        (
            declare("Rate", user=Annotated[str, Ref("user")], item=Item, stars=Stars, seconds=Stars),
            ["Rate.user must stay int, Ref('user') (ge=1, le=999), got str, Ref('user')"],
        ),
        (
            declare("Rate", user=User, item=Annotated[str, Ref("film")], stars=Stars, seconds=Stars),
            ["Rate.item must stay", "Ref('item')", "Ref('film')"],
        ),
        (
            declare("Rate", item=Item, user=User, stars=Stars, seconds=Stars),
            ["Rate: the first Ref must stay 'user' of entity 'user', which the log is partitioned by, got 'item'"],
        ),
        (
            declare("Rate", item=Item, stars=Stars, seconds=Stars),
            ["Rate: the first Ref must stay 'user'"],
        ),
        (
            rate(seconds=Annotated[Stars, renamed("stars")]),
            ["Rate.seconds must be either itself or renamed from 'stars'"],
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(after: type[Event], words: Sequence[str]) -> None:
    why = refused(filled(), after)
    assert all(word in why for word in words), why


@pytest.mark.parametrize(
    ("annotation", "must"),
    [
        (Annotated[int, integer(0, 50)], "Rate.seconds must be int (ge=0, le=50), got 90 at offset 0 of partition"),
        (Annotated[int, integer(91)], "Rate.seconds must be int (ge=91), got 90"),
        (Literal[1, 2, 3], "Rate.seconds must be one of 1, 2, 3, got 90"),
    ],
)
def test_values_that_a_narrower_declaration_does_not_allow_are_refused(annotation: Any, must: str) -> None:
    assert must in refused(filled(), rate(stars=Stars, seconds=annotation))


@pytest.mark.parametrize(
    ("added", "after", "must"),
    [
        ((int | None, None), (int, 5), "Rate.what must be int, got None, the default with which it came"),
        ((Stars, 100), (Annotated[int, integer(0, 10)], 5), "Rate.what must be int (ge=0, le=10), got 100"),
        ((Literal["a", "b"], "a"), (Literal["b", "c"], "b"), "Rate.what must be one of 'b', 'c', got 'a'"),
        ((int | None, None), int, "Rate.what must be int, got None"),
    ],
)
def test_a_default_that_a_narrower_declaration_does_not_allow_is_refused(added: Any, after: Any, must: str) -> None:
    log = filled()
    put(DeclaredLog(log, Schema([rate(stars=Stars, seconds=Stars, what=added)])), stars=5, seconds=91)
    assert must in refused(log, rate(stars=Stars, seconds=Stars, what=after))


def test_a_narrower_declaration_is_fine_where_all_values_are() -> None:
    log = filled()
    narrow = rate(stars=Annotated[int, integer(0, 5)], seconds=Annotated[int, integer(0, 90)])
    declared = DeclaredLog(log, Schema([narrow]))
    assert [(one.stars, one.seconds) for one in events_of(declared)] == [(5, 90)]
    still_wide = DeclaredLog(log, Schema([BEFORE]))
    put(still_wide, at=AT + 1, stars=77, seconds=0)
    with pytest.raises(Refused, match=r"Rate.stars must be int \(ge=0, le=5\), got 77"):
        events_of(declared)
    assert "got 77" in refused(log, narrow)


def test_none_is_looked_for_where_it_is_not_allowed_any_more() -> None:
    log = filled(rate(stars=(Stars | None, None)), stars=None)
    assert "Rate.stars must be int (ge=0, le=100), got None" in refused(log, rate(stars=Stars))


def test_an_older_process_reads_what_a_newer_one_writes_and_writes_what_that_can_read() -> None:
    log = filled()
    old = DeclaredLog(log, Schema([BEFORE]))
    newer = rate(device=(str, "tv"), stars=Annotated[float, real(0, 100)], seconds=Stars)
    new = DeclaredLog(log, Schema([rate(device=(str, "tv"), seconds=Stars, stars=Stars)]))
    put(new, at=AT + 1, stars=1, seconds=2, device="phone")
    put(old, at=AT + 2, stars=3, seconds=4)
    assert [(one.stars, one.seconds) for one in events_of(old)] == [(5, 90), (1, 2), (3, 4)]
    assert [one.device for one in events_of(new)] == ["tv", "phone", "tv"]
    put(DeclaredLog(log, Schema([newer])), at=AT + 3, stars=0.5, seconds=2)
    with pytest.raises(Refused, match=r"Rate.stars must stay float .*\n.*start it again"):
        events_of(old)


def test_an_older_process_cannot_write_what_a_newer_one_does_not_allow() -> None:
    log = filled()
    old = DeclaredLog(log, Schema([BEFORE]))
    narrow = DeclaredLog(log, Schema([rate(stars=Annotated[int, integer(0, 5)], seconds=Stars)]))
    put(narrow, at=AT + 1, stars=1, seconds=1)
    with pytest.raises(Refused, match="declaration"):
        put(old, at=AT + 2, stars=50, seconds=1)
    put(DeclaredLog(log, Schema([BEFORE])), at=AT + 2, stars=50, seconds=1)  # declared again: started since
    assert sum(log.ends()) == 3


def test_trying_a_declaration_without_writing_leaves_no_trace() -> None:
    log = filled()
    DeclaredLog(log, Schema([rate(seconds=Stars)]))
    assert read(log, BEFORE).stars == 5
    assert len(log.schemas.stored()) == 1


def test_flags_follow_their_fields() -> None:
    friend = Annotated[int, Ref("friend")]
    log = PlainLog(2)
    declared = DeclaredLog(log, Schema([rate(friend=friend, stars=Stars)]))
    known: dict[str, set[str]] = {"user": {"7"}, "item": {"x"}, "friend": set()}
    declared.append(
        [declared.schema.check("rate", {"user": 7, "item": "x", "friend": 3, "stars": 1}, AT, AT, known=known)]
    )
    after = DeclaredLog(log, Schema([declare("Rate", user=User, friend=friend, stars=Stars, item=Item)]))
    (record,) = [one for piece in after.read((0, 0), 10) for one in piece.records]
    assert record.flags == 0b010


def test_a_record_is_never_decoded_by_another_declaration() -> None:
    record = Schema([BEFORE]).check("rate", {"user": 1, "item": "x", "stars": 5, "seconds": 900 // 10}, AT, AT)
    with pytest.raises(StoreCorrupt, match="as it is declared now"):
        Schema([rate(seconds=Stars, stars=Stars)]).decode(record)


def test_the_same_line_is_the_same_event_after_the_type_has_grown() -> None:
    log, real_stars = filled(), Annotated[float, real(0, 100)]
    grown = [
        rate(device=(str, "tv"), seconds=Stars, stars=real_stars),
        rate(device=(str, "phone"), stars=real_stars | None, duration=Annotated[Stars, renamed("seconds")]),
        rate(stars=(float | None, 5.0), duration=Stars),
    ]
    for number, cls in enumerate(grown, 1):
        declared = DeclaredLog(log, Schema([cls]))
        duration = "duration" if number > 1 else "seconds"
        device = {"device": "tv"} if number == 2 else {}
        put(declared, stars=5, **{duration: 90}, **device)
        assert sum(log.ends()) == number
        put(declared, at=AT + number, stars=5, **{duration: 90}, **device)
        assert sum(log.ends()) == number + 1
    declared = DeclaredLog(log, Schema([rate(device=(str, "phone"), stars=(float | None, 5.0), duration=Stars)]))
    put(declared, duration=90)
    assert sum(log.ends()) == 5  # device is "phone" now: another event than the one whose default was "tv"


def test_former_names_must_be_free() -> None:
    with pytest.raises(BadDeclaration, match=r"Rate.stars must be renamed from a name that no other field has or had"):
        Schema([rate(stars=Annotated[Stars, renamed("seconds")], seconds=Stars)])
    with pytest.raises(BadDeclaration, match=r"Rating.former_names must be names that no declared event type has"):
        Schema([BEFORE, declare("Rating", former=("Rate",), user=User)])
    with pytest.raises(BadDeclaration, match="names that the field had before"):
        renamed()


def test_a_default_may_be_taken_away() -> None:
    log = filled()
    put(DeclaredLog(log, Schema([rate(stars=Stars, seconds=Stars, what=(int, 3))])), stars=5, seconds=91)
    after = DeclaredLog(log, Schema([rate(stars=Stars, seconds=Stars, what=int)]))
    assert [event.what for event in events_of(after)] == [3, 3]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_sequence_of_changes_reads_as_dicts_by_name(data: st.DataObject) -> None:
    """Declarations change, events come between, handles open again: what is read back is what plain dicts hold."""
    model, log = Model(), PlainLog(1)
    steps = st.sampled_from(["add", "back", "remove", "rename", "reorder", "widen", "narrow", "default", "no default"])
    for _ in range(data.draw(st.integers(1, 6), label="declarations")):
        for step in data.draw(st.lists(steps, max_size=3), label="changes"):
            model.change(step, data)
        declared = DeclaredLog(log, Schema([model.declare()]))
        for _ in range(data.draw(st.integers(1, 4), label="events")):
            at = AT + data.draw(st.integers(0, 2))
            sent, new = model.put(at, data)
            record = declared.schema.check("thing", {"user": 7} | sent, at, at)
            assert declared.append([record]).written == int(new)
        assert [(one.at, _fields(one)) for one in events_of(declared)] == model.seen()
    assert not any(record.schema == 0 for piece in log.read((0,), 1_000) for record in piece.records)


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__ if name not in ("at", "user")}


def test_a_file_of_the_format_before_schemas_is_refused(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "events.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    connection.commit()
    connection.close()
    with pytest.raises(Refused, match=r"must be of format 2, got 0: .* read its source into a new --home"):
        open_log(f"sqlite://{path}")
