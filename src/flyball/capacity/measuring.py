"""Measures an application on this machine, in homes that are thrown away; a minute by default."""

import gc
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

from flyball import __version__
from flyball.app import App
from flyball.capacity.profile import MachineProfile, SizeMeasured
from flyball.capacity.sample import EventSample
from flyball.capacity.scratch import (
    ANSWERS,
    ONLINE,
    LearnCost,
    Taken,
    artifact_bytes,
    close_stores,
    drain,
    learn_alone,
    learned_versions,
    let_answer,
    remove,
    store_bytes,
    take_in,
)
from flyball.capacity.serving_cost import AnswerCost, answer_cost, request_paths
from flyball.core import Clock, Refused, Stopwatch, SystemStopwatch, parse_url
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.settings import STORES, Settings

SECONDS = 1.5
PARTS = ((True, True), (False, True), (False, False))
"""Which halves are measured: (of users, of items); the last one is the whole sample."""

_STORE_SETTINGS = tuple(name for name in STORES if name != "apply_delays")

SettingsIn = Callable[[Path], Settings]


def measure(
    app: App,
    sample: EventSample,
    folder: Path,
    settings_in: SettingsIn,
    clock: Clock,
    report_progress: Callable[[str], object],
    seconds: float = SECONDS,
    stopwatch: Stopwatch | None = None,
) -> MachineProfile:
    """Measure at three sizes, in homes under `folder` whose settings `settings_in` gives.

    Everything is counted in CPU seconds, which other programs on the machine change little. `seconds`: how long each
    size answers many clients; it answers few for twice as long. Raises `Refused` for too few events to learn from.
    """
    watch = stopwatch or SystemStopwatch()
    began_s, now_us = watch.read_s(), clock.now_us()
    parts = [sample.part(users, items) for users, items in PARTS]
    runtimes = [Runtime(app, settings_in(folder / f"size-{number}"), clock) for number in range(len(parts))]
    taken: list[tuple[Taken, LearnCost]] = []
    for runtime, part in zip(runtimes, parts, strict=True):
        report_progress(f"{len(part.events):,} events: taking them in, and learning")
        intake = take_in(runtime, part, time.process_time)
        if not taken:
            learn_alone(runtime)  # the first run of an installation compiles
        taken.append((intake, learn_alone(runtime)))
        close_stores(runtime)
    candidate = _candidate(runtimes)
    sizes = []
    for runtime, part, (intake, learned) in zip(runtimes, parts, taken, strict=True):
        report_progress(f"{part.users:,} users, {part.items:,} items: answering")
        sizes.append(_size(runtime, part, intake, learned, candidate, seconds))
        remove(runtime.home)
    return MachineProfile(
        app=app.name,
        machine=machine_words(),
        version=__version__,
        at_us=now_us,
        candidate=candidate,
        source=sample.source,
        events_per_user_day=len(sample.events) / max(1, sample.users) / sample.days,
        stores={name: parse_url(str(getattr(runtimes[-1].settings, name))).scheme for name in _STORE_SETTINGS},
        sizes=tuple(sizes),
        took_s=watch.read_s() - began_s,
    )


def _candidate(runtimes: list[Runtime]) -> str:
    """The candidate that answers at all sizes: the champion of the whole sample, where it was fitted at all sizes."""
    everywhere = [learned_versions(runtime) for runtime in runtimes]
    common = [name for name in everywhere[-1] if all(name in versions for versions in everywhere)]
    champion = current(runtimes[-1].registry).champion
    names = [name for name in common if everywhere[-1][name].id == champion] or common
    if not names:
        raise Refused(
            "a candidate must be fitted at each measured size, got none: measure with more events, or look at "
            f"flyball learn {runtimes[0].app.spec}"
        )
    return names[0]


def _size(
    runtime: Runtime, part: EventSample, taken: Taken, learned: LearnCost, candidate: str, seconds: float
) -> SizeMeasured:
    """What the second half of the measurement gives, beside what the first gave."""
    versions = learned_versions(runtime)
    let_answer(runtime, versions[candidate])
    paths, settings = request_paths(runtime, part), runtime.settings
    close_stores(runtime)
    before = {name: store_bytes(getattr(settings, name)) for name in ("predictions", "outcomes", "history")}
    cost = answer_cost(runtime, paths, seconds)
    recorded = drain(runtime, time.process_time)
    close_stores(runtime)
    after = {name: store_bytes(getattr(settings, name)) for name in before}
    events = len(part.events)
    online = [store_bytes(settings.state), store_bytes(settings.features)]
    known = [size for size in online if size is not None]
    size = SizeMeasured(
        users=part.users,
        items=part.items,
        events=events,
        event_line_bytes=sum(len(event.line) + 1 for event in part.events) / events,
        ingest_s=taken.ingest_s / events,
        online_s=sum(taken.applied_s.get(name, 0.0) for name in ONLINE) / events,
        history_s=taken.applied_s.get("history", 0.0) / events,
        outcome_event_s=taken.applied_s.get("outcomes", 0.0) / events,
        log_bytes=store_bytes(settings.events),
        history_bytes=before["history"],
        state_bytes=sum(known) if known else None,
        learn_s=learned.cpu_s,
        learn_bytes=learned.memory_bytes,
        artifact_bytes=artifact_bytes(runtime, [versions[candidate]]),
        run_bytes=artifact_bytes(runtime, list(versions.values())),
        answer_s=cost.answer_s,
        alone_cpu_s=cost.alone_cpu_s,
        saturated_per_s=cost.saturated_per_s,
        alone_s=cost.alone_s,
        process_bytes=cost.process_bytes,
        response_bytes=cost.response_bytes,
        recorded_s=sum(recorded.get(name, 0.0) for name in ANSWERS) / cost.answers,
        prediction_bytes=_more(before, after, "predictions", cost),
        outcome_bytes=_more(before, after, "outcomes", cost),
        prediction_history_bytes=_more(before, after, "history", cost),
    )
    close_stores(runtime)
    gc.collect()
    return size


def _more(before: dict[str, float | None], after: dict[str, float | None], name: str, cost: AnswerCost) -> float | None:
    """What an answer added to a store; None for a server's."""
    first, last = before[name], after[name]
    return None if last is None else (last - (first or 0.0)) / cost.answers


def machine_words() -> str:
    """The machine in a few words: its processor, cores and memory."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cpus = os.cpu_count() or 1
    return f"{platform.machine()}, {cpus} cores, {memory_gb:.0f} GB, {platform.system()}"
