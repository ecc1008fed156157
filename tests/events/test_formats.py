"""JSON lines, CSV and Parquet become columns of declared fields."""

import gzip
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest

from flyball.core import BadDeclaration, BadInput, NotFound
from flyball.events import (
    FORMATS,
    Event,
    Format,
    Parsed,
    Ref,
    Rejected,
    Schema,
    columns,
    find_format,
    read_pieces,
    renamed,
)
from flyball.testing.movie_events import movie_schema

NOON = "2022-11-14T12:00:00Z"
NOON_US = 1_668_427_200_000_000
SCHEMA = movie_schema()
THEIRS = columns(
    rename={"movie": "film", "movie_id": "film", "rating": "stars", "time": "at", "user_id": "user"},
    read={"language": lambda text: text[:2]},
)


def rows_of(parsed: Parsed) -> list[tuple[str, dict[str, Any], int | None]]:
    """(type, fields, at) of every event, by line."""
    found = []
    for batch in parsed.batches:
        for row, index in enumerate(batch.index):
            fields = {name: column[row] for name, column in zip(batch.fields, batch.columns, strict=True)}
            found.append((index, (batch.type, fields, batch.at[row])))
    return [event for _, event in sorted(found, key=lambda pair: pair[0])]


def parse(format: Format, lines: Sequence[str | bytes], only: str | None = None) -> Parsed:
    encoded = [line.encode() if isinstance(line, str) else line for line in lines]
    return format.parser(SCHEMA, only).parse(encoded)


def reasons(parsed: Parsed) -> list[tuple[int, str]]:
    return [(bad.index, bad.reason) for bad in parsed.bad]


def test_json_tells_its_type_or_its_fields_do() -> None:
    parsed = parse(
        FORMATS["jsonl"],
        [
            json.dumps({"type": "watch", "at": NOON, "user": 7, "film": "up", "minute": 3}),
            json.dumps({"at": NOON_US, "user": 7, "film": "up", "stars": 3}),
            "",
            json.dumps({"user": 7, "age": 30}),
            json.dumps({"type": "joined", "at": NOON, "user": 8}),
        ],
    )
    assert rows_of(parsed) == [
        ("watch", {"user": 7, "film": "up", "minute": 3}, NOON_US),
        ("rate", {"user": 7, "film": "up", "stars": 3}, NOON_US),
        ("viewer", {"user": 7, "age": 30}, None),
        ("joined", {"user": 8}, NOON_US),
    ]
    assert parsed.bad == []


def test_json_that_cannot_be_read_has_a_reason() -> None:
    parsed = parse(
        FORMATS["jsonl"],
        [
            "{",
            b"\xff{}",
            "[1]",
            '{"type": "sold", "user": 1}',
            '{"color": 1}',
            '{"at": "2022-13-01", "user": 7, "film": "up", "minute": 3}',
            '{"at": [], "user": 7, "film": "up", "minute": 3}',
            '{"at": 5, "user": 7, "film": "up", "stars": 3, "minute": 3}',
            '{"type": ["watch"], "user": 7}',
        ],
    )
    assert reasons(parsed) == [
        (0, "decode"),
        (1, "decode"),
        (2, "decode"),
        (3, "unknown_type"),
        (4, "unknown_type"),
        (5, "bad_time"),
        (6, "bad_time"),
        (7, "unknown_type"),
        (8, "unknown_type"),
    ]
    assert "say which with --type (rate, watch)" in parsed.bad[-2].detail
    assert rows_of(parsed) == []


def test_other_names_are_read_and_what_is_left_is_reported() -> None:
    parsed = parse(THEIRS["jsonl"], [json.dumps({"time": 5, "user_id": 7, "movie": "up", "minute": 3, "device": "tv"})])
    assert rows_of(parsed) == [("watch", {"user": 7, "film": "up", "minute": 3}, 5)]
    assert parsed.ignored == {"device"}


def test_an_exact_name_wins_over_a_renamed_one() -> None:
    parsed = parse(THEIRS["jsonl"], [json.dumps({"at": 5, "user": 7, "film": "up", "movie": "Up!", "minute": 3})])
    assert rows_of(parsed) == [("watch", {"user": 7, "film": "up", "minute": 3}, 5)]
    assert parsed.ignored == {"movie"}


def test_csv_names_its_columns_in_the_first_line() -> None:
    parsed = parse(
        THEIRS["csv"],
        ["time,user_id,movie,rating,extra", f'{NOON},7,"up+2009",4,x', "", "2022-11-14T12:00:00,8,up,5,", "5,9,up,1,"],
    )
    assert rows_of(parsed) == [
        ("rate", {"user": "7", "film": "up+2009", "stars": "4"}, NOON_US),
        ("rate", {"user": "8", "film": "up", "stars": "5"}, NOON_US),
        ("rate", {"user": "9", "film": "up", "stars": "1"}, 5),
    ]
    assert parsed.ignored == {"extra"}
    assert all(batch.lax for batch in parsed.batches)


def test_empty_cells_lists_and_readers() -> None:
    lines = ["movie_id,genres,language", "up,Comedy|Drama,english", "heat,,", 'x,"A|B",fr']
    assert rows_of(parse(THEIRS["csv"], lines)) == [
        ("filmcard", {"film": "up", "genres": ["Comedy", "Drama"], "language": "en"}, None),
        ("filmcard", {"film": "heat", "genres": [], "language": None}, None),
        ("filmcard", {"film": "x", "genres": ["A", "B"], "language": "fr"}, None),
    ]


def test_rows_that_do_not_fit_the_header_are_bad() -> None:
    parsed = parse(
        THEIRS["csv"], ["time,user,movie,minute", "5,7,up", "5,7,up,3,4", '5,7,"up,3', b"5,7,\xff,3", "x,7,up,3"]
    )
    assert reasons(parsed) == [(1, "decode"), (2, "decode"), (3, "decode"), (4, "decode"), (5, "bad_time")]


def test_the_header_is_kept_over_calls() -> None:
    parser = THEIRS["csv"].parser(SCHEMA)
    assert parser.header() == b""
    assert parser.parse([b"time,user,movie,minute"]) == Parsed([], [], parser.parse([]).ignored)
    assert rows_of(parser.parse([b"5,7,up,3"])) == [("watch", {"user": "7", "film": "up", "minute": "3"}, 5)]
    assert parser.header() == b"time,user,movie,minute"


def test_a_header_of_no_type_ends_the_matter() -> None:
    with pytest.raises(BadInput, match="columns must be those of an event type"):
        parse(FORMATS["csv"], ["color,size"])
    with pytest.raises(BadInput, match=r"say which with --type \(rate, watch\)"):
        parse(FORMATS["csv"], ["at,user,film,stars,minute"])
    assert parse(FORMATS["csv"], ["at,user,film,stars,minute", "5,7,up,3,4"], only="rate").batches[0].type == "rate"
    with pytest.raises(NotFound):
        parse(FORMATS["csv"], ["at,user"], only="sold")


def test_without_a_time_a_profile_is_preferred_but_not_to_more_columns() -> None:
    assert parse(FORMATS["csv"], ["user", "7"]).batches[0].type == "viewer"
    assert parse(FORMATS["csv"], ["at,user", "5,7"], only="joined").batches[0].type == "joined"
    found = parse(FORMATS["csv"], ["user,film,minute", "7,up,3"]).batches[0]
    assert (found.type, found.at) == ("watch", [None])
    with pytest.raises(BadInput, match="watch: user, film, minute"):
        parse(FORMATS["csv"], ["minute", "3"])


def test_a_reader_that_fails_makes_a_bad_line() -> None:
    broken = columns(read={"language": lambda text: text.nothing})
    assert reasons(parse(broken["csv"], ["film,language", "up,en"])) == [(1, "decode")]
    assert reasons(parse(broken["jsonl"], ['{"film": "up", "language": "en"}'])) == [(0, "decode")]


def test_numbers_made_by_readers_count_in_json_too() -> None:
    dated = columns(rename={"born": "age"}, read={"age": lambda text: text[:2]})
    assert rows_of(parse(dated["jsonl"], ['{"user": 7, "born": "42 years"}'])) == [
        ("viewer", {"user": 7, "age": 42}, None)
    ]


@pytest.mark.parametrize(
    ("unit", "number"), [("us", 5_000_000), ("ms", 5_000), ("s", 5), ("s", 5.0), ("ns", 5_000_000_999)]
)
def test_times_may_be_numbers_in_a_unit(unit: str, number: float) -> None:
    formats = columns(unit=unit)
    line = json.dumps({"at": number, "user": 7, "film": "up", "minute": 3})
    assert parse(formats["jsonl"], [line]).batches[0].at == [5_000_000]
    with pytest.raises(BadDeclaration, match="unit of fb.columns must be one of us, ms, s, ns, got 'days'"):
        columns(unit="days")


def test_times_without_an_offset_are_read_in_the_zone() -> None:
    east = columns(zone=timezone(timedelta(hours=2)))
    parsed = parse(east["csv"], ["at,user,film,minute", "2022-11-14T14:00:00,7,up,3"])
    assert parsed.batches[0].at == [NOON_US]


def test_parquet_rows_are_read_as_json_lines(tmp_path: Path) -> None:
    import polars

    path = tmp_path / "watches.parquet"
    when = datetime(2022, 11, 14, 12, tzinfo=UTC)
    frame = {"time": [when, when], "user_id": [7, 8], "movie": ["up", None], "minute": [3, 4]}
    polars.DataFrame(frame).write_parquet(path)
    with path.open("rb") as stream:
        lines = b"".join(THEIRS["parquet"].lines(stream)).splitlines()
    parsed = THEIRS["parquet"].parser(SCHEMA).parse(lines)
    whole, without_film = rows_of(parsed)
    assert whole == ("watch", {"user": 7, "film": "up", "minute": 3}, NOON_US)
    with pytest.raises(Rejected, match="missing_field: film must be given"):
        SCHEMA.check(*without_film[:2], NOON_US, NOON_US)
    with pytest.raises(BadInput, match="Parquet"):
        list(THEIRS["parquet"].lines(io.BytesIO(b"not parquet")))


@pytest.mark.parametrize(("unit", "per_day"), [("d", 1), ("ms", 86_400_000), ("us", 86_400_000_000)])
def test_a_time_that_no_calendar_has_makes_its_row_of_parquet_unreadable_alone(
    tmp_path: Path, unit: Any, per_day: int
) -> None:
    """Days of the years 20423 and -9999 stand beside a good one."""
    import polars

    days = [6_740_000, 20_000, None, -4_371_000]
    numbers = polars.Series("at", [None if day is None else day * per_day for day in days], dtype=polars.Int64)
    kind = polars.Date() if unit == "d" else polars.Datetime(unit, "Europe/Berlin")
    times = (numbers.cast(polars.Int32) if unit == "d" else numbers).cast(kind)
    path = tmp_path / "times.parquet"
    polars.DataFrame({"at": times, "user": [1, 2, 3, 4]}).write_parquet(path)
    with path.open("rb") as stream:
        rows = [json.loads(line) for line in b"".join(FORMATS["parquet"].lines(stream)).splitlines()]
    assert [row["user"] for row in rows] == [1, 2, 3, 4]
    assert rows[1]["at"].startswith("2024-10-04")
    assert rows[2]["at"] is None
    strange = [f"{day * per_day} {unit} since 1970" for day in (6_740_000, -4_371_000)]
    assert [rows[0]["at"], rows[3]["at"]] == strange


def test_decimals_of_parquet_are_numbers(tmp_path: Path) -> None:
    import polars

    path = tmp_path / "rates.parquet"
    stars = polars.Series([Decimal("3.00"), Decimal("2.00")], dtype=polars.Decimal(10, 2))
    polars.DataFrame(
        {"time": ["2022-11-14T12:00:00Z"] * 2, "user": [7, 8], "film": "up", "stars": stars}
    ).write_parquet(path)
    with path.open("rb") as stream:
        lines = b"".join(THEIRS["parquet"].lines(stream)).splitlines()
    assert [fields["stars"] for _, fields, _ in rows_of(THEIRS["parquet"].parser(SCHEMA).parse(lines))] == [3, 2]


class Rating(Event):
    """What was once `Rate`, with `stars`."""

    former_names = ("Rate",)
    user: Annotated[int, Ref("user")]
    score: Annotated[int, renamed("points", "stars")]


RENAMED = Schema([Rating])
SCORED = [("rating", {"user": 7, "score": 3}, NOON_US)]


@pytest.mark.parametrize("name", ["stars", "points", "score"])
def test_lines_that_name_a_field_as_before_are_read_under_its_present_name(name: str) -> None:
    document = {"at": NOON, "user": 7, name: 3}
    for line in (document, {"type": "rate", **document}, {"type": "rating", **document}):
        assert rows_of(FORMATS["jsonl"].parser(RENAMED).parse([json.dumps(line).encode()])) == SCORED
    assert rows_of(FORMATS["parquet"].parser(RENAMED).parse([json.dumps(document).encode()])) == SCORED
    parsed = FORMATS["csv"].parser(RENAMED).parse([f"at;user;{name}".encode(), f"{NOON};7;3".encode()])
    assert rows_of(parsed) == [("rating", {"user": "7", "score": "3"}, NOON_US)]
    assert parsed.ignored == frozenset()


def test_a_present_name_comes_before_a_former_one() -> None:
    line = json.dumps({"type": "rating", "at": NOON, "user": 7, "stars": 1, "score": 3}).encode()
    parsed = FORMATS["jsonl"].parser(RENAMED).parse([line])
    assert (rows_of(parsed), parsed.ignored) == (SCORED, {"stars"})
    csv = FORMATS["csv"].parser(RENAMED).parse([b"at,stars,user,score", f"{NOON},1,7,3".encode()])
    assert (rows_of(csv)[0][1], csv.ignored) == ({"user": "7", "score": "3"}, {"stars"})


def test_gzip_is_unpacked_in_pieces() -> None:
    text = b"".join(b"line %d\n" % number for number in range(20_000))
    packed = gzip.compress(text[:50_000]) + gzip.compress(text[50_000:])
    assert b"".join(read_pieces(io.BytesIO(packed), size=1_000)) == text
    assert b"".join(read_pieces(io.BytesIO(text), size=1_000)) == text
    assert list(read_pieces(io.BytesIO(b""))) == []
    broken = bytearray(packed)
    broken[2_000:2_010] = b"\xff" * 10
    with pytest.raises(BadInput, match="gzip"):
        list(read_pieces(io.BytesIO(bytes(broken)), size=1_000))


def test_a_gzip_that_was_cut_is_reported() -> None:
    packed = gzip.compress(b"x\n" * 100_000)
    with pytest.raises(BadInput, match="whole"):
        list(read_pieces(io.BytesIO(packed[:-20])))


def test_formats_are_found_by_name_the_application_first() -> None:
    assert find_format("csv") is FORMATS["csv"]
    assert find_format("csv", THEIRS) is THEIRS["csv"]
    with pytest.raises(NotFound, match="csv, jsonl, parquet"):
        find_format("xml", THEIRS)
