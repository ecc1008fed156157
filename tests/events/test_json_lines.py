"""One JSON object a line: how its type is recognized, what is remembered, and what no JSON is."""

import json
from typing import Annotated, Any

import pytest

from flyball.events import Event, Format, Parsed, Ref, Schema, columns
from flyball.events import json_lines as module
from flyball.testing.movie_events import movie_schema

SCHEMA = movie_schema()
WATCH = {"at": 5, "user": 7, "film": "up", "minute": 3}


class Order(Event):
    number: Annotated[int, Ref("order")]
    type: str


class Sent(Event):
    number: Annotated[int, Ref("order")]
    weight: float | None = None


def parsed(*lines: object, schema: Schema = SCHEMA, only: str | None = None, how: Format | None = None) -> Parsed:
    """`lines`: bytes as they are, anything else as JSON."""
    parser = (how or columns()["jsonl"]).parser(schema, only)
    return parser.parse([line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines])


def details(result: Parsed) -> list[tuple[int, str, str]]:
    return [(bad.index, bad.reason, bad.detail) for bad in result.bad]


def types(result: Parsed) -> list[tuple[str, tuple[str, ...]]]:
    return [(batch.type, batch.fields) for batch in result.batches]


@pytest.mark.parametrize(
    "line",
    [b"{", b'{"a": 1} x', b"\xff", b"NaN", b'{"a": \xff}', b"[" * 20_000, b'{"a":' * 20_000],
    ids=["cut", "more", "bytes", "nan", "bytes inside", "deep lists", "deep objects"],
)
def test_what_is_no_json_is_reported_with_its_beginning_only(line: bytes) -> None:
    ((_, reason, detail),) = details(parsed(line))
    assert reason == "decode"
    assert detail.startswith("line must be JSON (")
    assert len(detail) < 400


@pytest.mark.parametrize("document", [[1], 5, "x", None, True])
def test_what_is_no_object_is_reported(document: object) -> None:
    ((_, reason, detail),) = details(parsed(document))
    assert (reason, detail.split(",")[0]) == ("decode", "line must be a JSON object")


def test_blank_lines_are_no_lines_and_others_keep_their_index() -> None:
    result = parsed(b"", WATCH, b" \t", b"x", WATCH | {"minute": 4})
    (batch,) = result.batches
    assert (list(batch.index), [bad.index for bad in result.bad]) == ([1, 4], [3])


def test_objects_of_the_same_names_are_one_batch_in_any_order_of_types() -> None:
    rating = {"at": 6, "user": 7, "film": "up", "stars": 3}
    result = parsed(WATCH, rating, {"type": "watch", **WATCH}, dict(reversed(WATCH.items())))
    assert types(result) == [
        ("watch", ("user", "film", "minute")),
        ("rate", ("user", "film", "stars")),
        ("watch", ("minute", "film", "user")),
    ]
    assert [list(batch.index) for batch in result.batches] == [[0, 2], [1], [3]]


def test_names_that_no_field_uses_are_reported_and_left_out() -> None:
    result = parsed({"type": "watch", "device": "tv", **WATCH}, {"stars": 3, "user": 7, "film": "up", "at": 5, "x": 1})
    assert result.ignored == {"device", "x"}
    assert types(result) == [("watch", ("user", "film", "minute")), ("rate", ("stars", "user", "film"))]


def test_the_named_type_decides_over_the_fields() -> None:
    """Its own check then says what is missing or odd; an unknown name is refused with the known ones."""
    result = parsed({"type": "rate", **WATCH})
    assert (types(result), result.ignored) == ([("rate", ("user", "film"))], {"minute"})
    ((_, reason, detail),) = details(parsed({"type": "sold", **WATCH}))
    assert reason == "unknown_type"
    assert "watch, rate, joined" in detail


@pytest.mark.parametrize("named", [5, None, ["watch"], {"a": 1}, True])
def test_a_type_that_is_no_text_is_refused_unless_it_is_null(named: object) -> None:
    result = parsed({"type": named, **WATCH})
    assert [batch.type for batch in result.batches] == ([] if named is not None else ["watch"])
    assert [bad.reason for bad in result.bad] == ([] if named is None else ["unknown_type"])


def test_only_says_what_all_lines_are_whatever_they_call_themselves() -> None:
    result = parsed(WATCH, {"type": "rate", **WATCH}, {"type": 5, **WATCH}, only="watch")
    assert types(result) == [("watch", ("user", "film", "minute"))]
    assert list(result.batches[0].index) == [0, 1, 2]


def test_a_field_called_type_is_a_field_where_an_event_declares_it() -> None:
    schema = Schema([Order, Sent])
    result = parsed(
        {"at": 5, "number": 1, "type": "express"},
        {"at": 5, "number": 1, "type": 7},
        {"at": 5, "number": 1, "type": "sent", "weight": 2},
        {"at": 5, "number": 1, "weight": 2},
        schema=schema,
    )
    assert types(result) == [("order", ("number", "type")), ("sent", ("number", "weight"))]
    assert [list(batch.index) for batch in result.batches] == [[0, 1], [2, 3]]


def test_texts_that_a_reader_made_are_numbers_where_a_number_is_declared() -> None:
    how = columns(read={"weight": lambda text: text.removesuffix(" kg")})["jsonl"]
    lines: list[dict[str, Any]] = [
        {"at": 5, "number": 1, "weight": weight} for weight in ("2.5 kg", "7 kg", "heavy", 3, None)
    ]
    (batch,) = parsed(*lines[:3], schema=Schema([Sent]), how=how).batches
    assert [(type(value), value) for value in batch.columns[1]] == [(float, 2.5), (float, 7.0), (str, "heavy")]
    result = parsed(*lines[3:], schema=Schema([Sent]), how=how)
    assert [bad.reason for bad in result.bad] == ["decode"], "this reader reads no number"
    assert [list(batch.columns[1]) for batch in result.batches] == [[None]], "null is none, as an empty cell of CSV is"


def test_ever_new_names_do_not_fill_the_memory_and_are_still_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    parser = columns()["jsonl"].parser(SCHEMA)
    for number in range(20):
        line = json.dumps({**WATCH, f"extra{number}": 1}).encode()
        bad = json.dumps({f"odd{number}": 1}).encode()
        result = parser.parse([line, bad, line])
        assert (types(result), [one.index for one in result.bad]) == ([("watch", ("user", "film", "minute"))], [1])
        assert result.ignored == {f"extra{number}"}
    assert len(parser._recognized) == 3  # type: ignore[attr-defined]


def test_what_was_refused_once_is_refused_again_alike() -> None:
    parser = columns()["jsonl"].parser(SCHEMA)
    first, second = (parser.parse([b'{"color": 1}']) for _ in range(2))
    assert (details(first), first.batches) == (details(second), [])
    assert parser.header() == b""
