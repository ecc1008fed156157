"""The movielog format: checked lines, an oracle written the slow way, and mutations of real forms."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.data import real

from flyball.apps.movielog import MovieLog, parse_line, parse_time
from flyball.core import BadInput
from flyball.events import Event, Ref, Rejected, Schema, integer, text
from flyball.testing.movie_events import Film, movie_schema

NOON_US = 1_668_427_200_000_000

User = Annotated[str, Ref("user"), text(pattern=r"\A[1-9][0-9]*\Z", max_length=40)]


class Watch(Event):
    user: User
    film: Film
    minute: Annotated[int, integer(0, 2_000)]


class Joined(Event):
    user: User


class Asked(Event):
    user: User
    server: str
    status: Annotated[int, integer(0, 999)]
    films: list[str]
    error: str
    took_ms: Annotated[int, integer(0, 10_000_000)]


def schema_of(top: int) -> Schema:
    """Users are text here: whatever number a line names."""

    class Rate(Event):
        user: User
        film: Film
        stars: Annotated[int, integer(1, top)]

    return Schema([Watch, Rate, Joined, Asked])


SCHEMAS = {5: schema_of(5), 10: schema_of(10)}


def reasons(lines: list[bytes], schema: Schema, zone: timezone = UTC) -> list[str]:
    """Per line the type of its event, the reason against it, or "" for a blank line; by the bulk path."""
    parsed = MovieLog(zone).parser(schema).parse(lines)
    outcome = [""] * len(lines)
    for bad in parsed.bad:
        outcome[bad.index] = bad.reason
    for batch in parsed.batches:
        known_ats = [0] * len(batch.at)
        records, rejected = schema.check_many(
            batch.type, batch.fields, batch.columns, batch.at, known_ats, lax=batch.lax
        )
        for index, record in zip(batch.index, records, strict=True):
            assert outcome[index] == ""
            outcome[index] = record.type if record is not None else "?"
        for place, error in rejected:
            outcome[batch.index[place]] = error.reason
    return outcome


def alone(line: bytes, schema: Schema) -> str:
    """The same by the path of single lines."""
    if not line:
        return ""
    try:
        kind, row, at = parse_line(line)
        fields = dict(zip(schema.types[kind].fields, row, strict=True))
        return schema.check(kind, fields, at, 0, lax=True).type
    except Rejected as error:
        return error.reason


KINDS = {"watch": "watch", "rate": "rate", "account": "joined", "recommendation": "asked"}

# The oracle: no regular expressions, one character at a time.

SLUG = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+._*-")
DIGITS = set("0123456789")


def digits(word: str, low: int = 1, high: int = 10**6) -> bool:
    return low <= len(word) <= high and set(word) <= DIGITS


def slug(word: str) -> bool:
    return bool(word) and set(word) <= SLUG


def time_is_right(word: str) -> bool:
    zone = ""
    if word.endswith("Z"):
        word = word[:-1]
    elif len(word) > 6 and word[-6] in "+-" and word[-3] == ":":
        word, zone = word[:-6], word[-6:]
        if not (digits(zone[1:3]) and digits(zone[4:6]) and int(zone[1:3]) <= 18 and int(zone[4:6]) <= 59):
            return False
    clock, dot, fraction = word.partition(".")
    if dot and (not digits(fraction, 1, 9) or len(clock) != 19):
        return False
    if len(clock) not in (16, 19) or clock[4] + clock[7] + clock[10] + clock[13] != "--T:":
        return False
    if len(clock) == 19 and clock[16] != ":":
        return False
    parts = [clock[:4], clock[5:7], clock[8:10], clock[11:13], clock[14:16], clock[17:19] or "00"]
    if not all(map(digits, parts)):
        return False
    try:
        moment = datetime(*map(int, parts))
        return 1970 <= moment.year < 2100 and (moment - timedelta(days=1)).year >= 1970
    except ValueError:
        return False


def oracle(line: bytes, stars: int) -> bool:
    """Whether the line is an event."""
    try:
        time, user, event = line.decode().split(",", 2)
    except ValueError:
        return False
    if not time_is_right(time) or not digits(user, 1, 40) or not user.strip("0"):
        return False
    if event.startswith("GET /data/m/") and event.endswith(".mpg"):
        film, slash, minute = event[len("GET /data/m/") : -len(".mpg")].partition("/")
        return slash == "/" and slug(film) and len(film) <= 120 and digits(minute) and int(minute) <= 2_000
    if event.startswith("GET /rate/"):
        film, equals, given = event[len("GET /rate/") :].partition("=")
        return equals == "=" and slug(film) and len(film) <= 120 and digits(given) and 1 <= int(given) <= stars
    if event == "GET /create_account":
        return True
    if not event.startswith("recommendation request "):
        return False
    server, sep, rest = event[len("recommendation request ") :].partition(", status ")
    status, sep2, rest = rest.partition(", result: ")
    result, sep3, took = rest.rpartition(", ")
    number, unit = took[:-2].removesuffix(" "), took[-2:]
    number, dot, fraction = number.partition(".")
    if not (sep and sep2 and sep3 and server and unit == "ms") or any(map(str.isspace, server)):
        return False
    if not digits(status, 1, 9):
        return False
    if int(status) > 999 or not digits(number, 1, 15) or int(number) > 10_000_000 or (dot and not digits(fraction)):
        return False
    films = result.replace(", ", ",").split(",")
    return int(status) != 200 or all(map(slug, films))


FORMS = [
    "2022-11-14T12:24:50,515686,GET /data/m/spider-man+2002/40.mpg",
    "2022-11-14T12:24,722763,GET /rate/dead+poets+society+1989=3",
    "2026-10-08T12:00:00.125+00:00,00042,GET /create_account",
    "2022-11-14T12:24:50.252,7,recommendation request host.ca:82, status 200, result: up+2009, lilo++stitch+2, 207 ms",
    "2026-02-14T00:09:21.099,215124,recommendation request h:8082, status 0, result: ConnectException: timed out, 1ms",
    "2024-02-29T23:59:59.123456789Z,1,GET /data/m/+in+/0.mpg",
    "1999-12-31T23:59:59+05:30,9,GET /data/m/sally...+1989/2000.mpg",
]
SIGNS = st.sampled_from([*" ,.:+-/=TZ0159éx１\t\x00_\r", "", "\u2028"])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A line of a right form with up to three signs put in, taken out or exchanged."""
    line = draw(st.sampled_from(FORMS))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(line)))
        line = line[:place] + draw(SIGNS) + line[place + draw(st.integers(0, 2)) :]
    return line.encode() if draw(st.integers(0, 20)) else line.encode("latin-1", "replace")


@settings(max_examples=400, deadline=None)
@given(lines=st.lists(mutated(), min_size=1, max_size=30), stars=st.sampled_from([5, 10]))
@example(lines=[b"2022-11-14T12:24:50,5\xff,GET /data/m/up/1.mpg", b"", b"\xef\xbb\xbf"], stars=5)
@example(
    lines=[b"0001-01-01T00:00+18:00,5,GET /create_account", b"9999-12-31T23:59-18:00,5,GET /create_account"], stars=5
)
def test_bulk_single_and_slow_agree_on_every_line(lines: list[bytes], stars: int) -> None:
    schema = SCHEMAS[stars]
    outcome = reasons(lines, schema)
    assert outcome == [alone(line, schema) for line in lines]
    types = set(schema.types)
    assert [one in types for one in outcome] == [oracle(line, stars) for line in lines]


def test_the_forms_themselves_are_right() -> None:
    assert reasons([form.encode() for form in FORMS], SCHEMAS[5]) == [
        "watch",
        "rate",
        "joined",
        "asked",
        "asked",
        "watch",
        "watch",
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2022-11-14T1 2:24:51,5,GET /data/m/up/4.mpg", "bad_time"),
        ("20223-11-14T12:24:51,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-30T12:24:51,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28T24:00:00,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28T12:60,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28T12:00:60,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28T12:00:00.,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28T12:00:00.1234567890,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28T12:00.5,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28T12:00+19:00,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28T12:00+5,5,GET /data/m/up/4.mpg", "bad_time"),
        ("２022-02-28T12:00,5,GET /data/m/up/4.mpg", "bad_time"),
        (",5,GET /data/m/up/4.mpg", "bad_time"),
        ("1969-12-31T23:59:59,5,GET /data/m/up/4.mpg", "bad_time"),
        ("2022-02-28T12:00,0,GET /data/m/up/4.mpg", "bad_user"),
        ("2022-02-28T12:00,000,GET /data/m/up/4.mpg", "bad_user"),
        ("2022-02-28T12:00,-1,GET /data/m/up/4.mpg", "bad_user"),
        ("2022-02-28T12:00,,GET /data/m/up/4.mpg", "bad_user"),
        ("2022-02-28T12:00, 5,GET /data/m/up/4.mpg", "bad_user"),
        ("2022-02-28T12:00,１２,GET /data/m/up/4.mpg", "bad_user"),
        ("2022-02-28T12:00,1_000,GET /data/m/up/4.mpg", "bad_user"),
        ("2022-02-28T12:00,5\x00,GET /data/m/up/4.mpg", "bad_user"),
        ("2022-02-28T12:00,5,GET /data/m/a b/4.mpg", "bad_watch"),
        ("2022-02-28T12:00,5,GET /data/m/up/４.mpg", "bad_watch"),
        ("2022-02-28T12:00,5,GET /data/m/up/4.mpg ", "bad_watch"),
        ("2022-02-28T12:00,5,GET /data/m/up/4.mpg/extra", "bad_watch"),
        ("2022-02-28T12:00,5,GET /data/m/up/-4.mpg", "bad_watch"),
        ("2022-02-28T12:00,5,GET /data/m//4.mpg", "bad_watch"),
        ("2022-02-28T12:00,5,GET /data/m/up/,4.mpg", "bad_watch"),
        ("2022-02-28T12:00,5,GET /data/m/up/2001.mpg", "out_of_range"),
        ("2022-02-28T12:00,5,GET /rate/up=E", "bad_rating"),
        ("2022-02-28T12:00,5,GET /rate/up=1.5", "bad_rating"),
        ("2022-02-28T12:00,5,GET /rate/up=6", "out_of_range"),
        ("2022-02-28T12:00,5,GET /rate/up=0", "out_of_range"),
        ("2022-02-28T12:00,5,GET /create_account/", "unknown_type"),
        ("2022-02-28T12:00,5,POST /create_account", "unknown_type"),
        ("2022-02-28T12:00,5, GET /rate/up=4", "unknown_type"),
        ("2022-02-28T12:00,5,recommendation request h, status 200, result: movie a, 2ms", "bad_request"),
        ("2022-02-28T12:00,5,recommendation request h, status 200, result: , 2ms", "bad_request"),
        ("2022-02-28T12:00,5,recommendation request h, status 200, result: up+2009", "bad_request"),
        ("2022-02-28T12:00,5,recommendation request h, status 200, up+2009, 5 ms", "bad_request"),
        ("2022-02-28T12:00,5,recommendation request h, status x, result: up, 5 ms", "bad_request"),
        ("no commas here", "missing_field"),
        ("2022-02-28T12:00,GET /create_account", "missing_field"),
        ("   ", "missing_field"),
    ],
)
def test_a_bad_line_has_its_reason(line: str, reason: str) -> None:
    assert reasons([line.encode()], SCHEMAS[5]) == [reason] == [alone(line.encode(), SCHEMAS[5])]
    assert not oracle(line.encode(), 5)


def test_bytes_that_are_no_text_are_reported() -> None:
    assert reasons([b"2022-02-28T12:00,5,\xff\xfe", b""], SCHEMAS[5]) == ["decode", ""]


@pytest.mark.parametrize(
    ("text", "timestamp_us"),
    [
        ("2022-11-14T12:00", NOON_US),
        ("2022-11-14T12:00:00", NOON_US),
        ("2022-11-14T12:00:00Z", NOON_US),
        ("2022-11-14T17:30+05:30", NOON_US),
        ("2022-11-14T08:00:00.000-04:00", NOON_US),
        ("2022-11-14T12:00:00.5", NOON_US + 500_000),
        ("2022-11-14T12:00:00.000001", NOON_US + 1),
        ("2022-11-14T12:00:00.123456789", NOON_US + 123_456),
    ],
)
def test_times_are_read(text: str, timestamp_us: int) -> None:
    assert parse_time(text) == timestamp_us


def test_a_zone_counts_for_times_that_name_none() -> None:
    east = timezone(timedelta(hours=2))
    assert parse_time("2022-11-14T14:00", east) == NOON_US == parse_time("2022-11-14T12:00Z", east)
    line = b"2022-11-14T14:00:00,5,GET /data/m/up/4.mpg"
    assert MovieLog(east).parser(SCHEMAS[5]).parse([line]).batches[0].at[0] == NOON_US


def fields_of(line: str) -> tuple[str, tuple[Any, ...]]:
    kind, row, _ = parse_line(line.encode())
    return kind, row


def test_what_a_line_says() -> None:
    head = "2022-11-14T12:00,00042,"
    asked = head + "recommendation request host:8082, status "
    assert fields_of(head + "GET /data/m/lilo++stitch+2002/007.mpg") == ("watch", ("42", "lilo++stitch+2002", 7))
    assert fields_of(head + "GET /rate/human+failure+=4") == ("rate", ("42", "human+failure+", 4))
    assert fields_of(head + "GET /create_account") == ("joined", ("42",))
    assert fields_of(asked + "200, result: a,b, c, 12.5 ms") == (
        "asked",
        ("42", "host:8082", 200, ["a", "b", "c"], "", 12),
    )
    late = asked + "0, result: glory+1989,fury+2014, 819 ms"
    assert fields_of(late) == ("asked", ("42", "host:8082", 0, ["glory+1989", "fury+2014"], "", 819))
    broken = asked + "0, result: java.util.concurrent.TimeoutException: timeout to h/1.2.3.4:8082 after 800 ms, 800 ms"
    error = "java.util.concurrent.TimeoutException: timeout to h/1.2.3.4:8082 after 800 ms"
    assert fields_of(broken) == ("asked", ("42", "host:8082", 0, [], error, 800))
    assert (
        fields_of(asked + "503, result: Service unavailable, retry later, 1ms")[1][4]
        == "Service unavailable, retry later"
    )


def test_lines_tell_their_type_themselves() -> None:
    with pytest.raises(BadInput, match="left out"):
        MovieLog().parser(SCHEMAS[5], "watch")


def test_whole_numbers_as_users_work_too() -> None:
    assert reasons([form.encode() for form in FORMS], movie_schema())[:3] == ["watch", "rate", "joined"]


@pytest.mark.data
def test_checked_lines_are_checked_alike() -> None:
    wrong = []
    for row in map(json.loads, real("movielog", "parse_vectors.jsonl").read_text().splitlines()):
        stars = 10 if row["line"].startswith("2026") else 5
        (found,) = reasons([row["line"].encode()], SCHEMAS[stars])
        if (found in SCHEMAS[stars].types) != row["valid"] or oracle(row["line"].encode(), stars) != row["valid"]:
            wrong.append((row["line"], found, row.get("why")))
        elif row["valid"]:
            kind, values, at = parse_line(row["line"].encode())
            assert values[0] == str(row["user"])
            assert at == parse_time(row["time"])
            assert KINDS[row["kind"]] == kind
            if kind in ("watch", "rate"):
                assert values[1:] == (row["movie"], row.get("minute", row.get("rating")))
            if kind == "asked":
                assert values[3] == (row["items"] or [])
    assert wrong == []


@pytest.mark.data
def test_the_real_log_of_50_000_lines() -> None:
    lines = real("movielog", "raw_mcgill_f22_team4_50k.log").read_bytes().replace(b"\r\n", b"\n").splitlines()
    outcome = reasons(lines, SCHEMAS[5])
    assert {kind: outcome.count(kind) for kind in ("watch", "rate", "asked")} == {
        "watch": 49_279,
        "rate": 266,
        "asked": 425,
    }
    assert [one in SCHEMAS[5].types for one in outcome] == [oracle(line, 5) for line in lines]
