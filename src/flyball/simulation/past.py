"""The past of a new application: a world that is simulated without a service."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

from flyball.core import parse_duration
from flyball.events import IngestReport, LineSource, find_format, ingest
from flyball.runtime import Runtime
from flyball.simulation.world import Timeline, World, WorldBatch

_STEP = "6h"
_PIECE = 20_000


def live_past(world: World, start_us: int, until_us: int, step: str = _STEP) -> Iterator[WorldBatch]:
    """Simulate a new world from `start_us` to `until_us` without a service: no request gets a response.

    The first batch contains the profiles of all users and items that exist at the start. Times in microseconds.
    """
    timeline = Timeline()
    yield world.emit(start_us, timeline)
    step_us = parse_duration(step)
    while start_us < until_us:
        start_us = min(start_us + step_us, until_us)
        requests = world.requests(start_us, timeline)
        world.decide(requests, [None] * len(requests), [])
        yield world.emit(start_us, timeline)


def by_format(batches: Sequence[WorldBatch]) -> dict[str, list[bytes]]:
    """{format: the lines of all batches}, so that profiles, which are in the first batch, precede their events."""
    lines: dict[str, list[bytes]] = {}
    for batch in batches:
        for format, part in batch.lines:
            lines.setdefault(format, []).extend(part)
    return lines


def pieces_of(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, joined into pieces of 20,000 for ingestion."""
    remaining = iter(lines)
    while piece := list(islice(remaining, _PIECE)):
        yield b"\n".join(piece) + b"\n"


def ingest_pieces(
    runtime: Runtime,
    format: str,
    pieces: Iterable[bytes],
    source: str,
    mode: Literal["live", "history"],
    progress: Callable[[IngestReport], None] | None = None,
) -> IngestReport:
    """Ingest `pieces`, each of several lines, into the log of the application."""
    # A world writes UTC, whatever the time zone of the home is.
    lines = LineSource(source, find_format(format, runtime.app.formats), format, mode)
    return ingest(pieces, lines, runtime.inlet, progress=progress)
