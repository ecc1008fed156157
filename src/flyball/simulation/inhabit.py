"""A world that moves into an application: it brings a past, then lives on in real time over HTTP."""

import threading
from collections.abc import Callable

import msgspec

from flyball.core import parse_duration
from flyball.events import find_format, ingest
from flyball.runtime import Runtime
from flyball.simulation.live import DriveReport, drive_http
from flyball.simulation.seed import seed_history
from flyball.simulation.world import Batch, World, make_world

PAST = "14d"


def inhabit(
    runtime: Runtime,
    url: str,
    *,
    users: int,
    films: int,
    seed: int,
    lines_per_s: float,
    stop: threading.Event,
    tell: Callable[[str], None],
) -> DriveReport:
    """Give an empty log two weeks of the world's past, then drive the service at `url` until `stop` is set.

    A log that already has events gets no past: the world goes on with another life of the same users and films.
    """
    now_us = runtime.clock.now_us()
    begun = sum(runtime.log.ends())
    if begun == 0:
        world = make_world(users, films, seed=seed, start_us=now_us - parse_duration(PAST))
        move_in(runtime, world, now_us, tell)
    else:
        world = make_world(users, films, seed=seed, start_us=now_us, life=begun)
    tell("living over HTTP")
    return drive_http(world, url, lines_per_s=lines_per_s, stop=stop, clock=runtime.clock)


def move_in(runtime: Runtime, world: World, until_us: int, tell: Callable[[str], None]) -> None:
    """Take in the world's profiles and its past up to `until_us`, as history."""
    taken = 0
    for number, batch in enumerate(seed_history(world, until_us)):
        taken += take_batch(runtime, batch, f"world, part {number}")
        tell(f"taking in the past: {taken:,} events")


def take_batch(runtime: Runtime, batch: Batch, source: str) -> int:
    """Ingest one batch of a world as history; how many events the log took."""
    profiles = b"".join(
        msgspec.json.encode({"type": kind, "at": at, **fields}) + b"\n" for kind, fields, at in batch.profiles
    )
    taken = 0
    for name, data in (("jsonl", profiles), ("movielog", b"".join(line + b"\n" for line in batch.lines))):
        if data:
            report = ingest(
                [data],
                format=find_format(name, runtime.app.formats),
                schema=runtime.schema,
                log=runtime.log,
                quarantine=runtime.quarantine,
                catalogue=runtime.catalogue,
                clock=runtime.clock,
                mode="history",
                source=f"{source}, {name}",
                format_name=name,
            )
            taken += sum(report.accepted.values())
    return taken
