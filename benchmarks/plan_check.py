"""Predicts what three sizes of the movie application cost, from measurements of a smaller one, and runs each.

The measurement is that of `flyball plan movies --measure`. Each size is a simulated world of its own, whose past is
ingested, learned from and served; requests arrive as from independent users (Poisson), at one serving process.

    python benchmarks/plan_check.py [--sizes 1000:2000:100,10000:5000:200,50000:27000:300] [--seconds 10] [--json]

A size is USERS:ITEMS:REQUESTS a second.
"""

import argparse
import json
import random
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from flyball.app import load_app
from flyball.capacity import Demand, EventSample, MachineProfile, measure, plan_capacity, read_profile, write_profile
from flyball.capacity.load import closed_loop, open_loop
from flyball.capacity.planning import CostModel
from flyball.capacity.queueing import response_times, share_in_time
from flyball.capacity.sample import take_sample
from flyball.capacity.scratch import (
    ONLINE,
    artifact_bytes,
    close_stores,
    learn_alone,
    learned_versions,
    let_answer,
    store_bytes,
    take_in,
)
from flyball.capacity.serving_cost import cpu_seconds, memory_bytes, one_server, request_paths
from flyball.core import SystemClock, SystemStopwatch
from flyball.runtime import Runtime, load_settings
from flyball.simulation import new_plan, seed_home

DEADLINE_S = 0.6
MEASURED_USERS, MEASURED_ITEMS = 600, 1_200


def sample_of(folder: Path, users: int, items: int, days: int) -> EventSample:
    runtime = Runtime(load_app("movies"), load_settings(folder), SystemClock())
    seed_home(runtime, new_plan(runtime.app, runtime.clock.now_us(), days=days, users=users, items=items))
    sample = take_sample(runtime, f"a world of {users:,} users", most=10_000_000)
    close_stores(runtime)
    shutil.rmtree(folder)
    return sample


def measured_profile(folder: Path, path: Path | None) -> MachineProfile:
    if path is not None and path.is_file():
        return read_profile(path)
    sample = sample_of(folder / "world", MEASURED_USERS, MEASURED_ITEMS, 3)
    profile = measure(load_app("movies"), sample, folder, load_settings, SystemClock(), lambda text: None)
    if path is not None:
        write_profile(path, profile)
    return profile


def real(folder: Path, sample: EventSample, candidate: str, rate: float, seconds: float) -> dict[str, float]:
    """What a size costs, run for real."""
    runtime = Runtime(load_app("movies"), load_settings(folder), SystemClock())
    taken, events = take_in(runtime, sample, time.process_time), len(sample.events)
    learned = learn_alone(runtime)
    versions = learned_versions(runtime)
    let_answer(runtime, versions[candidate])
    paths, settings = request_paths(runtime, sample), runtime.settings
    artifact = artifact_bytes(runtime, [versions[candidate]])
    close_stores(runtime)
    with one_server(runtime, "", SystemStopwatch()) as (port, pid):
        closed_loop(port, 8, 1.0, lambda number: paths[number % len(paths)])
        load = open_loop(port, rate, seconds, 64, lambda number: paths[number % len(paths)], rng=random.Random(1))
        before_s = cpu_seconds(pid)
        together = closed_loop(port, 32, 2.0, lambda number: paths[number % len(paths)])
        answer_s, process = (cpu_seconds(pid) - before_s) / len(together.times_s), memory_bytes(pid)
    in_time = sum(took_s <= DEADLINE_S for took_s in load.times_s) / int(rate * seconds)
    result = {
        "ingest an event, us": taken.ingest_s / events * 1e6,
        "state and features, us": sum(taken.applied_s.get(name, 0.0) for name in ONLINE) / events * 1e6,
        "history, us": taken.applied_s["history"] / events * 1e6,
        "log, bytes an event": (store_bytes(settings.events) or 0.0) / events,
        "history, bytes an event": (store_bytes(settings.history) or 0.0) / events,
        "state and features, MB": sum(store_bytes(url) or 0.0 for url in (settings.state, settings.features)) / 1e6,
        "learning, s": learned.cpu_s,
        "learning, MB of memory": learned.memory_bytes / 1e6,
        f"artifact of {candidate}, MB": artifact / 1e6,
        "an answer together, us": answer_s * 1e6,
        "serving process, MB": process / 1e6,
        "p50, ms": load.percentile_ms(0.5),
        "p99, ms": load.percentile_ms(0.99),
        "in time, %": in_time * 100,
    }
    shutil.rmtree(folder, ignore_errors=True)
    return result


def predicted(profile: MachineProfile, sample: EventSample, rate: float) -> dict[str, float]:
    """The same, by the plan; events are those of the sample, all of which are kept."""
    demand = Demand(
        users=sample.users,
        items=sample.items,
        requests_per_s=rate,
        events_per_s=len(sample.events) / 86_400,
        keep_days=1,
        deadline_s=DEADLINE_S,
    )
    plan_capacity(profile, demand)
    model, now = CostModel(profile, demand), profile.largest
    times_s = response_times(model.service, rate)
    values = {name: model.value(name) or 0.0 for name in model.laws}
    return {
        "ingest an event, us": now.ingest_s * 1e6,
        "state and features, us": now.online_s * 1e6,
        "history, us": now.history_s * 1e6,
        "log, bytes an event": (now.log_bytes or 0.0) / now.events,
        "history, bytes an event": (now.history_bytes or 0.0) / now.events,
        "state and features, MB": values["state_bytes"] / 1e6,
        "learning, s": values["learn_s"],
        "learning, MB of memory": values["learn_bytes"] / 1e6,
        f"artifact of {profile.candidate}, MB": values["artifact_bytes"] / 1e6,
        "an answer together, us": values["answer_s"] * 1e6,
        "serving process, MB": values["process_bytes"] / 1e6,
        "p50, ms": float(np.quantile(times_s, 0.5)) * 1e3,
        "p99, ms": float(np.quantile(times_s, 0.99)) * 1e3,
        "in time, %": share_in_time(model.service, rate, DEADLINE_S) * 100,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000:2000:100,10000:5000:200,50000:27000:300")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--days", type=int, default=1, help="of the past of each world")
    parser.add_argument("--profile", type=Path, help="kept measurements; made where the file is not there")
    parser.add_argument("--json", action="store_true", help="one object at the end")
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = measured_profile(folder / "measured", given.profile)
        largest = profile.largest
        if not given.json:
            sizes = f"{largest.users:,} users, {largest.items:,} items, {largest.events:,} events"
            print(f"measured: up to {sizes}, in {profile.took_s:.0f} s", flush=True)
        for text in given.sizes.split(","):
            users, items, rate = (int(number) for number in text.split(":"))
            sample = sample_of(folder / "world", users, items, given.days)
            expected = predicted(profile, sample, rate)
            actual = real(folder / f"real-{users}", sample, profile.candidate, rate, given.seconds)
            rows = {what: (expected[what], actual[what]) for what in expected}
            results.append({"users": sample.users, "items": sample.items, "events": len(sample.events), "rows": rows})
            if not given.json:
                sizes = f"{sample.users:,} users, {sample.items:,} items, {len(sample.events):,} events"
                print(f"{sizes}, {rate} requests/s\n  {'':28} predicted   measured      ratio")
                for what, (before, after) in rows.items():
                    print(f"  {what:28} {before:9,.1f}  {after:9,.1f}  {before / after:9.2f}", flush=True)
    if given.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
