"""The context that a caller sends with a request: its trace, and its span in it.

Source: W3C Recommendation "Trace Context", level 1, section 3.2 (the header `traceparent`).
"""

import re

import msgspec

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED = 1


class CallerContext(msgspec.Struct, frozen=True):
    """`trace`: 16 bytes; `span`: 8 bytes; `sampled`: whether the caller records its trace."""

    trace: bytes
    span: bytes
    sampled: bool


def parse_traceparent(text: str) -> CallerContext | None:
    """The context in a header `traceparent`; None for one that is malformed, which the standard has ignored.

    >>> parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").sampled
    True
    """
    match = _TRACEPARENT.fullmatch(text.strip())
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    trace, span = bytes.fromhex(match[2]), bytes.fromhex(match[3])
    if not any(trace) or not any(span):
        return None
    return CallerContext(trace, span, bool(int(match[4], 16) & _SAMPLED))
