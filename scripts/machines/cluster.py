"""The servers, the application with its past in them, and machines that run parts of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, chdir, suppress
from pathlib import Path

from machines.basics import free_port, get, say, until
from machines.servers import Engine, Redis

PARTITIONS = 4
STORES = ("registry", "catalog", "quarantine", "outcomes")


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

    def pids(self, name: str = "") -> list[int]:
        """The processes that it started, or those of one name, such as "worker"."""
        report = self.home / "run" / "up.json"
        children = json.loads(report.read_text())["children"] if report.exists() else []
        return [child["pid"] for child in children if child["state"] == "running" and child["name"].startswith(name)]

    def lose_power(self) -> None:
        """End all its processes at once, so that none can tell another."""
        for pid in (self.process.pid, *self.pids()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

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
            "events": f"kafka://{kafka}/shop.events?partitions={PARTITIONS}",
            "predictions": f"kafka://{kafka}/shop.predictions?partitions=1&unique=0",
            "history": f"s3://flyball/history?endpoint={endpoint}",
            "artifacts": f"s3://flyball/artifacts?endpoint={endpoint}",
            "state": f"redis://127.0.0.1:{self.redis.port}/0?name=state",
            "features": f"redis://127.0.0.1:{self.redis.port}/0?name=features",
            **dict.fromkeys(STORES, f"{postgres}?schema=shop"),
        }
        self.settings = "".join(f'{store} = "{url}"\n' for store, url in urls.items()) + 'lease = "5s"\n'
        self.flyball("new shop")
        declare_features(folder / "shop.py")
        (folder / "desk").mkdir()
        (folder / "desk" / "settings.toml").write_text(self.settings)
        self.flyball("ingest shop.py shop-events.jsonl --as history --home desk")
        self.flyball("learn shop.py --as-of 2026-11-01T00:00:00Z --home desk")

    def runtime(self, home: str):
        """The application with the stores of a home in the folder."""
        with chdir(self.folder):
            from flyball.app import load_app
            from flyball.core import SystemClock
            from flyball.runtime import Runtime, load_settings

            return Runtime(load_app("shop.py"), load_settings(self.folder / home), SystemClock())

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


def declare_features(file: Path) -> None:
    """Let the application compute features of items, too."""
    plain = 'item = fb.Entity("item", profile=ItemCard)'
    text = file.read_text()
    assert plain in text, text
    views = 'views=fb.count(View, "7d"), visitors=fb.distinct(View, lambda view: view.visitor, "1d")'
    file.write_text(text.replace(plain, f"{plain[:-1]}, {views})"))


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
