"""A world for a home: planned once and written down, lived into the past, then driven live.

The plan in `home/world.json` makes the world the same one each time: a driving process lives through the same past
again (a second for half a million lines) and goes on from there.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from flyball.core import BadDeclaration, BadInput, NotFound, write_atomic
from flyball.events import Format, IngestReport, find_format, ingest
from flyball.operations import Program
from flyball.runtime import Runtime
from flyball.simulation.live import DriveReport, drive_http
from flyball.simulation.worlds.movies.log_lines import DAY_US, SECOND_US
from flyball.simulation.worlds.movies.seed import seed_history
from flyball.simulation.worlds.movies.world import ProfileRow, World, make_world

_PIECE = 20_000


class WorldPlan(msgspec.Struct, frozen=True):
    """Which world, how long it lived before the service came (until `until_us`), and how fast it goes on."""

    until_us: int
    users: int = 2_000
    films: int = 27_000
    days: int = 10
    seed: int = 1
    lines_per_s: float = 100.0

    @property
    def start_us(self) -> int:
        return self.until_us - self.days * DAY_US


def plan_path(home: Path) -> Path:
    return home / "world.json"


def read_plan(home: Path) -> WorldPlan | None:
    """The plan of the world whose past `home` holds whole, None when there is none yet."""
    return _read(plan_path(home))


def _begun_path(home: Path) -> Path:
    return home / "world.begun.json"


def _read(path: Path) -> WorldPlan | None:
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorldPlan)
    except msgspec.MsgspecError as error:
        raise BadInput(f"world plan {path}", f"as it was written ({error})", path.read_bytes()[:80]) from None


def new_plan(
    now_us: int, *, users: int = 2_000, films: int = 27_000, days: int = 10, seed: int = 1, lines_per_s: float = 100.0
) -> WorldPlan:
    """A plan whose past ends now."""
    if days < 1:
        raise BadInput("days", "1 or more", days)
    return WorldPlan(now_us // SECOND_US * SECOND_US, users, films, days, seed, lines_per_s)


def world_of(plan: WorldPlan) -> World:
    """The world of `plan` at the start of its past."""
    return make_world(plan.users, plan.films, seed=plan.seed, start_us=plan.start_us)


def seed_home(
    runtime: Runtime, plan: WorldPlan, progress: Callable[[IngestReport], None] | None = None
) -> IngestReport:
    """Take the world's past into the application's log, profiles first, and write the plan down.

    Killed and called again, nothing is lost or doubled: a past that was begun earlier on this home is finished,
    whatever `plan` says. Raises `BadDeclaration` when the
    application does not speak movielog.
    """
    lines, begun = movielog_of(runtime), _begun_path(runtime.home)
    plan = _read(begun) or plan
    runtime.home.mkdir(parents=True, exist_ok=True)
    write_atomic(begun, msgspec.json.encode(plan))
    batches = list(seed_history(world_of(plan), plan.until_us))
    rows = (row for batch in batches for row in batch.profiles)
    take_in(runtime, find_format("jsonl"), "jsonl", profile_lines(rows), "world/profiles", progress)
    said = _pieces(line for batch in batches for line in batch.lines)
    report = take_in(runtime, lines, "movielog", said, "world", progress)
    begun.replace(plan_path(runtime.home))
    return report


def take_in(
    runtime: Runtime,
    format: Format,
    name: str,
    pieces: Iterable[bytes],
    source: str,
    progress: Callable[[IngestReport], None] | None = None,
) -> IngestReport:
    """Ingest pieces of bytes as history."""
    return ingest(
        pieces,
        format=format,
        schema=runtime.schema,
        log=runtime.log,
        quarantine=runtime.quarantine,
        catalogue=runtime.catalogue,
        clock=runtime.clock,
        mode="history",
        source=source,
        format_name=name,
        progress=progress,
    )


def movielog_of(runtime: Runtime) -> Format:
    """The application's own movielog format; raises `BadDeclaration` when it has none."""
    try:
        return find_format("movielog", runtime.app.formats)
    except NotFound as error:
        must = "with a movielog format, for the movie world to speak to"
        raise BadDeclaration(f"application {runtime.app.name!r}", must, error.known) from None


def profile_lines(rows: Iterable[ProfileRow]) -> Iterator[bytes]:
    """The rows as pieces of JSON lines, for the application's ingestion."""
    encode = msgspec.json.Encoder().encode
    return _pieces(encode({"type": kind, "at": at, **fields}) for kind, fields, at in rows)


def world_program(home: Path) -> Program:
    """The live driver of the home's world as a program for `up`."""
    return Program(
        "world", (sys.executable, "-P", "-m", "flyball.simulation.child", str(home), "http://127.0.0.1:{port}")
    )


def drive_plan(plan: WorldPlan, url: str, now_us: int, stop: threading.Event) -> DriveReport:
    """Live through the plan's past again, then drive the service at `url` until `stop` is set."""
    world = world_of(plan)
    for _ in seed_history(world, plan.until_us):
        pass
    # What comes next must not repeat what an earlier drive of the same world did.
    world.take_rng(np.random.default_rng([plan.seed, 4, now_us]))
    return drive_http(world, url, lines_per_s=plan.lines_per_s, stop=stop, watch=_Watcher())


class _Watcher:
    """Prints a line when something changes; the supervisor keeps what is printed."""

    def __init__(self) -> None:
        self._status = ""

    def __call__(self, report: DriveReport) -> None:
        if report.status != self._status:
            self._status = report.status
            print(f"world: {report.status}; {report.lines:,} lines, {report.asks:,} asks", flush=True)


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    for line in lines:
        held.append(line)
        if len(held) == _PIECE:
            yield b"\n".join(held) + b"\n"
            held = []
    if held:
        yield b"\n".join(held) + b"\n"
