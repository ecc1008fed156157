"""The log of the movie service, one line per event: `<time>,<user>,<what happened>`.

Real logs drop the seconds when they are 00, write 0 to 9 digits of fraction, name no zone, hold commas inside lists
(so a line is split at its first two commas only) and have about one injected character in a thousand lines. Invalid
lines are classified by reason: decode, missing_field, bad_time, bad_user, bad_watch, bad_rating, bad_request,
unknown_type.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from itertools import compress
from typing import Any, BinaryIO

import msgspec

from flyball.core import BadInput
from flyball.events import BadLine, BatchBuilder, EventBatch, Parsed, Parser, Rejected, Schema, read_pieces

_LINE = re.compile(r"([^,\n]*),([1-9][0-9]{0,18}),GET /data/m/([A-Za-z0-9+._*-]+)/(0|[1-9][0-9]{0,8})\.mpg\n|.*\n")
"""A watch (nearly all lines) or any other line: exactly one match for each line, so that positions are kept."""

_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_LONG_YEAR = re.compile(r"[0-9]{5,}-")
_USER = re.compile(r"0*([1-9][0-9]{0,39})")
_WATCH_TAIL = re.compile(r"GET /data/m/([A-Za-z0-9+._*-]+)/0*([0-9]{1,18})\.mpg")
_RATE_TAIL = re.compile(r"GET /rate/([A-Za-z0-9+._*-]+)=0*([0-9]{1,18})")
_ASKED_TAIL = re.compile(
    r"recommendation request (\S+), status ([0-9]{1,9}), result: (.*), ([0-9]{1,15})(?:\.[0-9]+)? ?ms"
)
_FILM = re.compile(r"[A-Za-z0-9+._*-]+")
_COMMA = re.compile(r", ?")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = {
    "watch": ("user", "film", "minute"),
    "rate": ("user", "film", "stars"),
    "joined": ("user",),
    "asked": ("user", "server", "status", "films", "error", "took_ms"),
}


class MovieLog(msgspec.Struct, frozen=True):
    """The format `movielog`. `zone`: of times without one. Ranges (stars 1–5 or 1–10) are checked by the event
    types."""

    zone: tzinfo = UTC

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        if only is not None:
            raise BadInput("event type", "left out: each line of a movielog says its own", only)
        return _Parser(self.zone)

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        return read_pieces(stream)


class _Parser:
    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def header(self) -> bytes:
        return b""

    def parse(self, lines: Sequence[bytes]) -> Parsed:
        """Match all lines with one regular expression; those that are no plain watches are parsed by `parse_line`."""
        if not lines:
            return Parsed([], [])
        matches = _LINE.findall(b"\n".join(lines).decode("latin-1") + "\n")
        texts, *columns = zip(*matches, strict=True)
        timestamps = {text: self._timestamp(text) for text in set(texts)}
        ats = [timestamps[text] for text in texts]
        if None not in ats:
            return Parsed([EventBatch("watch", _FIELDS["watch"], columns, ats, range(len(lines)), lax=True)], [])
        plain = [at is not None for at in ats]
        numbers = list(compress(range(len(lines)), plain))
        chosen = [list(compress(column, plain)) for column in columns]
        watches = EventBatch("watch", _FIELDS["watch"], chosen, list(compress(ats, plain)), numbers, lax=True)
        others: dict[str, BatchBuilder] = {}
        bad: list[BadLine] = []
        time_of = cache(lambda text: parse_time(text, self._zone))  # many lines have the same time
        for index, at in enumerate(ats):
            if at is None and lines[index]:
                self._other(index, lines[index], time_of, others, bad)
        return Parsed([*([watches] if numbers else []), *(rows.batch() for rows in others.values())], bad)

    def _other(
        self,
        index: int,
        line: bytes,
        time_of: Callable[[str], int],
        others: dict[str, BatchBuilder],
        bad: list[BadLine],
    ) -> None:
        try:
            kind, row, at = _parse_line(line, time_of)
        except Rejected as error:
            bad.append(BadLine(index, error.reason, error.detail))
            return
        if kind not in others:
            others[kind] = BatchBuilder(kind, _FIELDS[kind], lax=True)
        others[kind].add(index, row, at)

    def _timestamp(self, text: str) -> int | None:
        """Microseconds; None for an invalid time, which `parse_line` rejects, and for lines without a match."""
        if not text:
            return None
        try:
            return parse_time(text, self._zone)
        except Rejected:
            return None


def parse_line(line: bytes, zone: tzinfo = UTC) -> tuple[str, tuple[Any, ...], int]:
    """(event type, values of its fields, microseconds) of one line; raises `Rejected`."""
    return _parse_line(line, lambda text: parse_time(text, zone))


def _parse_line(line: bytes, time_of: Callable[[str], int]) -> tuple[str, tuple[Any, ...], int]:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Rejected("decode", f"line must be UTF-8 ({error.reason}), got {line[:80]!r}") from None
    parts = text.split(",", 2)
    if len(parts) < 3:
        raise Rejected("missing_field", f"line must be <time>,<user>,<event>, got {text[:80]!r}")
    at = time_of(parts[0])
    matched = _USER.fullmatch(parts[1])
    if matched is None:
        raise Rejected("bad_user", f"user must be a number from 1, got {parts[1][:40]!r}")
    kind, values = _parse_tail(parts[2])
    return kind, (matched.group(1), *values), at


def parse_time(text: str, zone: tzinfo = UTC) -> int:
    """Microseconds of `2022-11-14T12:24[:50[.252]][Z|+05:30]`; digits beyond the sixth are dropped. Raises `Rejected`.

    >>> parse_time("1970-01-01T00:01")
    60000000
    """
    matched = _TIME.fullmatch(text)
    if matched is None:
        year = " with a year of four digits" if _LONG_YEAR.match(text) else ""
        raise Rejected("bad_time", f"time must be like 2022-11-14T12:24:50{year}, got {text[:60]!r}")
    year, month, day, hour, minute, second, fraction, offset = matched.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC)
        shift = zone if offset is None else UTC if offset == "Z" else _offset(offset)
        moment = moment.replace(tzinfo=shift)
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise Rejected("bad_time", f"time must exist ({error}), got {text[:60]!r}") from None
    return seconds * 1_000_000 + int(f"{fraction or '0':0<6.6}")


def _offset(text: str) -> timezone:
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 18 or minutes > 59:
        raise ValueError("offset beyond 18:00")
    minutes += 60 * hours
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _parse_tail(tail: str) -> tuple[str, tuple[Any, ...]]:
    """(event type, values after the user) of what follows the second comma."""
    if tail.startswith("GET /data/m/"):
        matched = _WATCH_TAIL.fullmatch(tail)
        if matched is None:
            raise Rejected("bad_watch", f"watch must be GET /data/m/<film>/<minute>.mpg, got {tail[:120]!r}")
        return "watch", (matched.group(1), int(matched.group(2)))
    if tail.startswith("GET /rate/"):
        matched = _RATE_TAIL.fullmatch(tail)
        if matched is None:
            raise Rejected("bad_rating", f"rating must be GET /rate/<film>=<stars>, got {tail[:120]!r}")
        return "rate", (matched.group(1), int(matched.group(2)))
    if tail.startswith("recommendation request"):
        return "asked", _parse_asked(tail)
    if tail == "GET /create_account":
        return "joined", ()
    raise Rejected("unknown_type", f"event must be a watch, a rating, an account or a request, got {tail[:120]!r}")


def _parse_asked(tail: str) -> tuple[Any, ...]:
    """(server, status, films, error, took_ms); a result that is no list of films is an error message."""
    matched = _ASKED_TAIL.fullmatch(tail)
    if matched is None:
        raise Rejected(
            "bad_request", f"request must be <server>, status <n>, result: <...>, <n> ms, got {tail[:120]!r}"
        )
    server, status, result, took_ms = matched.groups()
    films = _COMMA.split(result)
    if all(_FILM.fullmatch(film) for film in films):
        return server, int(status), films, "", int(took_ms)
    if int(status) == 200:
        raise Rejected("bad_request", f"status 200 must come with a list of films, got {result[:120]!r}")
    return server, int(status), [], result, int(took_ms)
