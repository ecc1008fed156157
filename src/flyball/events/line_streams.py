"""Lines that come as messages of a stream that someone else owns, such as a topic.

Promises: a line is read again until `commit` has stored that it was ingested, so that ingesting it more than once is
all that a crash can do, and identities make that harmless.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from flyball.core import load_backend, parse_url

StreamStart = Literal["beginning", "end", "committed"]


class StreamedLines(msgspec.Struct, frozen=True):
    """Lines of one partition. `source`: its name; `positions`: of each line, its offset; `times_us`: when its message
    was written."""

    source: str
    positions: Sequence[int]
    lines: Sequence[bytes]
    times_us: Sequence[int]


class LineStream(Protocol):
    """A stream of lines. `read` returns the next ones, up to about `limit`, and nothing when there are none yet.

    `commit` stores that all lines that were read are ingested. `rewind` goes back to what was committed last.
    """

    name: str

    def read(self, limit: int) -> list[StreamedLines]: ...

    def commit(self) -> None: ...

    def rewind(self) -> None: ...

    def close(self) -> None: ...


LINE_STREAMS = {"kafka": "flyball.events.kafka.lines:TopicLines"}


def open_line_stream(url: str, group: str, start: StreamStart, until_end: bool) -> LineStream:
    """Open the stream of lines at `url`. `group`: who reads, unless the URL has an option `group`.

    `start`: where a reader begins, "committed" being the beginning for one that has not committed yet. `until_end`:
    read up to the present end only.
    """
    parsed = parse_url(url)
    stream: LineStream = load_backend("stream of lines", LINE_STREAMS, parsed.scheme)(parsed, group, start, until_end)
    return stream
