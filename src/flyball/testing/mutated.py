"""Requests and lines with faults that nobody thought of: mutations of good ones, drawn with a seed."""

import random
from collections.abc import Sequence

TOKENS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b" ",
    b"\t",
    b"\r\n folded",
    b"\r\ntransfer-encoding: chunked\r\n",
    b"\r\ntransfer-encoding: chunked, identity\r\n",
    b"\r\ncontent-length: 5\r\n",
    b"\r\ncontent-length: -1\r\n",
    b"\r\ncontent-length: 99999999999999999999\r\n",
    b"\r\ncontent-encoding: gzip\r\n",
    b"\r\nexpect: 100-continue\r\n",
    b"\r\nconnection: upgrade\r\nupgrade: h2c\r\n",
    b"\r\nhost: elsewhere\r\n",
    b"HTTP/9.9",
    b"../",
    b"%2e%2e%2f",
    b"%00",
    b"%",
    b"?",
    b"#",
    b"//",
    b"[" * 3_000,
    b'{"a":' * 2_000,
    b"9" * 5_000,
    b"-",
    b"1e999999",
    b"NaN",
    b"null",
    b"true",
    b'"',
    b'"\\ud800"',
    b"\\",
    b"\xe2\x80\xae",
    b"\xf0\x9f",
    b"'; DROP TABLE events; --",
    b"x" * 70_000,
)
"""What parsers have stumbled over: ends of lines, lengths, encodings, nesting, numbers, control and direction marks."""

_RARE = 1_000
"""Tokens longer than this are drawn less often."""
_SHORT = tuple(token for token in TOKENS if len(token) <= _RARE)


def mutated(message: bytes, rng: random.Random) -> bytes:
    """`message` after one to four mutations: bytes changed, removed, repeated or cut off, tokens put in."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(message) + 1)
        end = min(len(message), at + rng.choice((1, 1, 2, 8, 64)))
        kind = rng.randrange(7)
        if kind == 0:
            message = message[:at] + rng.randbytes(end - at) + message[end:]
        elif kind == 1:
            message = message[:at] + message[end:]
        elif kind == 2:
            message = message[:end] + message[at:end] * rng.choice((1, 2, 30)) + message[end:]
        elif kind == 3 and rng.random() < 0.3:
            message = message[:at]
        elif kind == 4:
            other = rng.randrange(len(message) + 1)
            message = message[:at] + message[other : other + 16] + message[at:]
        else:
            token = rng.choice(TOKENS if rng.random() < 0.05 else _SHORT)
            message = message[:at] + token + message[at if rng.random() < 0.5 else end :]
    return message


def mutated_line(line: bytes, rng: random.Random) -> bytes:
    """A line of events, which stays a line that is not blank."""
    return mutated(line, rng).replace(b"\n", b" ").replace(b"\r", b" ").strip() or b"?"


def mutated_lines(lines: Sequence[bytes], count: int, rng: random.Random) -> list[bytes]:
    """So many lines, each a mutation of one of `lines`."""
    return [mutated_line(rng.choice(lines), rng) for _ in range(count)]
