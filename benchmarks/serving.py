"""Answers a second and their times: the movie catalog at full size, two processes, logging and stamping on.

27,000 films, 64 factors, 10,000 users with histories; every answer scores the whole catalog exactly, leaves out
what the user has seen, is stamped and recorded. Beside it, in the same run, the same model behind FastAPI written the
usual way (no log, no stamp, no state store), when fastapi is installed. Driven by wrk when it is there, else by the
generator in `flyball.capacity`, which takes part of the two cores too.

    python benchmarks/serving.py [--seconds 5] [--films 27000] [--json]
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from flyball import ImplicitALS
from flyball.app import load_app
from flyball.capacity import Load, closed_loop, open_loop
from flyball.core import SystemClock
from flyball.models import Interactions
from flyball.runtime import Runtime, Settings, load_settings
from flyball.serving import Dispatcher
from flyball.state import StateConsumer
from flyball.testing.faulty import release

USERS, SEEN, WORKERS = 10_000, 30, 2
WORKER = """
import socket, sys, msgspec
from flyball.app import AppSource
from flyball.runtime import Settings
from flyball.serving import serve
settings = msgspec.json.decode(sys.argv[1], type=Settings)
serve(AppSource("movies"), settings, socket.socket(fileno=int(sys.argv[2])), sys.argv[3])
"""
FASTAPI = """
import sys, numpy as np, uvicorn
from fastapi import FastAPI
factors, users = np.load(sys.argv[1]), np.load(sys.argv[2])
films = [f"film-{place}" for place in range(len(factors))]
app = FastAPI()

@app.get("/recommend/{user}")
def recommend(user: int) -> dict:
    scores = factors @ users[user % len(users)]
    best = np.argpartition(-scores, 20)[:20]
    best = best[np.argsort(-scores[best])]
    return {"user": user, "items": [{"film": films[place], "score": float(scores[place])} for place in best]}

uvicorn.run(app, fd=int(sys.argv[3]), log_level="warning", access_log=False)
"""


def make_home(folder: Path, films: int) -> tuple[Runtime, np.ndarray]:
    """A home with films, users' histories in the state, and a released ALS; also its factors."""
    rng = np.random.default_rng(1)
    runtime = Runtime(load_app("movies"), load_settings(folder), SystemClock())
    check, now_us = runtime.schema.check, SystemClock().now_us()
    names = [f"film-{place}" for place in range(films)]
    genres = ["action", "comedy", "drama", "horror", "romance", "thriller"]
    cards = [
        {"film": name, "genres": [genres[place % 6], genres[place // 6 % 6]], "year": 1950 + place % 75}
        for place, name in enumerate(names)
    ]
    runtime.log.append([check("filmcard", card, now_us, now_us) for card in cards])
    popularity = 1 / np.arange(1, films + 1) ** 0.8
    picked = rng.choice(films, (USERS, SEEN), p=popularity / popularity.sum())
    for first in range(0, USERS, 1_000):
        runtime.log.append(
            [
                check("watch", {"user": user + 1, "film": names[film], "minute": 30 + nth}, now_us - nth, now_us)
                for user in range(first, first + 1_000)
                for nth, film in enumerate(picked[user].tolist())
            ]
        )
    consumer = StateConsumer(runtime.views, runtime.state)
    while slices := runtime.log.read(consumer.offsets(), 20_000):
        consumer.apply(slices)
    pairs = np.unique(np.stack([np.repeat(np.arange(USERS), SEEN), picked.ravel()], axis=1), axis=0)
    every = np.stack([np.arange(films) % USERS, np.arange(films)], axis=1)  # each film has someone who likes it
    pairs = np.unique(np.concatenate([pairs, every]), axis=0).astype(np.int32)
    data = Interactions(
        users=[str(user + 1) for user in range(USERS)],
        items=names,
        user_index=pairs[:, 0].copy(),
        item_index=pairs[:, 1].copy(),
        weights=np.ones(len(pairs), np.float32),
        ratings=np.full(len(pairs), np.nan, np.float32),
        at_us=np.full(len(pairs), now_us, np.int64),
        user_group=np.full(USERS, -1, np.int32),
        groups=[],
        as_of_us=now_us,
    )
    version = release(runtime, ImplicitALS(factors=64, iterations=2), now_us, data)
    factors = np.load(runtime.artifacts / version.artifact / "item_factors.npy")
    runtime.state.close()
    return runtime, np.ascontiguousarray(factors)


def rss_mb(pid: int) -> float:
    """Resident memory, shared pages counted by their share."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1_024


def start(settings: Settings, dispatcher: Dispatcher, name: str) -> "subprocess.Popen[bytes]":
    channel = dispatcher.add_worker(name)
    with channel:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, msgspec.json.encode(settings).decode(), str(channel.fileno()), name],
            pass_fds=[channel.fileno()],
        )


def path(request: int) -> str:
    return f"/recommend/{request * 7_919 % USERS + 1}"


def drive(port: int, connections: int, seconds: float) -> dict[str, Any]:
    """Saturation, by wrk or by our own generator."""
    if shutil.which("wrk"):
        script = Path(tempfile.gettempdir()) / f"flyball-bench-{os.getpid()}.lua"
        script.write_text(
            "local n = 0\nrequest = function() n = n + 1; "
            f'return wrk.format("GET", "/recommend/" .. (n * 7919 % {USERS} + 1)) end\n'
            'done = function(s, l, r) io.write(string.format("%f %f %f %d\\n", s.requests / s.duration * 1e6, '
            "l:percentile(50) / 1e3, l:percentile(99) / 1e3, s.errors.status + s.errors.read + s.errors.timeout)) end\n"
        )
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), f"http://127.0.0.1:{port}"]
        last = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
        per_s, p50, p99, errors = last.split()
        return {"by": "wrk", "per_s": float(per_s), "p50_ms": float(p50), "p99_ms": float(p99), "errors": int(errors)}
    return summary(closed_loop(port, connections, seconds, path))


def summary(load: Load) -> dict[str, Any]:
    return {
        "by": "flyball.capacity",
        "per_s": load.per_s,
        "p50_ms": load.percentile_ms(0.5),
        "p99_ms": load.percentile_ms(0.99),
        "errors": load.errors + sum(count for status, count in load.statuses.items() if status != 200),
        "levels": load.headers,
    }


def wait_for(port: int, level: str, workers: "list[subprocess.Popen[bytes]]", within_s: float = 60.0) -> float:
    """Seconds until an answer of that level came from each process."""
    began_s = perf_counter()
    while perf_counter() - began_s < within_s:
        if any(worker.poll() is not None for worker in workers):
            sys.exit("a server ended before its first answer")
        try:
            load = closed_loop(port, 2 * WORKERS, 0.05, path)
        except OSError:
            continue
        if set(load.headers) == {level} or (not level and load.statuses):
            return perf_counter() - began_s
    sys.exit(f"no {level} answer within {within_s:g} s")


def measure_flyball(runtime: Runtime, seconds: float) -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        dispatcher = Dispatcher(listener)
        dispatcher.start()
        workers = [start(runtime.settings, dispatcher, f"serve-{place + 1}") for place in range(WORKERS)]
        try:
            results: dict[str, Any] = {"first_personal_answer_s": wait_for(port, "champion", workers)}
            for connections in (16, 64):
                before = dispatcher.shares()
                counts = answers(runtime)
                results[f"saturated_c{connections}"] = drive(port, connections, seconds)
                after = answers(runtime)
                results[f"share_c{connections}"] = {
                    name: {
                        "connections": given - before.get(name, (0, 0))[0],
                        "answers": after.get(name, 0) - counts.get(name, 0),
                    }
                    for name, (given, _) in dispatcher.shares().items()
                }
            results["at_1000_per_s"] = summary(open_loop(port, 1_000, seconds, 64, path))
            results["memory_mb"] = {f"serve-{place + 1}": rss_mb(worker.pid) for place, worker in enumerate(workers)}
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(10)
            dispatcher.stop()
    total = runtime.predictions.ends()
    results["recorded"] = sum(total)
    return results


def answers(runtime: Runtime) -> dict[str, int]:
    from flyball.core import Counters

    return {
        process: sum(count for name, count in counts.items() if name.startswith("answers|"))
        for process, counts in Counters.per_process(runtime.counters_folder).items()
    }


def measure_fastapi(folder: Path, factors: np.ndarray, seconds: float) -> dict[str, Any]:
    np.save(folder / "factors.npy", factors)
    np.save(folder / "users.npy", np.random.default_rng(2).normal(size=(USERS, factors.shape[1])).astype(np.float32))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        # uvicorn leaves Nagle's algorithm on for a socket it is given; that would be 40 ms an answer
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        command = [sys.executable, "-c", FASTAPI, str(folder / "factors.npy"), str(folder / "users.npy")]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        workers = [
            subprocess.Popen([*command, str(listener.fileno())], pass_fds=[listener.fileno()], env=one_thread)
            for _ in range(WORKERS)
        ]
        try:
            wait_for(listener.getsockname()[1], "", workers)
            results = {f"saturated_c{c}": drive(listener.getsockname()[1], c, seconds) for c in (16, 64)}
            results["memory_mb"] = {f"{place + 1}": rss_mb(worker.pid) for place, worker in enumerate(workers)}
            return results
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--films", type=int, default=27_000)
    parser.add_argument("--json", action="store_true", help="one object at the end")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        runtime, factors = make_home(Path(folder) / "home", given.films)
        results["flyball"] = measure_flyball(runtime, given.seconds)
        if not given.json:
            show("flyball", results["flyball"], given.films)
        if find_spec("fastapi"):
            results["fastapi"] = measure_fastapi(Path(folder), factors, given.seconds)
            if not given.json:
                show("FastAPI, the usual way", results["fastapi"], given.films)
        elif not given.json:
            print("fastapi is not installed: no comparison (pip install 'flyball[bench]')")
    if given.json:
        print(json.dumps(results))


def show(name: str, results: dict[str, Any], films: int) -> None:
    print(f"{name}: {WORKERS} processes, {films:,} films, 64 factors")
    for what, value in results.items():
        if isinstance(value, dict):
            words = ", ".join(
                f"{key} {one:,.2f}" if isinstance(one, float) else f"{key} {one}" for key, one in value.items()
            )
        else:
            words = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
        print(f"  {what:24} {words}")


if __name__ == "__main__":
    main()
