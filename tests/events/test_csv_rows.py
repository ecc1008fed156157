"""CSV as people write it: delimiters, quotes, decimal marks, dates, zones; what is declared wins over what is seen."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadDeclaration, BadInput, parse_timestamp
from flyball.events import Event, Format, Parsed, Ref, Schema, columns, real

User = Annotated[int, Ref("user")]


class Buy(Event):
    user: User
    item: Annotated[str, Ref("item")]
    price: Annotated[float, real(scale=1e-6)]
    tags: list[str] = []


class View(Event):
    user: User
    item: Annotated[str, Ref("item")]


SCHEMA = Schema([Buy, View])
ROW = {"at": "2026-08-30T01:12:00Z", "user": "7", "item": "toys-04", "price": "3.50"}
AT_US = parse_timestamp(ROW["at"])


def parse(lines: Sequence[str], format: Format | None = None, **options: Any) -> Parsed:
    return (format or columns(**options)["csv"]).parser(SCHEMA).parse([line.encode() for line in lines])


def events(parsed: Parsed) -> list[tuple[str, dict[str, Any], int | None]]:
    return [
        (batch.type, {name: column[row] for name, column in zip(batch.fields, batch.columns, strict=True)}, at_us)
        for batch in parsed.batches
        for row, at_us in enumerate(batch.at)
    ]


def written(row: Mapping[str, str], delimiter: str) -> list[str]:
    return [delimiter.join(row), delimiter.join(row.values())]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_gives_an_event_type(delimiter: str) -> None:
    parsed = parse(written(ROW, delimiter))
    assert events(parsed) == [("buy", {"user": "7", "item": "toys-04", "price": "3.50"}, AT_US)]
    assert parsed.bad == []


@pytest.mark.parametrize("delimiter", ["^", ":", " ", "~"])
def test_another_delimiter_can_be_declared(delimiter: str) -> None:
    row = {**ROW, "at": "5"}
    assert len(events(parse(written(row, delimiter), delimiter=delimiter))) == 1
    with pytest.raises(BadInput, match="columns must be those of an event type"):
        parse(written(row, delimiter))


def test_a_declared_delimiter_wins_and_the_error_names_the_likely_one() -> None:
    with pytest.raises(BadInput, match="must be delimited by ',' as declared, but ';' would give buy"):
        parse(written(ROW, ";"), delimiter=",")


def test_a_header_that_is_no_type_is_shown_as_the_delimiter_splits_it() -> None:
    with pytest.raises(BadInput, match=r"columns must be those of an event type \(buy: user, .*'color, size'"):
        parse(["color;size"])


def test_most_declared_columns_decide_between_delimiters() -> None:
    """Read by commas there is a view, and by semicolons more: a buy."""
    assert events(parse(["at,user,item,x;y", "5,7,a,b;c"]))[0][0] == "view"
    parsed = parse(["at;user;item;price;a,user,item", "5;7;a;1;x,y,z"])
    assert events(parsed)[0][0] == "buy"


def test_quotes_hold_delimiters_and_double_themselves() -> None:
    row = {**ROW, "item": '"toys;""04"""'}
    assert events(parse(written(row, ";")))[0][1]["item"] == 'toys;"04"'
    quoted = {**ROW, "item": "'toys;04'"}
    assert events(parse(written(quoted, ";"), quote="'"))[0][1]["item"] == "toys;04"
    assert [bad.reason for bad in parse(written(quoted, ";")).bad] == ["decode"]


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("3,50", "3.50"),
        ("-3,5", "-3.5"),
        ("+3,5", "+3.5"),
        ("1234,5", "1234.5"),
        ("0,125", "0.125"),
        ("1234,567", "1234.567"),
        ("0012,125", "0012.125"),
        ("3.50", "3.50"),
        ("3", "3"),
        ("3,1415", "3.1415"),
        ("1,2,3", "1,2,3"),
        ("1.234,5", "1.234,5"),
        ("x,1", "x,1"),
    ],
)
def test_a_comma_that_can_only_be_decimal_is_read(cell: str, read: str) -> None:
    assert events(parse(written({**ROW, "price": cell}, ";")))[0][1]["price"] == read


@pytest.mark.parametrize("cell", ["1,234", "-12,345", "999,000"])
def test_a_comma_that_may_mark_thousands_must_be_declared(cell: str) -> None:
    lines = written({**ROW, "price": cell}, ";")
    (bad,) = parse(lines).bad
    assert (bad.index, bad.reason) == (1, "decode")
    assert 'fb.columns(decimal=",")' in bad.detail
    assert events(parse(lines, decimal=","))[0][1]["price"] == cell.replace(",", ".")
    assert events(parse(lines, decimal="."))[0][1]["price"] == cell  # no number: the check refuses it


def test_a_declared_decimal_comma_refuses_a_point() -> None:
    (bad,) = parse(written(ROW, ";"), decimal=",").bad
    assert "a number with a decimal comma, got '3.50'" in bad.detail
    quoted = written({**ROW, "price": '"3,50"'}, ",")
    assert events(parse(quoted, decimal=","))[0][1]["price"] == "3.50"


@pytest.mark.parametrize(
    ("pattern", "text", "utc"),
    [
        ("%d.%m.%Y %H:%M", "30.08.2026 01:12", "2026-08-29T23:12:00Z"),
        ("%d.%m.%Y %H:%M", "30.01.2026 01:12", "2026-01-30T00:12:00Z"),
        ("%m/%d/%Y %I:%M:%S %p", "08/30/2026 01:12:05 PM", "2026-08-30T11:12:05Z"),
        ("%d.%m.%Y", "30.08.2026", "2026-08-29T22:00:00Z"),
        ("%Y%m%d%H%M", "202608300112", "2026-08-29T23:12:00Z"),
        ("%d.%m.%Y %H:%M:%S.%f", "30.08.2026 01:12:05.25", "2026-08-29T23:12:05.250000Z"),
        ("%d.%m.%Y %H:%M %z", "30.08.2026 01:12 +0000", "2026-08-30T01:12:00Z"),
        ("%d.%m.%Y %H:%M", "2026-08-30T01:12:00Z", "2026-08-30T01:12:00Z"),  # ISO 8601 is always read
        ("%d.%m.%Y %H:%M", "25.10.2026 02:30", "2026-10-25T00:30:00Z"),  # the first of two passes
    ],
)
def test_dates_are_read_by_their_pattern_in_the_zone(pattern: str, text: str, utc: str) -> None:
    parsed = parse(written({**ROW, "at": text}, ";"), at_format=pattern, zone="Europe/Berlin")
    assert [at_us for _, _, at_us in events(parsed)] == [parse_timestamp(utc)]


@pytest.mark.parametrize("text", ["31.02.2026 01:12", "30.08.2026", "29.03.2026 02:30"])
def test_a_date_that_is_none_is_a_bad_line(text: str) -> None:
    parsed = parse(written({**ROW, "at": text}, ";"), at_format="%d.%m.%Y %H:%M", zone="Europe/Berlin")
    assert [bad.reason for bad in parsed.bad] == ["bad_time"]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("30.08.2026 01:12", "%d.%m.%Y %H:%M"),
        ("08/30/2026", "%m/%d/%Y"),
        ("30/08/2026 01:12:05", "%d/%m/%Y %H:%M:%S"),
        ("2026/08/30 01:12", "%Y/%m/%d %H:%M"),
        ("30.08.26", "%d.%m.%y"),
        ("30-08-2026 1:12", "%d-%m-%Y %H:%M"),
    ],
)
def test_a_date_of_another_form_is_refused_with_the_likely_pattern(text: str, pattern: str) -> None:
    lines = written({**ROW, "at": text}, ";")
    (bad,) = parse(lines).bad
    assert bad.reason == "bad_time"
    assert f'fb.columns(at_format="{pattern}")' in bad.detail
    assert parse(lines, at_format=pattern).bad == []


@pytest.mark.parametrize(
    ("reader", "cell", "utc"),
    [
        (lambda text: text.replace("Z", ""), "2026-08-30T01:12:00Z", "2026-08-29T23:12:00Z"),
        (lambda text: datetime.strptime(text, "%d.%m.%Y"), "30.08.2026", "2026-08-29T22:00:00Z"),
        (lambda text: date(int(text), 8, 30), "2026", "2026-08-29T22:00:00Z"),
        (lambda text: datetime(2026, 8, 30, tzinfo=timezone(timedelta(hours=5))), "x", "2026-08-29T19:00:00Z"),
        (int, "5", "1970-01-01T00:00:00.000005Z"),
    ],
)
def test_a_reader_may_read_the_time(reader: Any, cell: str, utc: str) -> None:
    read = columns(read={"at": reader}, zone="Europe/Berlin")
    assert [at for _, _, at in events(parse(written({**ROW, "at": cell}, ","), read["csv"]))] == [parse_timestamp(utc)]
    line = f'{{"type":"view","user":7,"item":"a","at":"{cell}"}}'
    assert read["jsonl"].parser(SCHEMA).parse([line.encode()]).batches[0].at == [parse_timestamp(utc)]


def test_a_reader_of_times_that_fails_makes_a_bad_line() -> None:
    (bad,) = parse(written(ROW, ","), read={"at": lambda text: text.nothing}).bad
    assert (bad.reason, "AttributeError" in bad.detail) == ("bad_time", True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"zone": "Europe/Atlantis"}, "zone of fb.columns must be a name such as Europe/Berlin, or a tzinfo"),
        ({"zone": 2}, "zone of fb.columns"),
        ({"at_format": "%d.%m"}, "at_format of fb.columns must be a pattern with year, month and day"),
        ({"at_format": "dd.mm.yyyy"}, "at_format of fb.columns"),
        ({"at_format": "%d.%m.%Y %"}, "at_format of fb.columns"),
        ({"at_format": "%Q"}, "at_format of fb.columns"),
        ({"at_format": 5}, "at_format of fb.columns must be text"),
        ({"delimiter": ";;"}, "delimiter of fb.columns must be one character"),
        ({"delimiter": "a"}, "delimiter of fb.columns"),
        ({"delimiter": None}, "delimiter of fb.columns"),
        ({"delimiter": '"'}, "quote of fb.columns must be another character than the delimiter"),
        ({"quote": ""}, "quote of fb.columns"),
        ({"decimal": "'"}, "decimal of fb.columns must be"),
        ({"rename": ["a"]}, "rename of fb.columns must be a dict"),
        ({"rename": {"a": 1}}, "rename of 'a' in fb.columns"),
        ({"read": {"price": "float"}}, "read of 'price' in fb.columns must be a function"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_refused_where_it_is_made(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadDeclaration, match=words):
        columns(**options)


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_a_declaration_about_a_field_that_no_event_has_is_refused(name: str) -> None:
    for options in ({"rename": {"preis": "cost"}}, {"read": {"cost": float}}):
        with pytest.raises(BadDeclaration, match="must be about one of at, (id, )?item, price, tags, user, got 'cost'"):
            columns(**options)[name].parser(SCHEMA)  # type: ignore[arg-type]


MARKS = st.sampled_from([",", ";", "\t", "|", "^"])
CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\x00", exclude_categories=["Cs"]), min_size=1, max_size=12
)


@given(st.lists(CELLS, min_size=1, max_size=5), MARKS, st.sampled_from(['"', "'"]), st.integers(1, 4))
def test_any_text_comes_back_whatever_the_marks_and_however_the_lines_come(
    items: list[str], delimiter: str, quote: str, size: int
) -> None:
    def cell(text: str) -> str:
        return f"{quote}{text.replace(quote, quote * 2)}{quote}"

    lines = [delimiter.join(["at", "user", "item"])] + [delimiter.join(["5", "7", cell(text)]) for text in items]
    parser = columns(delimiter=delimiter, quote=quote)["csv"].parser(SCHEMA)
    parts = [
        parser.parse([line.encode() for line in lines[start : start + size]]) for start in range(0, len(lines), size)
    ]
    assert [fields["item"] for part in parts for _, fields, _ in events(part)] == items
    assert [bad for part in parts for bad in part.bad] == []


def test_utc_by_name_is_the_default() -> None:
    assert columns(zone="UTC") == columns(zone=UTC) == columns()
