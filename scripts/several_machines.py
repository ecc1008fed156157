"""An application on Kafka, PostgreSQL, Redis and an object store, by several replicas behind a load balancer, under
load; prints what was lost, doubled, late or failed.

    python scripts/several_machines.py faults    a broker, the database and a replica are killed and come back
    python scripts/several_machines.py rolling   the replicas are restarted one after another
    python scripts/several_machines.py scale     the load triples, replicas follow a metric, and leave when it is over
    python scripts/several_machines.py release   how long until all processes serve a new champion

All servers are real, started by `.ci/engines` in a temporary folder and ended with the script. The exit code is 1 where
something was lost or doubled, or a request failed that must not.
"""

import http.client
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGINES = ROOT / ".ci" / "engines"
STORES = ("registry", "catalog", "quarantine", "outcomes")
DEADLINE_S, LONG_S, TRIES_S = 0.3, 240.0, 200.0
THREADS = 8
REFUSED = (OSError, http.client.HTTPException)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds, what: str, within_s: float = LONG_S):
    ends_s = time.monotonic() + within_s
    while time.monotonic() < ends_s:
        with suppress(*REFUSED):
            if value := holds():
                return value
        time.sleep(0.05)
    sys.exit(f"{what} must hold within {within_s:g} s, it did not")


def get(port: int, path: str, timeout_s: float = 10.0) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Engine:
    """A server that `.ci/engines` starts in a folder, and may start again there with its data."""

    def __init__(self, name: str, folder: Path, *arguments: str) -> None:
        self.command, self.folder, self.arguments = ENGINES / name, folder, arguments
        self.start()

    def start(self) -> None:
        subprocess.run(
            [self.command, "start", self.folder, *self.arguments], check=True, stdout=subprocess.DEVNULL, timeout=180
        )

    def kill(self) -> None:
        """End it and what it started, as a power failure does."""
        pid = int((self.folder / "pid").read_text())
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
        for each in (pid, *map(int, found.stdout.split())):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def stop(self) -> None:
        self.kill()


class Redis:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Replica:
    """A machine: a home of its own, empty but for settings, and `flyball up` on a port that stays the same."""

    def __init__(self, cluster: "Cluster", name: str, processes: str) -> None:
        self.cluster, self.name, self.processes = cluster, name, processes
        self.port, self.home = free_port(), cluster.folder / name
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        (self.home / "settings.toml").write_text(self.cluster.settings)
        options = ["--home", str(self.home), "--port", str(self.port), "--processes", self.processes, "--drain", "1s"]
        with open(self.cluster.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flyball", "up", "shop.py", "--workers", "1", *options],
                cwd=self.cluster.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self) -> bool:
        return get(self.port, "/readyz")[0] == 200

    def champion(self) -> str:
        return str(json.loads(get(self.port, "/readyz")[1]).get("champion"))

    def stop(self) -> float:
        """Stop it as a machine is stopped that is to be replaced; returns the seconds that it took."""
        assert self.process is not None
        began_s = time.monotonic()
        self.process.terminate()
        self.process.wait(30)
        return time.monotonic() - began_s

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Cluster:
    """The servers, and the application `shop` with its past in them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "flyball",
            "AWS_SECRET_ACCESS_KEY": "flyball-secret",  # nosec B105
        }
        self.kafka = Engine("kafka", folder / "kafka")
        stack.callback(self.kafka.stop)
        self.postgres = Engine("postgres", folder / "postgres")
        stack.callback(self.postgres.stop)
        self.objects = Engine("seaweedfs", folder / "objects")
        stack.callback(self.objects.stop)
        self.redis = Redis(folder / "redis")
        stack.callback(self.redis.stop)
        kafka, endpoint, postgres = (
            (folder / path).read_text().strip() for path in ("kafka/address", "objects/address", "postgres/url")
        )
        urls = {
            "events": f"kafka://{kafka}/shop.events?partitions=4",
            "predictions": f"kafka://{kafka}/shop.predictions?partitions=1&unique=0",
            "history": f"s3://flyball/history?endpoint={endpoint}",
            "artifacts": f"s3://flyball/artifacts?endpoint={endpoint}",
            "state": f"redis://127.0.0.1:{self.redis.port}/0?name=state",
            "features": f"redis://127.0.0.1:{self.redis.port}/0?name=features",
            **dict.fromkeys(STORES, f"{postgres}?schema=shop"),
        }
        self.settings = "".join(f'{store} = "{url}"\n' for store, url in urls.items()) + 'lease = "5s"\n'
        self.flyball("new shop")
        (folder / "desk").mkdir()
        (folder / "desk" / "settings.toml").write_text(self.settings)
        self.flyball("ingest shop.py shop-events.jsonl --as history --home desk")
        self.flyball("learn shop.py --as-of 2026-11-01T00:00:00Z --home desk")

    def flyball(self, arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flyball", *arguments.split()],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        if check and done.returncode:
            sys.exit(f"flyball {arguments} must succeed, got {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


@dataclass
class Tally:
    """What clients saw. `sent`: (visitor, item) of acknowledged events; `answers`: (when, seconds, status, level)."""

    answers: list[tuple[float, float, int, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    sent: set[tuple[int, str]] = field(default_factory=set)
    unsent: int = 0
    resent: int = 0
    problems: Counter[str] = field(default_factory=Counter)


class Load:
    """Clients that ask and report views at fixed times, whether answers come or not, over one load balancer.

    An answer counts from when its request was due. An event is sent until it is acknowledged, as every client must.
    """

    def __init__(self, port: int, asked_s: float, events_s: float) -> None:
        self.port, self.asked_s, self.events_s = port, asked_s, events_s
        self.tally, self._lock, self._stop = Tally(), threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(THREADS)]
        self._threads += [threading.Thread(target=self._tell, args=(number,)) for number in range(2)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        due_s, count = time.monotonic() + number / self.asked_s, 0
        while not self._stop.is_set():
            due_s += THREADS / self.asked_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            count += 1
            try:
                status, _, headers = get(self.port, f"/recommend/{1 + (count * 7 + number) % 60}", 5.0)
            except REFUSED as error:
                status, headers = 0, {}
                with self._lock:
                    self.tally.problems[type(error).__name__] += 1
            took_s, level = time.monotonic() - due_s, headers.get("x-flyball-level", "")
            with self._lock:
                self.tally.answers.append((due_s, took_s, status, level))
                if status == 200:
                    self.tally.ids.append(headers["x-flyball-prediction"])

    def _tell(self, number: int) -> None:
        due_s, count = time.monotonic(), 0
        while not self._stop.is_set():
            due_s += 2 / self.events_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            count += 1
            view = (100_000 * (number + 1) + count, "garden-00")
            body = json.dumps({"type": "view", "visitor": view[0], "item": view[1], "at": now()})
            ends_s = time.monotonic() + TRIES_S
            while not self._post(body):
                self.tally.resent += 1
                if time.monotonic() > ends_s:
                    self.tally.unsent += 1
                    break
                time.sleep(0.2)
            else:
                self.tally.sent.add(view)

    def _post(self, body: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/v1/events", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        except REFUSED:
            return False
        finally:
            connection.close()


def now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1e6) % 1_000_000:06d}Z"


def summary(tally: Tally) -> tuple[float, int]:
    """Print what clients saw; returns (the share of answers in time, requests that failed)."""
    times_s = sorted(took_s for _, took_s, status, _ in tally.answers if status == 200)
    failed = len(tally.answers) - len(times_s)
    timely = sum(took_s <= DEADLINE_S for took_s in times_s) / max(1, len(tally.answers))
    levels = Counter(level for *_, status, level in tally.answers if status == 200)
    at = [times_s[min(len(times_s) - 1, int(share * len(times_s)))] * 1e3 for share in (0.5, 0.99, 0.999)]
    say(f"requests {len(tally.answers):,}, failed {failed} {dict(tally.problems)}, levels {dict(levels)}")
    say(f"within {DEADLINE_S * 1e3:g} ms: {timely:.3%}; p50 {at[0]:.1f}, p99 {at[1]:.1f}, p99.9 {at[2]:.1f} ms")
    say(f"events acknowledged {len(tally.sent):,}, sent again {tally.resent}, given up {tally.unsent}")
    return timely, failed


def audit(cluster: Cluster, tally: Tally) -> int:
    """Compare log and stores with what clients saw; returns the number of things lost or doubled."""
    (cluster.folder / "check").mkdir()
    own = re.sub(r"^(state|features) = .*$", "", cluster.settings, flags=re.M)
    (cluster.folder / "check" / "settings.toml").write_text(own)
    before = Path.cwd()
    os.chdir(cluster.folder)
    from flyball.app import load_app
    from flyball.core import SystemClock
    from flyball.outcomes import prediction_of
    from flyball.runtime import Runtime, load_settings

    runtime = Runtime(load_app("shop.py"), load_settings(cluster.folder / "check"), SystemClock())
    views = Counter[tuple[int, str]]()
    for record in records_of(runtime.log):
        event = runtime.schema.decode(record)
        if type(event).__name__ == "View" and event.visitor >= 100_000:
            views[event.visitor, event.item] += 1
    ids = Counter(prediction_of(record).id for record in records_of(runtime.predictions))
    os.chdir(before)
    lost = tally.sent - views.keys()
    doubled = sum(count > 1 for count in views.values())
    missing, twice = [one for one in tally.ids if one not in ids], sum(count > 1 for count in ids.values())
    say(f"events lost {len(lost)}, doubled {doubled}, in the log {sum(views.values()):,}")
    say(f"answers {len(tally.ids):,}: records missing {len(missing)}, doubled {twice}")
    compared = json.loads(
        cluster.flyball("compare shop.py --home desk --with check --answers 20 --json", check=False).splitlines()[-1]
    )
    parts = {part["part"]: part["compared"] for part in compared["parts"]}
    say(f"state in Redis and one rebuilt from the log are equal: {compared['identical']} {parts}")
    return len(lost) + doubled + twice + (not compared["identical"])


def records_of(log):
    position = (0,) * len(log.ends())
    while slices := log.read(position, 10_000):
        for piece in slices:
            yield from piece.records
            position = tuple(piece.end if part == piece.partition else at for part, at in enumerate(position))


def started(cluster: Cluster, stack: ExitStack, *processes: str) -> list[Replica]:
    replicas = [Replica(cluster, f"replica-{number}", parts) for number, parts in enumerate(processes, 1)]
    for replica in replicas:
        stack.callback(replica.kill)
    return replicas


def balanced(cluster: Cluster, stack: ExitStack, replicas: list[Replica]) -> int:
    balancer = Engine("loadbalancer", cluster.folder / "balancer", *(str(replica.port) for replica in replicas))
    stack.callback(balancer.stop)
    return int((cluster.folder / "balancer" / "url").read_text().strip().rpartition(":")[2])


def up(replicas: list[Replica], port: int) -> None:
    for replica in replicas:
        replica.start()
    for replica in replicas:
        until(replica.ready, f"{replica.name} ready")
    until(lambda: get(port, "/recommend/1")[0] == 200, "an answer through the load balancer")
    say(f"{len(replicas)} replicas are ready")


def faults(cluster: Cluster, stack: ExitStack) -> bool:
    replicas = started(cluster, stack, "serving,worker,governor", "serving,worker,governor")
    port = balanced(cluster, stack, replicas)
    up(replicas, port)
    with Load(port, asked_s=25, events_s=5) as load:
        time.sleep(8)
        for name, engine in (("broker", cluster.kafka), ("database", cluster.postgres)):
            engine.kill()
            say(f"the {name} is killed")
            time.sleep(4)
            engine.start()
            say(f"the {name} is back")
            time.sleep(12)
        replicas[0].kill()
        say("replica-1 is killed")
        time.sleep(4)
        replicas[0].start()
        until(replicas[0].ready, "replica-1 ready")
        say("replica-1 is back, in an empty home")
        time.sleep(6)
    timely, failed = summary(load.tally)
    time.sleep(8)
    print(cluster.flyball("status shop.py --home replica-2", check=False), flush=True)
    for replica in replicas:
        say(f"{replica.name} ended within {replica.stop():.1f} s of SIGTERM")
    return audit(cluster, load.tally) == 0 and failed == 0 and timely >= 0.999


def rolling(cluster: Cluster, stack: ExitStack) -> bool:
    replicas = started(cluster, stack, "serving,worker,governor", "serving")
    port = balanced(cluster, stack, replicas)
    up(replicas, port)
    with Load(port, asked_s=40, events_s=5) as load:
        time.sleep(3)
        for replica in replicas:
            took_s = replica.stop()
            replica.start()
            until(replica.ready, f"{replica.name} ready")
            say(f"{replica.name} stopped within {took_s:.1f} s and is ready again")
            time.sleep(3)
    _, failed = summary(load.tally)
    return failed == 0


def answered(replicas: list[Replica]) -> dict[str, float]:
    """{replica: answers since it started}, from `/metrics`."""
    counts = {}
    for replica in replicas:
        text = get(replica.port, "/metrics")[1].decode()
        counts[replica.name] = sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("flyball_answers_total{")
        )
    return counts


def scale(cluster: Cluster, stack: ExitStack) -> bool:
    """Replicas follow `rate(flyball_answers_total)` by the formula of Kubernetes: ceil(replicas * rate / target)."""
    target, tolerance, most = 15.0, 0.1, 3
    replicas = started(cluster, stack, "serving,worker,governor", "serving", "serving")
    port = balanced(cluster, stack, replicas)
    up(replicas[:1], port)
    running, history = replicas[:1], []

    def adjust() -> None:
        nonlocal running
        before, began_s = answered(running), time.monotonic()
        time.sleep(4)
        after = answered(running)
        seconds = time.monotonic() - began_s
        rate = sum(after[name] - before[name] for name in after) / seconds / len(running)
        wanted = len(running)
        if abs(rate / target - 1) > tolerance:
            wanted = max(1, min(most, math.ceil(len(running) * rate / target)))
        history.append(wanted)
        say(f"{len(running)} replicas, {rate:.1f} answers/s each, target {target:g}: {wanted} wanted")
        for replica in replicas[len(running) : wanted]:
            replica.start()
            until(replica.ready, f"{replica.name} ready")
        for replica in running[wanted:]:
            replica.stop()
        running = replicas[:wanted]

    failed = 0
    for asked_s in (12.0, 36.0, 12.0):
        say(f"load: {asked_s:g} requests/s")
        with Load(port, asked_s=asked_s, events_s=2) as load:
            for _ in range(2):
                adjust()
            time.sleep(3)
        failed += summary(load.tally)[1]
    say(f"replicas wanted: {history}")
    return failed == 0 and max(history) == most and history[-1] == 1


def release(cluster: Cluster, stack: ExitStack) -> bool:
    replicas = started(cluster, stack, "serving,worker,governor", "serving")
    port = balanced(cluster, stack, replicas)
    up(replicas, port)
    versions = [
        row["id"]
        for row in json.loads(cluster.flyball("versions list shop.py --home desk --json").splitlines()[-1])["versions"]
    ]
    os.chdir(cluster.folder)
    import msgspec

    from flyball.app import load_app
    from flyball.core import SystemClock
    from flyball.policy import immediate
    from flyball.registry import add_versions
    from flyball.releases import current, start_release
    from flyball.runtime import Runtime, load_settings

    runtime = Runtime(load_app("shop.py"), load_settings(cluster.folder / "desk"), SystemClock())
    delays_s = []
    for number in range(8):
        champion = runtime.registry.version(current(runtime.registry).champion or versions[0])
        twin = add_versions(runtime.registry, [msgspec.structs.replace(champion, id="", state="candidate")])[0].id
        start_release(runtime.registry, immediate(), [twin], runtime.actor("script", f"release {number}"))
        began_s, waiting = time.monotonic(), {replica.name: replica for replica in replicas}
        while waiting and time.monotonic() - began_s < 20:
            for name, replica in list(waiting.items()):
                if get(replica.port, "/recommend/1")[2].get("x-flyball-version") == twin:
                    delays_s.append(time.monotonic() - began_s)
                    del waiting[name]
            time.sleep(0.01)
    delays_s.sort()
    say(
        f"{len(delays_s)} times a replica took a new champion: p50 {delays_s[len(delays_s) // 2]:.2f} s, "
        f"most {delays_s[-1]:.2f} s"
    )
    return len(delays_s) == 8 * len(replicas) and delays_s[-1] <= 2.0


RUNS = {"faults": faults, "rolling": rolling, "scale": scale, "release": release}


def main() -> None:
    if len(sys.argv) < 2 or set(sys.argv[1:]) - set(RUNS):
        sys.exit(f"usage: several_machines.py {'|'.join(RUNS)}...")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends
    good = True
    for name in sys.argv[1:]:
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            began_s = time.monotonic()
            cluster = Cluster(folder, stack)
            say(f"== {name}: servers and application are there after {time.monotonic() - began_s:.0f} s")
            passed = RUNS[name](cluster, stack)
            say(f"== {name}: {'passed' if passed else 'FAILED'} after {time.monotonic() - began_s:.0f} s")
            good = good and passed
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
