"""The simulated world of a home: it is planned once, its past is ingested, and then it is driven live.

The plan in `home/world.json` reproduces the world: a driving process simulates the same past again (half a million
lines take a second) and continues from there.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flyball.app import App
from flyball.core import BadInput, Refused, write_atomic
from flyball.events import IngestReport, log_exists
from flyball.home import HomeLayout
from flyball.operations import Program, catch_up
from flyball.runtime import Runtime
from flyball.simulation.live import DriveReport, drive_http
from flyball.simulation.past import by_format, ingest_pieces, live_past, pieces_of
from flyball.simulation.world import DAY_US, World, open_world, shown_settings, world_settings

SECOND_US = 1_000_000
PLAN_FORMAT = 2


class WorldPlan(msgspec.Struct, frozen=True):
    """Which world a home has, and how fast it continues.

    `until_us`: the end of its past, which the service did not answer, microseconds. `settings`: those of the
    application's world that differ from its defaults. `days`: the length of the past. `lines_per_s`: when driven live.
    """

    until_us: int
    settings: dict[str, Any] = {}
    days: int = 3
    seed: int = 1
    lines_per_s: float = 100.0
    format: int = 0

    @property
    def start_us(self) -> int:
        return self.until_us - self.days * DAY_US


def read_plan(home: Path) -> WorldPlan | None:
    """The plan of the world of `home`; None if it has none. Raises `BadInput` for a plan that cannot be read."""
    return _read(HomeLayout(home).world)


def _read(path: Path) -> WorldPlan | None:
    if not path.exists():
        return None
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=WorldPlan)
    except msgspec.MsgspecError as error:
        raise BadInput(f"world plan {path}", f"as it was written ({error})", path.read_bytes()[:80]) from None
    if plan.format != PLAN_FORMAT:
        raise BadInput(
            f"world plan {path}", f"of format {PLAN_FORMAT}; choose another --home for a new world", plan.format
        )
    return plan


def new_plan(
    app: App, now_us: int, *, days: int | None = None, seed: int = 1, lines_per_s: float = 100.0, **settings: Any
) -> WorldPlan:
    """A plan whose past of `days` days (default: as the application's world says) ends now.

    Raises `BadDeclaration` if `app` has no world, `BadInput` for a wrong setting.
    """
    if days is None:
        days = app.world.past_days if app.world else 1
    if days < 1:
        raise BadInput("days", "1 or more", days)
    if lines_per_s <= 0:
        raise BadInput("lines_per_s", "above 0", lines_per_s)
    world_settings(app.world, app.name, settings)
    return WorldPlan(now_us // SECOND_US * SECOND_US, settings, days, seed, lines_per_s, PLAN_FORMAT)


def plan_summary(app: App, plan: WorldPlan) -> str:
    """The plan in one line, such as `users 2,000, items 27,000; 3 days of its past`."""
    sizes = shown_settings(app.world, app.name, plan.settings)
    shown = ", ".join(f"{name} {value:,}" for name, value in sizes.items() if isinstance(value, int))
    return f"{shown}; {plan.days} days of its past"


def world_of(app: App, plan: WorldPlan) -> World:
    """The world of `plan` at the start of its past."""
    return open_world(app.world, app.name, seed=plan.seed, start_us=plan.start_us, **plan.settings)


def check_made_up(runtime: Runtime) -> None:
    """Raise `Refused` if the log of the home has events that no world made: events cannot be removed from a log."""
    if runtime.layout.world.exists() or runtime.layout.world_begun.exists() or not log_exists(runtime.settings.events):
        return
    events = sum(runtime.log.ends())
    if events:
        raise Refused(
            f"home {runtime.home} must be new or made by --world for a simulated world, got one whose log holds "
            f"{events:,} events: they could not be told apart from simulated ones. Choose another --home, or leave it "
            "out: --world then uses a home of its own"
        )


def seed_home(
    runtime: Runtime, plan: WorldPlan, report_progress: Callable[[str], object] | None = None
) -> IngestReport:
    """Ingest the past of the world, apply it to the views, then store the plan; reports all lines together.

    The first answers then have a state to use. After an interrupted call, the next one completes the past that was
    begun, whatever `plan` says; no line is lost or counted twice. Raises `BadDeclaration` if the application has no
    world, and `Refused` as `check_made_up` does.
    """
    app, begun_path, progress = runtime.app, runtime.layout.world_begun, report_progress or _silent
    check_made_up(runtime)
    plan = _read(begun_path) or plan
    world = world_of(app, plan)
    runtime.home.mkdir(parents=True, exist_ok=True)
    write_atomic(begun_path, msgspec.json.encode(plan))
    batches = list(live_past(world, plan.start_us, plan.until_us))
    reports = [
        ingest_pieces(runtime, format, pieces_of(lines), f"world/{format}", "history", _ingested(progress))
        for format, lines in by_format(batches).items()
    ]
    catch_up(runtime, progress)
    begun_path.replace(runtime.layout.world)
    return _together(reports)


def world_program() -> Program:
    """The live driver of a home's world as a program for `up`."""
    return Program("world", (sys.executable, "-P", "-m", "flyball.simulation.child", "http://127.0.0.1:{port}"))


def drive_plan(app: App, plan: WorldPlan, url: str, now_us: int, stop: threading.Event) -> DriveReport:
    """Simulate the plan's past again, then drive the service at `url` until `stop` is set."""
    world = world_of(app, plan)
    lines = sum(len(part) for batch in live_past(world, plan.start_us, plan.until_us) for _, part in batch.lines)
    # The random numbers must differ from those of an earlier drive of the same world.
    world.rng = np.random.default_rng([plan.seed, 4, now_us])
    speed = speed_for(plan.lines_per_s, lines, plan.days)
    return drive_http(world, plan.until_us, url, kind=app.task.about.kind, speed=speed, stop=stop, watch=_Watcher())


def speed_for(lines_per_s: float, lines: int, days: float) -> float:
    """The speed-up of world time that gives `lines_per_s`, for a world with `lines` in `days` days; at least 1.

    >>> speed_for(100.0, 864_000, 1.0)
    10.0
    """
    return max(1.0, lines_per_s * days * DAY_US / SECOND_US / max(1, lines))


def _silent(_: str) -> None: ...


def _ingested(report_progress: Callable[[str], object]) -> Callable[[IngestReport], None]:
    def report(so_far: IngestReport) -> None:
        report_progress(f"{so_far.read:,} lines ingested")

    return report


def _together(reports: Sequence[IngestReport]) -> IngestReport:
    accepted, flagged, quarantined = (Counter[str]() for _ in range(3))
    for report in reports:
        accepted.update(report.accepted)
        flagged.update(report.flagged)
        quarantined.update(report.quarantined)
    return IngestReport(
        sum(report.read for report in reports),
        dict(accepted),
        dict(flagged),
        dict(quarantined),
        sum(report.duplicates for report in reports),
        sum(report.seconds for report in reports),
    )


class _Watcher:
    """Prints a line when the status changes; the supervisor keeps the output."""

    def __init__(self) -> None:
        self._status = ""

    def __call__(self, report: DriveReport) -> None:
        if report.status != self._status:
            self._status = report.status
            print(f"world: {report.status}; {report.lines:,} lines, {report.requests:,} requests", flush=True)
