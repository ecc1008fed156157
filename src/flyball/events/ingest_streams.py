"""Ingests a stream of lines (`LineStream`) that someone else writes, each line once."""

from collections.abc import Callable, Sequence

import msgspec

from flyball.core import Backoff, Stopwatch, StoreUnavailable, SystemStopwatch
from flyball.events.early_stop import ENOUGH_AT_THE_END, Stopped
from flyball.events.formats import Parsed, Parser
from flyball.events.ingest import IngestReport, LineTaker
from flyball.events.inlet import Inlet, LineSource
from flyball.events.line_streams import LineStream, StreamedLines
from flyball.events.lines import CHUNK

LOOK_S = 0.2
"""How often a stream is looked at when nothing comes."""


def ingest_stream(
    stream: LineStream,
    source: LineSource,
    inlet: Inlet,
    *,
    follow: bool,
    stopped: Callable[[float], bool],
    stop_early: bool = False,
    progress: Callable[[IngestReport], None] | None = None,
    between: Callable[[], None] | None = None,
    warn: Callable[[str], None] = lambda text: None,
    stopwatch: Stopwatch | None = None,
) -> IngestReport:
    """Ingest lines until the stream ends, or with `follow` until `stopped`, after which nothing is left half done.

    `stopped(seconds)` waits so long and returns whether to stop. Lines are committed when their events are in the log
    and the bad ones in quarantine. With `follow`, a stream or log that is unavailable is tried again after growing
    pauses, from what was committed last. Raises as `ingest` does.
    """
    watch = stopwatch or SystemStopwatch()
    start_s, backoff = watch.read_s(), Backoff()
    work = _StreamTaker(stream, source, inlet)
    inlet.catalog.catch_up(inlet.log)
    while not stopped(0.0):
        try:
            count = work.step()
        except StoreUnavailable as error:
            if not follow:
                raise
            warn(f"{error}; it is tried again")
            stream.rewind()
            if stopped(backoff.next_us(int(watch.read_s() * 1e6)) / 1e6):
                break
            continue
        if progress is not None:
            progress(work.taker.tally.report(watch.read_s() - start_s))
        if stop_early and (likely := work.taker.first_lines.finding()):
            tally = work.taker.tally
            raise Stopped(likely, tally.read, sum(tally.accepted.values()), sum(tally.quarantined.values()))
        if between is not None:
            between()
        if not count and (not follow or stopped(LOOK_S)):
            break
    likely = work.taker.first_lines.finding(ENOUGH_AT_THE_END)
    return work.taker.tally.report(watch.read_s() - start_s, likely)


class _StreamTaker:
    def __init__(self, stream: LineStream, source: LineSource, inlet: Inlet) -> None:
        self._stream = stream
        self._parser = _WithTimes(source.format.parser(inlet.schema, source.only))
        self.taker = LineTaker(source, inlet, parser=self._parser)

    def step(self) -> int:
        """Ingest and commit the next lines; returns their number."""
        pieces = self._stream.read(CHUNK)
        for piece in pieces:
            self._take(piece)
        if pieces:
            self._stream.commit()
        return sum(len(piece.lines) for piece in pieces)

    def _take(self, piece: StreamedLines) -> None:
        for start in range(0, len(piece.lines), CHUNK):
            part = slice(start, start + CHUNK)
            self._parser.times_us = piece.times_us[part]
            self.taker.take(piece.lines[part], piece.positions[part], piece.source)


class _WithTimes:
    """A parser that gives lines without a time that of their message, so that a line read twice is the same event."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self.times_us: Sequence[int] = ()

    def parse(self, lines: Sequence[bytes]) -> Parsed:
        parsed = self._parser.parse(lines)
        batches = [
            batch
            if None not in batch.at
            else msgspec.structs.replace(
                batch,
                at=[self.times_us[line] if at is None else at for at, line in zip(batch.at, batch.index, strict=True)],
            )
            for batch in parsed.batches
        ]
        return msgspec.structs.replace(parsed, batches=batches)

    def header(self) -> bytes:
        return self._parser.header()
