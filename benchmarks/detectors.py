"""Detectors of a rising error rate: the delay until they see it, and their false alarms, beside those of River.

Run: python benchmarks/detectors.py [--runs 40] [--from 0.1] [--to 0.2]

Each run is a stream of 0s and 1s: 2,000 values of the baseline that only Flyball's detector learns from, 2,000 more
without a change, then 5,000 of the higher rate. False alarms are counted in another 10,000 values without a change. The
same streams go to all. Detectors of River are asked by the Python that PEERS_PYTHON names, with their default
settings; where it has no River, they are left out. Two detectors that look at nothing stand beside them: one alarms at
every value, one never does.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flyball.statistics import detect, plan_detector

Streams = list[NDArray[np.float64]]
BASELINE, BEFORE, AFTER, QUIET = 2_000, 2_000, 5_000, 10_000

RIVER = """
import json, sys
from river import drift
from river.drift import binary
made = {
    "ADWIN": drift.ADWIN,
    "Page-Hinkley": drift.PageHinkley,
    "DDM": binary.DDM,
    "EDDM": binary.EDDM,
    "HDDM_A": binary.HDDMA,
    "HDDM_W": binary.HDDMW,
}
streams = json.load(sys.stdin)
alarms = {}
for name, make in made.items():
    alarms[name] = []
    for stream in streams:
        detector, seen = make(), []
        for position, value in enumerate(stream):
            detector.update(value if name in ("ADWIN", "Page-Hinkley") else bool(value))
            if detector.drift_detected:
                seen.append(position)
        alarms[name].append(seen)
json.dump(alarms, sys.stdout)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--from", type=float, default=0.1, dest="low")
    parser.add_argument("--to", type=float, default=0.2, dest="high")
    chosen = parser.parse_args()
    rng = np.random.default_rng(1)

    def errors(count: int, rate: float) -> NDArray[np.float64]:
        return (rng.random(count) < rate).astype(np.float64)

    baselines = [errors(BASELINE, chosen.low) for _ in range(chosen.runs)]
    changing = [np.concatenate([errors(BEFORE, chosen.low), errors(AFTER, chosen.high)]) for _ in range(chosen.runs)]
    quiet = [errors(QUIET, chosen.low) for _ in range(chosen.runs)]
    print(f"error rate {chosen.low:g}, from value {BEFORE:,} on {chosen.high:g}; {chosen.runs} streams")
    print(f"{'':24} {'found':>6} {'delay, median':>14} {'mean':>8} {'early alarms':>13} {'false alarms in 10,000':>23}")
    for run_length in (10_000, 100_000, 1_000_000):
        plans = [plan_detector(baseline, run_length=run_length) for baseline in baselines]
        show(f"Flyball, {run_length:,}", lambda streams, plans=plans: ours(plans, streams), changing, quiet)
    for name, of_streams in river([*changing, *quiet]).items():
        cut = len(changing)
        show_alarms(f"River, {name}", of_streams[:cut], of_streams[cut:])
    show_alarms("alarms at every value", [list(range(len(stream))) for stream in changing], [list(range(QUIET))])
    show_alarms("never alarms", [[] for _ in changing], [[]])


def ours(plans: list, streams: Streams) -> list[list[int]]:
    return [detect(plan, stream)[1] for plan, stream in zip(plans, streams, strict=True)]


def river(streams: Streams) -> dict[str, list[list[int]]]:
    """{detector: the positions of its alarms in each stream}; nothing where River is not installed."""
    python = os.environ.get("PEERS_PYTHON", sys.executable)
    sent = json.dumps([stream.astype(int).tolist() for stream in streams])
    done = subprocess.run([python, "-c", RIVER], input=sent, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"River is left out: {done.stderr.strip().splitlines()[-1]}")
        return {}
    alarms: dict[str, list[list[int]]] = json.loads(done.stdout)
    return alarms


def show(name: str, alarms_of: Callable[[Streams], list[list[int]]], changing: Streams, quiet: Streams) -> None:
    show_alarms(name, alarms_of(changing), alarms_of(quiet))


def show_alarms(name: str, changing: list[list[int]], quiet: list[list[int]]) -> None:
    delays = [min(after) - BEFORE for alarms in changing if (after := [at for at in alarms if at >= BEFORE])]
    early = sum(at < BEFORE for alarms in changing for at in alarms) / len(changing)
    false = sum(map(len, quiet)) / len(quiet)
    median, mean = (f"{np.median(delays):,.0f}", f"{np.mean(delays):,.0f}") if delays else ("–", "–")
    print(f"{name:24} {len(delays) / len(changing):6.0%} {median:>14} {mean:>8} {early:13,.3f} {false:23,.3f}")


if __name__ == "__main__":
    main()
