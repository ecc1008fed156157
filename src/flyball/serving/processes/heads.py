"""What a head must not have, whatever is asked: too many lines, codings that are not read, other versions of HTTP."""

from collections.abc import Sequence

from flyball.serving.http.problems import Problem

MAX_LINES = 100
"""Header lines of a request, each of which costs a call: browsers send about 20, chains of proxies 20 more."""


def too_many_lines() -> Problem:
    """The refusal of a head with more than `MAX_LINES`."""
    return Problem(431, f"head of a request must have at most {MAX_LINES} header lines")


def fault_of_head(version: str, headers: Sequence[tuple[bytes, bytes]]) -> Problem | None:
    """Why a head is refused, None for one that is not. `version`: of HTTP, such as `1.1`; `headers`: with names in
    lower case.

    A server that reads a coding that another does not know takes other bytes for the next request (RFC 9112, 6.1).
    """
    if version not in ("1.0", "1.1"):
        return Problem(400, f"version of HTTP must be 1.1 or 1.0, got {version}")
    values = [value for name, value in headers if name == b"transfer-encoding"]
    if not values:
        return None
    if version == "1.0":
        return Problem(400, "request of HTTP/1.0 must have no header transfer-encoding: send content-length")
    if [value.strip().lower() for value in values] != [b"chunked"]:
        got = b", ".join(values).decode("latin-1")
        return Problem(400, f"transfer-encoding must be chunked, got {got}: send the body as it is")
    return None
