"""`flyball plan`: how many machines an application needs for so many users, from measurements of this one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from flyball.cli.common import AppName, Home, Json, Set, load, settings_for
from flyball.cli.show import progress_line, say, show_json, show_table, warn
from flyball.core import BadInput, NotFound, SystemClock, counted_units, format_second, parse_duration

if TYPE_CHECKING:
    from flyball.app import App
    from flyball.capacity import CapacityPlan, Demand, EventSample, MachineProfile, PartPlan, Prices, SizeMeasured
    from flyball.settings import Settings

_SIZE = "{size}"


def register(app: typer.Typer) -> None:
    app.command()(plan)


def plan(
    app: AppName,
    users: Annotated[int | None, typer.Option("--users", min=1, help="Users that have a history.")] = None,
    items: Annotated[
        int | None, typer.Option("--items", min=1, help="Items to choose from.", show_default="as measured")
    ] = None,
    requests: Annotated[float | None, typer.Option("--requests", help="Requests a second at the peak.")] = None,
    events: Annotated[
        float | None,
        typer.Option("--events", help="Events a second at the peak.", show_default="as many a user as in the sample"),
    ] = None,
    peak: Annotated[float, typer.Option("--peak", help="How many times the mean of a day the peak is.")] = 1.0,
    deadline: Annotated[
        str | None, typer.Option("--deadline", help="How long an answer may take.", show_default="the task's")
    ] = None,
    in_time: Annotated[float, typer.Option("--in-time", help="The share of answers within it.")] = 0.999,
    keep: Annotated[str, typer.Option("--keep", help="How long events and answers are kept.")] = "90d",
    price_cpu_hour: Annotated[
        float | None, typer.Option("--price-cpu-hour", help="Of a core, in any currency.", show_default="unknown")
    ] = None,
    price_memory_gb_hour: Annotated[
        float | None, typer.Option("--price-memory-gb-hour", help="Of memory.", show_default="unknown")
    ] = None,
    price_gb_month: Annotated[
        float | None, typer.Option("--price-gb-month", help="Of storage.", show_default="unknown")
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Measure this machine, also where that was done.")] = False,
    measure_users: Annotated[
        int, typer.Option("--measure-users", min=20, help="Users of the world to measure with, without a log.")
    ] = 600,
    measure_items: Annotated[
        int, typer.Option("--measure-items", min=20, help="Items of the world to measure with, without a log.")
    ] = 1_200,
    measure_with: Annotated[
        Path | None,
        typer.Option(
            "--measure-with",
            help="A settings.toml with the stores to measure with; they are written to.",
            show_default="files of this machine",
        ),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option("--profile", help="The file of measurements.", show_default="~/.cache/flyball/APP.json"),
    ] = None,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Say what so many users, items and requests need: processes, memory, storage, what saturates first.

    From measurements of this machine, which take about a minute and are kept: with events of the home's log, else of
    the application's world. Every number comes from them or from the options; what lies more than ten times beyond
    what was measured is named.
    """
    from flyball.capacity import Prices, plan_capacity, read_profile, write_profile

    settings = settings_for(app, home, chosen)
    declared = load(app, settings.app)
    path = profile or cache_folder() / f"{declared.name}.json"
    if measure or not path.is_file():
        sizes = {"users": measure_users, "items": measure_items}
        measured = _Measuring(app, declared, settings, measure_with, sizes).run(json)
        write_profile(path, measured)
        warn(f"measured this machine in {measured.took_s:.0f} s: {path}")
    measured = read_profile(path)
    if users is None or requests is None:
        if (users is None) != (requests is None):
            raise BadInput("flyball plan", "given --users and --requests, both or neither", "one of them")
        _finish_profile(measured, path, json)
        return
    demand = demand_of(declared, measured, users, items, requests, events, peak, deadline, in_time, keep)
    demand = msgspec.structs.replace(demand, per_machine=settings.workers)
    prices = Prices(cpu_hour=price_cpu_hour, gb_month=price_gb_month, memory_gb_hour=price_memory_gb_hour)
    result = plan_capacity(measured, demand, prices)
    if json:
        show_json(result)
    else:
        _show(result, measured, prices)


def cache_folder() -> Path:
    """Where measurements of this machine are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flyball"


def _finish_profile(measured: "MachineProfile", path: Path, json: bool) -> None:
    if json:
        show_json(measured)
        return
    _show_profile(measured)
    say(f"\nkept in {path}; next: flyball plan {measured.app} --users N --requests N")


def demand_of(
    app: "App",
    measured: "MachineProfile",
    users: int,
    items: int | None,
    requests: float,
    events: float | None,
    peak: float,
    deadline: str | None,
    in_time: float,
    keep: str,
) -> "Demand":
    """The demand of the options; what they leave out is as measured, or as the application declares it."""
    from flyball.capacity import Demand
    from flyball.policy import Every

    deadline_us = app.task.about.deadline_us if deadline is None else parse_duration(deadline, "--deadline")
    periods = [trigger.period_us / 1e6 for trigger in app.retrain if isinstance(trigger, Every)]
    return Demand(
        users=users,
        items=items or max(1, measured.largest.items),
        requests_per_s=requests,
        events_per_s=events or measured.events_per_user_day * users * peak / 86_400,
        peak=peak,
        deadline_s=deadline_us / 1e6,
        in_time=in_time,
        keep_days=parse_duration(keep, "--keep") / 86_400e6,
        learn_every_s=min(periods, default=None),
    )


class _Measuring:
    """The options of a measurement. `stores`: a settings.toml, see `--measure-with`."""

    def __init__(self, spec: str, app: "App", settings: "Settings", stores: Path | None, sizes: dict[str, int]) -> None:
        self.spec, self.app, self.settings, self.sizes = spec, app, settings, sizes
        self._stores = None if stores is None else stores.read_text()
        if self._stores is not None and _SIZE not in self._stores:
            raise BadInput(
                f"--measure-with {stores}", f"URLs with {_SIZE} in them, which differs for each size", "none"
            )

    def run(self, quiet: bool) -> "MachineProfile":
        """Measure, in a folder that is removed."""
        from flyball.capacity import measure

        with tempfile.TemporaryDirectory(prefix="flyball-plan-") as name, progress_line(quiet) as progress:
            folder = Path(name)
            return measure(self.app, self._sample(folder, progress), folder, self._settings_in, SystemClock(), progress)

    def _sample(self, folder: Path, progress: Callable[[str], None]) -> "EventSample":
        """Events of the home's log; where that has none, of a world."""
        from flyball.capacity import take_sample
        from flyball.events import log_exists
        from flyball.runtime import Runtime
        from flyball.simulation import new_plan, seed_home, world_settings

        if log_exists(self.settings.events):
            runtime = Runtime(self.app, self.settings, SystemClock())
            return take_sample(runtime, f"the log of {self.settings.home}")
        if self.app.world is None:
            raise NotFound("events to measure with in", self.settings.home, next_step="flyball ingest brings some")
        known = world_settings(self.app.world, self.app.name, {})
        chosen = {name: size for name, size in self.sizes.items() if name in known}
        runtime = Runtime(self.app, self._own_settings(folder / "world"), SystemClock())
        seed_home(runtime, new_plan(self.app, runtime.clock.now_us(), **chosen), progress)
        return take_sample(runtime, f"the simulated world of {self.app.name}")

    def _own_settings(self, folder: Path) -> "Settings":
        from flyball.runtime import load_settings

        return load_settings(folder, options={"app": self.settings.app})

    def _settings_in(self, folder: Path) -> "Settings":
        if self._stores is not None:
            folder.mkdir(parents=True)
            (folder / "settings.toml").write_text(self._stores.replace(_SIZE, folder.name))
        return self._own_settings(folder)


def _show_profile(measured: "MachineProfile") -> None:
    say(f"{measured.app} with {measured.candidate}, on {measured.source}; Flyball {measured.version}")
    say(f"{measured.machine}; {format_second(measured.at_us)}, {measured.took_s:.0f} s")
    say(f"{measured.events_per_user_day:.1f} events of a user a day\n")
    rows: list[list[str | None]] = [
        ["users", *(f"{size.users:,}" for size in measured.sizes)],
        ["items", *(f"{size.items:,}" for size in measured.sizes)],
        ["events", *(f"{size.events:,}" for size in measured.sizes)],
        *([title, *(_cell(size, name, form) for size in measured.sizes)] for title, name, form in _PROFILE_ROWS),
    ]
    show_table(["", "small", "middle", "large"], rows, right=["small", "middle", "large"])


def _cell(size: "SizeMeasured", name: str, form: str) -> str | None:
    value = getattr(size, name)
    if value is None:
        return None
    match form:
        case "us":
            return f"{value * 1e6:,.1f}"
        case "ms":
            return f"{sorted(value)[len(value) // 2] * 1e3:,.2f}"
        case "p99":
            return f"{sorted(value)[int(0.99 * len(value))] * 1e3:,.2f}"
        case "event":
            return f"{value / size.events:,.0f}"
        case "MB":
            return f"{value / 1e6:,.2f}"
        case _:
            return f"{value:{form}}"


_PROFILE_ROWS = (
    ("check and append an event, us of CPU", "ingest_s", "us"),
    ("apply it to state and features, us", "online_s", "us"),
    ("write it to the history, us", "history_s", "us"),
    ("look for answers it belongs to, us", "outcome_event_s", "us"),
    ("an event in the log, bytes", "log_bytes", "event"),
    ("in the history, bytes", "history_bytes", "event"),
    ("state and features, MB", "state_bytes", "MB"),
    ("learning, s of CPU", "learn_s", ".1f"),
    ("memory of learning, MB", "learn_bytes", "MB"),
    ("artifact that answers, MB", "artifact_bytes", "MB"),
    ("artifacts of a run, MB", "run_bytes", "MB"),
    ("an answer when few ask, us of CPU", "alone_cpu_s", "us"),
    ("then p50, ms", "alone_s", "ms"),
    ("then p99, ms", "alone_s", "p99"),
    ("an answer of 32 together, us", "answer_s", "us"),
    ("answers/s of one process", "saturated_per_s", ",.0f"),
    ("memory of the process, MB", "process_bytes", "MB"),
    ("join an answer to its outcome, us", "recorded_s", "us"),
    ("an answer in the predictions, bytes", "prediction_bytes", ",.0f"),
    ("in the outcomes, bytes", "outcome_bytes", ",.0f"),
    ("in the history of predictions, bytes", "prediction_history_bytes", ",.0f"),
)


def _show(result: "CapacityPlan", measured: "MachineProfile", prices: "Prices") -> None:
    demand = result.demand
    say(
        f"{measured.app}: {demand.users:,} users, {demand.items:,} items; at the peak {demand.requests_per_s:,.0f} "
        f"requests and {demand.events_per_s:,.0f} events a second, {demand.peak:g} times the mean"
    )
    say(f"measured on {format_second(measured.at_us)} ({measured.machine}) with {measured.candidate}\n")
    head = ["part", "processes", "cores busy", "memory each", "disk", "a day", "limit a second", "used", "cost/month"]
    rows = [_part_row(part, prices.any_given) for part in result.parts]
    show_table(head if prices.any_given else head[:-1], rows, right=head[1:])
    say(f"\ndisk: after {demand.keep_days:g} days")
    if prices.any_given:
        say(f"cost in all: {sum(part.cost_month or 0.0 for part in result.parts):,.2f} a month")
    say(
        f"serving: {result.machines} machines with {demand.per_machine} processes each, one of which may fail; within "
        f"{demand.deadline_s * 1e3:,.0f} ms: {result.in_time:.3%} (p50 {result.p50_s * 1e3:.1f}, p99 "
        f"{result.p99_s * 1e3:.1f} ms), with a machine fewer {result.in_time_without_one:.3%}"
    )
    say(f"event log: {counted_units(result.partitions, 'partition')} or more")
    say(f"network: {result.network_bytes_per_s / 1e6:,.2f} MB/s of answers and events\n")
    names = list(result.growth[0].used)
    grown = [
        [f"{growth.times:g}x", str(growth.serving), *(f"{growth.used[name]:.0%}" for name in names)]
        for growth in result.growth
    ]
    show_table(["load", "serving processes", *names], grown, right=["serving processes", *names])
    say(f"\nsaturates first: {result.breaks_first}, at {result.breaks_at:.1f} times this load")
    if result.beyond:
        far = ", ".join(f"{name.replace('_', ' ')} {ratio:,.0f} times" for name, ratio in sorted(result.beyond.items()))
        say(f"extrapolated by more than 10 times the largest measured size: {far}")
    for note in result.notes:
        say(f"note: {note}")


def _part_row(part: "PartPlan", priced: bool) -> list[str | None]:
    used = part.used()
    row = [
        part.part,
        str(part.processes) if part.processes else None,
        f"{part.cores:.2f}" if part.processes else None,
        _bytes(part.memory_bytes),
        _bytes(part.disk_bytes),
        _bytes(part.disk_per_day),
        _limit(part),
        None if used is None else f"{used:.0%}",
    ]
    return [*row, None if part.cost_month is None else f"{part.cost_month:,.2f}"] if priced else row


def _limit(part: "PartPlan") -> str | None:
    if part.limit_per_s is None:
        return None
    if part.unit == "runs":
        return f"{1 / part.limit_per_s / 3_600:,.2f} h a run"
    return f"{part.limit_per_s:,.0f} {part.unit}"


def _bytes(count: float | None) -> str | None:
    """
    >>> _bytes(1_500_000_000.0), _bytes(20_000.0)
    ('1.5 GB', '0.0 MB')
    """
    if count is None:
        return None
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
