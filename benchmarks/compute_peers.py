"""The same tasks on local processes, Ray, Dask and Spark: start-up, cost of a task, memory, size of the installation.

Run: python benchmarks/compute_peers.py [--only processes,ray]
Dask and Spark (with a JDK) where COMPUTE_PEERS_PYTHON names a Python of their own:
    python3 -m venv .venv-compute-peers
    .venv-compute-peers/bin/pip install distributed pyspark numpy polars
Each runs in a process of its own, with two workers on this machine, in this order: start (to the first result), 300
tasks that do nothing, 16 fits of a least-squares model on data that workers read from a file, 8 ranges of a backfill
(read, filter, aggregate, write). `idle MB`: the resident memory of all processes that it started (what they share is
counted for each); `installed MB`: what lies in the site-packages for it and what only it needs. Digests of the results
must be equal. After that a worker is killed in the middle of 16 fits: `done` of 16, `again`: fits that ran once more.
"""

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

WORKERS, EMPTY, FITS, RANGES, ROWS = 2, 300, 16, 8, 400_000
THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
PACKAGES = {"ray": "ray", "dask": "distributed", "spark": "pyspark"}
OURS = ("numpy", "polars", "msgspec", "scipy", "numba")

RunAll = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]
"""The results of `work(*call)` for each call, in order."""


def nothing(number: int) -> int:
    return number


def fit(folder: str, seed: int, note: str = "") -> str:
    """Ridge regression on a sample; returns the digest of its weights."""
    if note:
        with open(Path(note) / str(seed), "a") as file:
            file.write(f"{os.getpid()}\n")
    data = np.load(Path(folder) / "x.npy", mmap_mode="r")
    rows = np.random.default_rng(seed).permutation(len(data))[: len(data) // 2]
    for _ in range(6):
        x, y = np.asarray(data[rows, :-1]), np.asarray(data[rows, -1])
        weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)
    return hashlib.sha256(weights.tobytes()).hexdigest()


def backfilled(folder: str, part: int) -> str:
    """Counts and sums of the events of a range of users, written to a file; returns their digest."""
    low, high = part * 1_000, (part + 1) * 1_000
    events = pl.scan_parquet(Path(folder) / "events.parquet").filter(pl.col("user").is_between(low, high - 1))
    sums = events.group_by("user").agg(pl.len(), pl.col("minute").sum()).sort("user").collect()
    sums.write_parquet(Path(folder) / f"out-{part}.parquet")
    return hashlib.sha256(sums.to_numpy().tobytes()).hexdigest()


def write_inputs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.standard_normal((ROWS // 4, 41)))
    users = rng.integers(0, RANGES * 1_000, ROWS * 10)
    minutes = rng.integers(0, 180, ROWS * 10)
    pl.DataFrame({"user": users, "minute": minutes}).write_parquet(folder / "events.parquet")


def on_flyball(url: str) -> tuple[RunAll, Callable[[], None]]:
    from flyball.compute import open_compute, run_tasks

    compute = open_compute(url, WORKERS)

    def run_all(work: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        outcomes = dict(run_tasks(compute, work, calls))
        return [outcomes[index] for index in range(len(calls))]

    return run_all, compute.close


def on_dask() -> tuple[RunAll, Callable[[], None]]:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None)
    client = Client(cluster)

    def run_all(work: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        futures = [client.submit(work, *call, pure=False) for call in calls]
        outcomes = []
        for future in futures:
            try:
                outcomes.append(future.result())
            except Exception as error:
                outcomes.append(error)
        return outcomes

    def close() -> None:
        client.close()
        cluster.close()

    return run_all, close


def on_spark() -> tuple[RunAll, Callable[[], None]]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{WORKERS},4]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "1g").config("spark.log.level", "OFF")
    session = builder.getOrCreate()

    def run_all(work: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        try:
            return session.sparkContext.parallelize(calls, len(calls)).map(lambda call: work(*call)).collect()
        except Exception as error:
            return [error] * len(calls)

    return run_all, session.stop


BACKENDS: dict[str, Callable[[], tuple[RunAll, Callable[[], None]]]] = {
    "processes": lambda: on_flyball("processes://?retries=2"),
    "ray": lambda: on_flyball(f"ray://local?cpus={WORKERS}"),
    "dask": on_dask,
    "spark": on_spark,
}


def measured(name: str, folder: str) -> dict[str, Any]:
    """What is measured of a backend, in this process."""
    start = time.perf_counter()
    run_all, close = BACKENDS[name]()
    run_all(nothing, [(0,)])
    measures: dict[str, Any] = {"start_s": time.perf_counter() - start}
    run_all(nothing, [(0,)] * (WORKERS * 2))
    start = time.perf_counter()
    run_all(nothing, [(number,) for number in range(EMPTY)])
    measures["task_ms"] = (time.perf_counter() - start) / EMPTY * 1_000
    measures["idle_mb"] = idle_mb()
    start = time.perf_counter()
    fits = run_all(fit, [(folder, seed) for seed in range(FITS)])
    measures["fits_s"] = time.perf_counter() - start
    start = time.perf_counter()
    parts = run_all(backfilled, [(folder, part) for part in range(RANGES)])
    measures["backfill_s"] = time.perf_counter() - start
    measures["digest"] = hashlib.sha256(json.dumps([fits, parts]).encode()).hexdigest()[:12]
    measures |= after_a_kill(run_all, folder)
    close()
    return measures


def after_a_kill(run_all: RunAll, folder: str) -> dict[str, Any]:
    """Kill the worker of the first fit as it begins."""
    with tempfile.TemporaryDirectory() as note:

        def kill() -> None:
            while not (first := next(iter(Path(note).iterdir()), None)) or not first.read_text():
                time.sleep(0.01)
            with suppress(ProcessLookupError):
                os.kill(int(first.read_text().split()[0]), signal.SIGKILL)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        outcomes = run_all(fit, [(folder, seed, note) for seed in range(FITS)])
        killer.join()
        runs = [len(path.read_text().splitlines()) for path in Path(note).iterdir()]
    return {"done": sum(isinstance(outcome, str) for outcome in outcomes), "again": sum(count > 1 for count in runs)}


def idle_mb() -> float:
    """Resident memory of the descendants of this process."""
    time.sleep(1.0)
    lines = subprocess.run(["ps", "-eo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in lines.splitlines()]
    family, size = {os.getpid()}, 0
    while len(family) > size:
        size = len(family)
        family |= {pid for pid, parent, _ in rows if parent in family}
    return sum(rss for pid, _, rss in rows if pid in family and pid != os.getpid()) / 1_000


def requires(package: str) -> set[str]:
    """A package and what it needs, transitively, as far as it is installed."""
    needed, waiting = set[str](), [package]
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        try:
            listed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        if name not in needed:
            needed.add(name)
            plain = [line for line in listed if "extra ==" not in line]
            waiting += [match.group() for line in plain if (match := re.match(r"[\w.-]+", line))]
    return needed


def installed_mb(package: str) -> float:
    ours = set().union(*(requires(name) for name in OURS))
    files: Iterable[Any] = (file for name in requires(package) - ours for file in metadata.files(name) or [])
    total = 0
    for file in files:
        with suppress(OSError):
            total += Path(str(file.locate())).stat().st_size
    return total / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(BACKENDS))
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.folder:
        measures = measured(chosen.only, chosen.folder)
        package = PACKAGES.get(chosen.only)
        print(json.dumps(measures | {"installed_mb": installed_mb(package) if package else 0.0}))
        return
    heads = ["start s", "task ms", "idle MB", "16 fits s", "backfill s", "installed MB", "done", "again"]
    names = ["start_s", "task_ms", "idle_mb", "fits_s", "backfill_s", "installed_mb", "done", "again"]
    print(" " * 10 + "".join(f"{head:>13}" for head in heads))
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        for name in chosen.only.split(","):
            python = os.environ.get("COMPUTE_PEERS_PYTHON", "") if name in ("dask", "spark") else sys.executable
            if not python:
                print(f"{name:<10} not measured: COMPUTE_PEERS_PYTHON is not set")
                continue
            command = [python, __file__, "--only", name, "--folder", folder]
            environment = {**os.environ, **THREADS, "PYSPARK_PYTHON": python, "PYTHONPATH": own_path()}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
            if done.returncode:
                print(f"{name:<10} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
                continue
            measures = json.loads(done.stdout.strip().splitlines()[-1])
            digests.add(measures["digest"])
            texts = [
                f"{measures[key]:.1f}" if isinstance(measures[key], float) else f"{measures[key]}" for key in names
            ]
            print(f"{name:<10}" + "".join(f"{text:>13}" for text in texts), flush=True)
    print("results equal" if len(digests) == 1 else f"results DIFFER: {digests}")


def own_path() -> str:
    """Where workers find this file as a module, and Flyball."""
    here = Path(__file__).parent
    return os.pathsep.join([str(here), str(here.parent / "src"), os.environ.get("PYTHONPATH", "")])


if __name__ == "__main__":
    if "--folder" in sys.argv:  # as an importable module, so that workers find its functions by name
        import compute_peers

        compute_peers.main()
    else:
        main()
