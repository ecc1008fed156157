"""Predictions a second over HTTP beside FastAPI, MLflow, BentoML and LitServe with the same trees, in turns.

`POST /v1/predict` of benchmarks/trips.py: a JSON object of twelve numbers in, minutes out, by 100 trees of 31 leaves,
two processes on each side. Flyball checks the event, stamps the answer, and writes the record of the prediction and
the event itself to the log; the peers, written as their documentation says, do neither. Before anything is timed the
answers are compared. Each round drives all servers one after the other with wrk; what is shown are medians over the
rounds. On a machine that others use too the microseconds of CPU that an answer cost its server's processes hold better
than answers a second; `of the CPU` is what two cores would answer if the server had them to itself, a bound.

    python benchmarks/predict_serving.py [--seconds 3] [--rounds 3] [--connections 32] [--only flyball,fastapi]
                                         [--file 200000]

At the end `flyball predict` answers a file of `--file` such rows, in a process of its own.

Peers are run by the Python of SERVING_PEERS_PYTHON, where it has them, else by this one.
"""

import argparse
import contextlib
import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import trips

from flyball.app import load_app
from flyball.core import SystemClock
from flyball.learning import learn
from flyball.operations import catch_up
from flyball.runtime import Runtime, load_settings
from flyball.serving import Dispatcher
from flyball.simulation.past import ingest_pieces, pieces_of

WORKERS, BODIES, DAY_US = 2, 2_000, 86_400_000_000
APP = Path(__file__).with_name("trips.py")
PEERS_PYTHON = os.environ.get("SERVING_PEERS_PYTHON", sys.executable)
WORKER = """
import socket, sys, msgspec
from flyball.app import AppSource
from flyball.runtime import Settings
from flyball.serving import serve
settings = msgspec.json.decode(sys.argv[1], type=Settings)
serve(AppSource(sys.argv[4]), settings, socket.socket(fileno=int(sys.argv[2])), sys.argv[3])
"""
MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print([status, used.ru_utime + used.ru_stime, used.ru_maxrss])
"""
"""Runs a command from a small process: a child counts the memory of the process that it was forked from as its own."""
MODEL = """
import os, sys
import numpy as np
import lightgbm
NAMES = os.environ["NAMES"].split(",")
PORT = int(os.environ["PORT"])
booster = lightgbm.Booster(model_file=os.environ["MODEL"])
"""
FASTAPI = """
import uvicorn
from fastapi import FastAPI
from pydantic import create_model
Trip = create_model("Trip", trip=(int, ...), **{name: (float, ...) for name in NAMES})
app = FastAPI()

@app.post("/predict")
def predict(trip: Trip) -> dict:
    row = np.array([[getattr(trip, name) for name in NAMES]])
    return {"minutes": float(booster.predict(row, num_threads=1)[0])}

if __name__ == "__main__":
    uvicorn.run("peer:app", host="127.0.0.1", port=PORT, workers=2, log_level="warning", access_log=False)
"""
MLFLOW = """
import subprocess, tempfile
import mlflow.lightgbm
folder = tempfile.mkdtemp()
mlflow.lightgbm.save_model(booster, folder + "/model")
os.execv(sys.executable, [sys.executable, "-m", "mlflow", "models", "serve", "-m", folder + "/model", "-p", str(PORT),
                          "-h", "127.0.0.1", "-w", "2", "--env-manager", "local"])
"""
BENTOML = """
import bentoml

@bentoml.service(workers=2)
class Trips:
    def __init__(self) -> None:
        self.booster = lightgbm.Booster(model_file=os.environ["MODEL"])

    @bentoml.api
    def predict(self, row: list[float]) -> float:
        return float(self.booster.predict(np.array([row]), num_threads=1)[0])

if __name__ == "__main__":
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", "peer:Trips", "-p", str(PORT),
                              "--host", "127.0.0.1"])
"""
LITSERVE = """
import litserve

class Trips(litserve.LitAPI):
    def setup(self, device):
        self.booster = lightgbm.Booster(model_file=os.environ["MODEL"])

    def decode_request(self, request):
        return np.array([[request[name] for name in NAMES]])

    def predict(self, row):
        return self.booster.predict(row, num_threads=1)

    def encode_response(self, minutes):
        return {"minutes": float(minutes[0])}

if __name__ == "__main__":
    server = litserve.LitServer(Trips(), accelerator="cpu", workers_per_device=2)
    server.run(port=PORT, host="127.0.0.1", num_api_servers=2, generate_client_file=False, log_level="warning")
"""


class Server(msgspec.Struct, frozen=True):
    """Where a server takes requests, how it wants them, and how its reply reads."""

    name: str
    path: str
    port: int
    body: Callable[[dict[str, Any]], bytes]
    minutes: Callable[[Any], float]
    processes: Callable[[], list[int]]


class Driven(NamedTuple):
    """One server in one round: `cpu_us` an answer, of all its processes."""

    per_s: float
    median_ms: float
    slow_ms: float
    cpu_us: float
    errors: int


def whole(fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode(fields)


def row_of(fields: dict[str, Any]) -> list[float]:
    return [fields[name] for name in trips.NUMBERS]


PEERS: dict[str, tuple[str, str, str, Callable[[dict[str, Any]], bytes], Callable[[Any], float]]] = {
    "fastapi": ("fastapi", FASTAPI, "/predict", whole, lambda reply: float(reply["minutes"])),
    "mlflow": (
        "mlflow",
        MLFLOW,
        "/invocations",
        lambda fields: msgspec.json.encode({"inputs": [row_of(fields)]}),
        lambda reply: float(reply["predictions"][0]),
    ),
    "bentoml": (
        "bentoml",
        BENTOML,
        "/predict",
        lambda fields: msgspec.json.encode({"row": row_of(fields)}),
        float,
    ),
    "litserve": ("litserve", LITSERVE, "/predict", whole, lambda reply: float(reply["minutes"])),
}
"""{name: (module, script, path, body of a request's fields, minutes in a reply)}."""


def make_home(folder: Path) -> tuple[Runtime, Path]:
    """A home that has learned from five days of trips, and the champion's trees in LightGBM's text."""
    runtime = Runtime(load_app(str(APP)), load_settings(folder / "home"), SystemClock())
    past = trips.past(SystemClock().now_us() - 6 * DAY_US, 5, 2_000)
    ingest_pieces(runtime, "jsonl", pieces_of(past), "past", "history")
    report = learn(runtime, workers=1)
    if report.champion is None:
        sys.exit(f"no version was released: {report.reason}")
    catch_up(runtime)
    artifact = runtime.artifacts / runtime.registry.version(report.champion).artifact
    import numpy as np

    (path,) = list(artifact.glob("trees_0.npy"))
    model = folder / "model.txt"
    model.write_bytes(np.load(path).tobytes())
    return runtime, model


@contextlib.contextmanager
def flyball_server(runtime: Runtime) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        dispatcher = Dispatcher(listener)
        dispatcher.start()
        workers = []
        for number in range(WORKERS):
            name, settings = f"serve-{number + 1}", msgspec.json.encode(runtime.settings).decode()
            with dispatcher.add_worker(name) as channel:
                command = [sys.executable, "-c", WORKER, settings, str(channel.fileno()), name, str(APP)]
                workers.append(subprocess.Popen(command, pass_fds=[channel.fileno()]))
        try:
            yield Server(
                "flyball",
                "/v1/predict",
                port,
                whole,
                lambda reply: float(reply["values"]["value"]),
                lambda: [worker.pid for worker in workers],
            )
        finally:
            end(workers)
            dispatcher.stop()


@contextlib.contextmanager
def peer_server(name: str, folder: Path, model: Path) -> Iterator[Server]:
    _, script, path, body, minutes = PEERS[name]
    place = folder / name
    place.mkdir()
    (place / "peer.py").write_text(MODEL + script)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "NAMES": ",".join(trips.NUMBERS),
        "PORT": str(port),
        "MODEL": str(model),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(place),
        "PATH": f"{Path(PEERS_PYTHON).parent}{os.pathsep}{os.environ['PATH']}",  # mlflow starts uvicorn by its name
    }
    command = [PEERS_PYTHON, "peer.py"]
    with open(place / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=place, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield Server(name, path, port, body, minutes, lambda: tree_of(server.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def tree_of(root: int) -> list[int]:
    """A process and all that it started, and they."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def cpu_s(processes: list[int]) -> float:
    """Seconds of CPU that these processes have used, in their code and in the kernel for them."""
    ticks = 0
    for process in processes:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def end(workers: "list[subprocess.Popen[bytes]]") -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait(20)


def ask(server: Server, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", server.path, body, {"content-type": content_type})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def wait_for(server: Server, fields: dict[str, Any], minutes: float, within_s: float = 120.0) -> None:
    """Until the server answers what LightGBM says; raises `TimeoutError`."""
    stop, seen = time.monotonic() + within_s, "nothing"
    while time.monotonic() < stop:
        with contextlib.suppress(OSError, http.client.HTTPException, KeyError):  # it may answer with nothing at first
            status, reply = ask(server, server.body(fields))
            seen = f"{status} {reply[:200]!r}"
            if status == 200 and abs(server.minutes(msgspec.json.decode(reply)) - minutes) < 1e-4:
                return
        time.sleep(0.2)
    raise TimeoutError(f"{server.name} must answer {minutes}, got {seen}")


def drive(server: Server, bodies: list[bytes], connections: int, seconds: float) -> Driven:
    """What it does at saturation."""
    if not shutil.which("wrk"):
        sys.exit("wrk must be installed, such as by: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        quoted = ",\n".join("[==[" + body.decode() + "]==]" for body in bodies)
        script.write(
            f"local bodies = {{{quoted}}}\nlocal n = 0\nlocal head = {{['content-type'] = 'application/json'}}\n"
            f"request = function() n = n + 1; return wrk.format('POST', '{server.path}', head, "
            f"bodies[n % {len(bodies)} + 1]) end\n"
            'done = function(s, l, r) io.write(string.format("%d %f %f %f %d\\n", s.requests, s.duration / 1e6, '
            "l:percentile(50) / 1e3, l:percentile(99) / 1e3, s.errors.status + s.errors.read + s.errors.timeout)) end\n"
        )
        script.flush()
        address = f"http://127.0.0.1:{server.port}"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", script.name, address]
        before_s = cpu_s(server.processes())
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used_s = cpu_s(server.processes()) - before_s
    answers, took_s, median, slow, errors = map(float, output.strip().splitlines()[-1].split())
    return Driven(answers / took_s, median, slow, used_s / max(answers, 1.0) * 1e6, int(errors))


def rows_a_second(server: Server, bodies: list[bytes], seconds: float) -> tuple[float, float]:
    """(rows a second, microseconds of CPU a row) of NDJSON, 2,000 rows to a request, two requests at a time."""
    from concurrent.futures import ThreadPoolExecutor

    body = b"\n".join(bodies)
    stop = time.monotonic() + seconds

    def send(_: int) -> int:
        rows = 0
        while time.monotonic() < stop:
            status, reply = ask(server, body, "application/x-ndjson")
            if status != 200:
                sys.exit(f"NDJSON must be answered with 200, got {status} {reply[:200]!r}")
            rows += reply.count(b"\n")
        return rows

    began, before_s = time.monotonic(), cpu_s(server.processes())
    with ThreadPoolExecutor(WORKERS) as pool:
        total = sum(pool.map(send, range(WORKERS)))
    return total / (time.monotonic() - began), (cpu_s(server.processes()) - before_s) / total * 1e6


def print_file(folder: Path, rows: int) -> None:
    """How long `flyball predict` takes for a file of JSON lines, and its peak memory."""
    source, out, piece = folder / "rows.jsonl", folder / "answers.csv", 100_000
    with open(source, "wb") as file:
        for first in range(0, rows, piece):
            file.writelines(body + b"\n" for body in trips.bodies(min(piece, rows - first), first=first + 1))
    command = [sys.executable, "-m", "flyball", "predict", str(APP), str(source), "--out", str(out)]
    began = time.monotonic()
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, *command, "--home", str(folder / "home")], check=True, capture_output=True
    )
    took_s = time.monotonic() - began
    status, cpu_s, peak_kb = msgspec.json.decode(measured.stdout)
    if status:
        sys.exit(f"flyball predict must end well, got status {status}")
    with open(out, "rb") as file:
        answered = sum(1 for _ in file) - 1
    print(
        f"  flyball predict, {source.stat().st_size / 1e6:,.0f} MB of JSON lines into CSV: {answered:,} rows, "
        f"{answered / took_s:,.0f} rows/s, {cpu_s / answered * 1e6:.1f} us of CPU a row, "
        f"peak memory {peak_kb / 1024:,.0f} MB"
    )


def has(module: str) -> bool:
    return subprocess.run([PEERS_PYTHON, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--file", type=int, default=200_000, help="rows of the file that is answered at the end")
    parser.add_argument("--only", default="", help="servers to drive, by commas")
    chosen = parser.parse_args()
    names = [name for name in chosen.only.split(",") if name] or ["flyball", *PEERS]
    for name in [name for name in names if name in PEERS and not has(PEERS[name][0])]:
        print(f"{name} is not installed: left out")
        names.remove(name)
    results: dict[str, list[Driven]] = {}
    with tempfile.TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        runtime, model = make_home(folder)
        requests = [msgspec.json.decode(body) for body in trips.bodies(BODIES, first=1_000_001)]
        expected = minutes_of(model, row_of(requests[0]))
        started = [
            stack.enter_context(flyball_server(runtime) if name == "flyball" else peer_server(name, folder, model))
            for name in names
        ]
        servers = []
        for server in started:
            try:
                wait_for(server, requests[0], expected)
            except TimeoutError as error:
                log = folder / server.name / "log"
                print(f"{error}: left out\n{log.read_text()[-800:] if log.exists() else ''}")
                continue
            servers.append(server)
        for _ in range(chosen.rounds):
            for server in servers:
                bodies = [server.body(fields) for fields in requests]
                results.setdefault(server.name, []).append(drive(server, bodies, chosen.connections, chosen.seconds))
        lines, line_us = 0.0, 0.0
        if servers and servers[0].name == "flyball":
            lines, line_us = rows_a_second(servers[0], [whole(fields) for fields in requests], chosen.seconds)
        stack.close()  # what was answered is written before a process ends
        recorded = sum(runtime.predictions.ends())
        print_results(results, chosen, (lines, line_us), recorded)
        if "flyball" in results and chosen.file:
            print_file(folder, chosen.file)


def print_results(
    results: dict[str, list[Driven]], chosen: argparse.Namespace, of_lines: tuple[float, float], recorded: int
) -> None:
    """`of_lines`: rows a second of NDJSON and their cost."""
    lines, line_us = of_lines
    print(f"{WORKERS} processes each, {chosen.connections} connections, medians of {chosen.rounds} rounds in turns")
    for name, rounds in results.items():
        typical = Driven(*(statistics.median(column) for column in zip(*rounds, strict=True)))
        beside = list(zip(results.get("flyball", rounds), rounds, strict=True))
        ratio = statistics.median(ours.per_s / one.per_s for ours, one in beside)
        cpu_ratio = statistics.median(one.cpu_us / max(ours.cpu_us, 1e-9) for ours, one in beside)
        bound = WORKERS * 1e6 / typical.cpu_us if typical.cpu_us else float("nan")
        print(
            f"  {name:10} {typical.per_s:>9,.0f} answers/s   median {typical.median_ms:>7.2f} ms   p99 "
            f"{typical.slow_ms:>8.2f} ms   {sum(one.errors for one in rounds)} errors   flyball / this {ratio:>5.1f}\n"
            f"  {'':10} {typical.cpu_us:>9,.1f} us of CPU an answer ({bound:,.0f}/s of the CPU of {WORKERS} "
            f"cores)   this / flyball {cpu_ratio:>5.1f}"
        )
    if lines:
        print(f"  flyball, NDJSON of {BODIES:,} rows a request: {lines:,.0f} rows/s, {line_us:,.1f} us of CPU a row")
    if "flyball" in results:
        print(f"  predictions in the log: {recorded:,}")


def minutes_of(model: Path, row: list[float]) -> float:
    import lightgbm
    import numpy as np

    return float(lightgbm.Booster(model_file=str(model)).predict(np.array([row]), num_threads=1)[0])


if __name__ == "__main__":
    main()
