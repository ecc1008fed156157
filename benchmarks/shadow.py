"""What a shadow costs those who are served: answers without one, with one of all requests, and with a slow one.

Two serving processes answer from a movie catalog; the process of the shadow follows them as under `flyball up`, with
the lowest priority and a budget of half a processor. The slow shadow works 50 ms more for each answer. At a fixed rate
the times of answers are compared, at saturation answers a second; rounds alternate, and a ratio is the median of the
ratios of the rounds, with the smallest and the largest. At the end stands what the shadow answered until 5 s after the
load, and what it left out.

    python benchmarks/shadow.py [--rounds 5] [--seconds 5] [--films 5000] [--rate 200]
"""

import argparse
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import msgspec

from flyball.capacity import closed_loop, open_loop
from flyball.policy import shadow
from flyball.registry import add_versions
from flyball.releases import change_release, current, start_release
from flyball.runtime import Runtime
from flyball.serving import Dispatcher
from serving import WORKERS, make_home, path, start, wait_for

MODES = {"no shadow": None, "a shadow of all requests": 0.0, "a slow shadow": 0.05}
"""{mode: the seconds that the shadow works more for each answer, None without a shadow}."""
BUSY = 16
CATCHES_UP_S, WARM_S = 5.0, 4.0
SHADOW = """
import sys, threading, time
import msgspec
from flyball.app import load_app
from flyball.core import SystemClock
from flyball.operations.shadow import follow_shadows
from flyball.runtime import Runtime, Settings
from flyball.tasks import RecommendPipeline

answer, more_s = RecommendPipeline.answer, float(sys.argv[2])

def slower(self, requests, contexts):
    end_s = time.perf_counter() + more_s * len(requests)
    while time.perf_counter() < end_s:
        pass
    return answer(self, requests, contexts)

if more_s:
    RecommendPipeline.answer = slower
settings = msgspec.json.decode(sys.argv[1], type=Settings)
follow_shadows(Runtime(load_app("movies"), settings, SystemClock()), threading.Event())
"""


class Measured(msgspec.Struct, frozen=True):
    """One round of one mode."""

    p50_ms: float
    p99_ms: float
    per_s: float
    errors: int


@contextmanager
def shadowed(runtime: Runtime, more_s: float | None, release: list[str]) -> Iterator[None]:
    """A shadow of all requests while the block runs; the id of its release is added to `release`."""
    if more_s is None:
        yield
        return
    clock = runtime.clock
    plan, actor = shadow(100, days=1), runtime.actor("benchmark", "to measure", clock.now_us())
    start_release(runtime.registry, plan, ["v2"], actor)
    under_way = current(runtime.registry).under_way[0]
    release.append(under_way.id)
    command = [sys.executable, "-c", SHADOW, msgspec.json.encode(runtime.settings).decode(), str(more_s)]
    process = subprocess.Popen(command)
    try:
        while not runtime.shadow_counter.offsets(under_way.id):
            if process.poll() is not None:
                sys.exit("the shadow ended before its first look")
            closed_loop(PORT[0], 1, 0.2, path)
        yield
        end_s = perf_counter() + CATCHES_UP_S
        while perf_counter() < end_s and waiting(runtime, under_way.id):
            sleep(0.1)
    finally:
        process.terminate()
        process.wait(10)
        change_release(runtime.registry, under_way.id, "abort", runtime.actor("benchmark", "over", clock.now_us()))


def waiting(runtime: Runtime, release: str) -> int:
    """The served answers that the shadow has not looked at."""
    offsets = runtime.shadow_counter.offsets(release)
    return sum(end - offsets.get(partition, end) for partition, end in enumerate(runtime.predictions.ends()))


PORT: list[int] = []


def measure(seconds: float, rate: float) -> Measured:
    closed_loop(PORT[0], 4, 0.5, path)
    steady = open_loop(PORT[0], rate, seconds, 64, path)
    full = closed_loop(PORT[0], BUSY, seconds, path)
    errors = (
        steady.errors
        + full.errors
        + sum(count for load in (steady, full) for status, count in load.statuses.items() if status != 200)
    )
    return Measured(steady.percentile_ms(0.5), steady.percentile_ms(0.99), full.per_s, errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--films", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=200.0)
    given = parser.parse_args()
    rounds: dict[str, list[Measured]] = {mode: [] for mode in MODES}
    releases: dict[str, list[str]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        runtime, _ = make_home(Path(folder) / "home", given.films)
        champion = runtime.registry.version(current(runtime.registry).champion or "")
        add_versions(runtime.registry, [msgspec.structs.replace(champion, id="", state="candidate")])
        PORT.append(listener.getsockname()[1])
        dispatcher = Dispatcher(listener)
        dispatcher.start()
        workers = [start(runtime.settings, dispatcher, f"serve-{number + 1}") for number in range(WORKERS)]
        try:
            wait_for(PORT[0], "champion", workers)
            closed_loop(PORT[0], BUSY, WARM_S, path)
            for _ in range(given.rounds):
                for mode, more_s in MODES.items():
                    with shadowed(runtime, more_s, releases[mode]):
                        rounds[mode].append(measure(given.seconds, given.rate))
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(10)
            dispatcher.stop()
        show(rounds, given.rate)
        for mode, names in releases.items():
            show_shadow(runtime, mode, names)


def show(rounds: dict[str, list[Measured]], rate: float) -> None:
    columns = (f"p50 ms at {rate:g}/s", f"p99 ms at {rate:g}/s", f"answers/s, {BUSY} busy")
    print(f"{'':<26}{columns[0]:>18}{columns[1]:>18}{columns[2]:>20}{'errors':>8}")
    for mode, measured in rounds.items():
        values = [median(getattr(one, name) for one in measured) for name in ("p50_ms", "p99_ms", "per_s")]
        errors = sum(one.errors for one in measured)
        print(f"{mode:<26}{values[0]:>18.2f}{values[1]:>18.2f}{values[2]:>20,.0f}{errors:>8}")
    print(f"ratio to no shadow, median of {len(rounds['no shadow'])} rounds (smallest to largest)")
    for mode in list(MODES)[1:]:
        shown = [ratio(rounds["no shadow"], rounds[mode], name) for name in ("p50_ms", "p99_ms", "per_s")]
        print(f"{mode:<26}p50 {shown[0]}, p99 {shown[1]}, answers/s {shown[2]}")


def ratio(before: list[Measured], after: list[Measured], name: str) -> str:
    ratios = sorted(getattr(b, name) / getattr(a, name) for a, b in zip(before, after, strict=True))
    return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def show_shadow(runtime: Runtime, mode: str, releases: list[str]) -> None:
    answers, left_out = 0, dict[str, int]()
    for name in releases:
        result = runtime.shadow_counter.result(name)
        answers += sum(slices[""].answers.answers for slices in result.sums.values())
        for reason, count in result.left_out.items():
            left_out[reason] = left_out.get(reason, 0) + count
    if releases:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(left_out.items())) or "nothing"
        print(f"{mode}: answered {answers:,}, left out: {reasons}")


if __name__ == "__main__":
    main()
