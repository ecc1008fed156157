"""What a detector is worth on streams that drift: errors and times of learning, beside River's detectors.

Run: python benchmarks/drift_streams.py --data FOLDER

A logistic regression predicts each row, and after an alarm is learned again from the next 1,000 rows, so a good
detector has few errors and learns rarely. FOLDER holds `stream-elec2/elec.csv` (whether the price of electricity is
above that of the day) and `bike-sharing/hour.csv` (whether more bicycles are out than in the middle hour of the first
month). SEA has four concepts of 12,500 rows with 10 % of wrong labels (Street and Kim, KDD 2001), made here from 5
seeds; a model that knew the concept would have 10 % of errors. A detector that is right there alarms three times;
`late` is the median of rows from a change to the next alarm. Flyball's detector learns its baseline from the first 500
errors of each model. Detectors of River are asked by the Python that PEERS_PYTHON names, with their default settings;
where it has no River, they are left out. Detectors that always and never alarm stand beside them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from tables.drift_loop import LEARNED, Doubles, Watch, course

from flyball.statistics import detect, plan_detector

BASELINE, SEEDS, CONCEPT, NOISE = 500, 5, 12_500, 0.1
THRESHOLDS = (8.0, 9.0, 7.0, 9.5)
Stream = tuple[Doubles, Doubles]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of the sets")
    data = parser.parse_args().data
    if data is None:
        print("left out: name the folder that holds the sets, --data FOLDER")
        return
    streams = {"elec2": elec(data), "bicycles": bicycles(data), **{f"SEA {seed}": sea(seed) for seed in range(SEEDS)}}
    watches: dict[str, Watch] = {
        "always": lambda wrong: 0 if len(wrong) else None,
        "never": lambda wrong: None,
        **{f"Flyball, {length:,}": ours(length) for length in (1_000, 10_000, 100_000)},
    }
    courses = {
        name: {key: course(*stream, watch) for key, stream in streams.items()} for name, watch in watches.items()
    }
    courses |= river(streams)
    print(f"{'':22}{'elec2':>18}{'bicycles':>18}{'SEA, mean of ' + str(SEEDS):>18}")
    print(f"{'':22}" + f"{'errors':>10}{'learned':>8}" * 3 + f"{'found':>8}{'late':>8}")
    for name, by_stream in courses.items():
        show(name, by_stream, {key: len(y) - LEARNED for key, (_, y) in streams.items()})


def ours(run_length: float) -> Watch:
    def watch(wrong: Doubles) -> int | None:
        if len(wrong) <= BASELINE:
            return None
        alarms = detect(plan_detector(wrong[:BASELINE], run_length=run_length), wrong[BASELINE:])[1]
        return BASELINE + alarms[0] if alarms else None

    return watch


def river(streams: dict[str, Stream]) -> dict[str, dict[str, dict[str, list[int]]]]:
    """{detector: {stream: its course}}; nothing where River is not installed."""
    arrays = {
        f"{name}.{part}": values for name, both in streams.items() for part, values in zip("xy", both, strict=True)
    }
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "streams.npz", **arrays)  # type: ignore[arg-type]
        python = os.environ.get("PEERS_PYTHON", sys.executable)
        command = [python, str(Path(__file__).parent / "tables" / "drift_loop.py"), str(Path(folder) / "streams.npz")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"River is left out: {done.stderr.strip().splitlines()[-1]}")
        return {}
    loaded: dict[str, dict[str, dict[str, list[int]]]] = json.loads(done.stdout)
    return loaded


def show(name: str, by_stream: dict[str, dict[str, list[int]]], rows: dict[str, int]) -> None:
    cells = ""
    for group in ("elec2", "bicycles", "SEA"):
        keys = [key for key in by_stream if key.startswith(group)]
        errors = np.mean([len(by_stream[key]["errors"]) / rows[key] for key in keys])
        cells += f"{errors:10.2%}{np.mean([len(by_stream[key]['alarms']) for key in keys]):8,.0f}"
    delays = []
    for alarms in (by_stream[key]["alarms"] for key in by_stream if key.startswith("SEA")):
        for change in CONCEPT * np.arange(1, len(THRESHOLDS)):
            delays += [at - change for at in alarms if change <= at < change + CONCEPT][:1]
    late = f"{np.median(delays):8,.0f}" if delays else f"{'–':>8}"
    print(f"{name:22}{cells}{len(delays) / SEEDS / (len(THRESHOLDS) - 1):8.0%}{late}")


def elec(data: Path) -> Stream:
    table = pl.read_csv(data / "stream-elec2" / "elec.csv")
    return table.drop("class").to_numpy().astype(np.float64), table["class"].to_numpy().astype(np.float64)


def bicycles(data: Path) -> Stream:
    table = pl.read_csv(data / "bike-sharing" / "hour.csv")
    middle = float(np.median(table["cnt"].head(31 * 24).to_numpy()))
    hour = table["hr"].to_numpy() * 2 * np.pi / 24
    weather = table.select("workingday", "weathersit", "temp", "hum", "windspeed").to_numpy()
    waves = np.column_stack([wave(times * hour) for times in (1, 2) for wave in (np.sin, np.cos)])
    return np.column_stack([weather, waves]).astype(np.float64), (table["cnt"].to_numpy() > middle).astype(np.float64)


def sea(seed: int) -> Stream:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, (CONCEPT * len(THRESHOLDS), 3))
    y = x[:, 0] + x[:, 1] <= np.repeat(THRESHOLDS, CONCEPT)
    return x, (y != (rng.random(len(y)) < NOISE)).astype(np.float64)


if __name__ == "__main__":
    main()
