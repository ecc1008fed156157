"""Splits a stream of bytes into lists of lines, in constant memory."""

from collections.abc import Iterable, Iterator

MAX_LINE = 65_536
"""The most bytes of a line; a longer one goes to quarantine, truncated to this length."""

CHUNK = 4_096
"""Lines in one list, which is appended in one transaction: few enough to stay in the processor's caches."""


def split_lines(pieces: Iterable[bytes], chunk: int = CHUNK) -> Iterator[list[bytes]]:
    """Yield lists of up to `chunk` lines without line ends (LF or CR LF) and without a byte order mark.

    A line longer than `MAX_LINE` is truncated to one byte more, so that it can be recognized.
    """
    remainder = b""
    skipping = False
    start = True
    for piece in pieces:
        if start and piece:
            piece, start = piece.removeprefix(b"\xef\xbb\xbf"), False
        lines = piece.replace(b"\r\n", b"\n").split(b"\n")
        if remainder.endswith(b"\r") and piece.startswith(b"\n"):
            remainder = remainder[:-1]
        lines[0] = remainder + lines[0]
        remainder = lines.pop()
        if lines and skipping:
            del lines[0]
            skipping = False
        if skipping:
            remainder = b""
        elif len(remainder) > MAX_LINE + 1:
            lines.append(remainder)
            remainder, skipping = b"", True
        for begin in range(0, len(lines), chunk):
            yield _limited(lines[begin : begin + chunk])
    if remainder:
        yield _limited([remainder.removesuffix(b"\r")])


def _limited(lines: list[bytes]) -> list[bytes]:
    if max(map(len, lines)) <= MAX_LINE:
        return lines
    return [line[: MAX_LINE + 1] for line in lines]
