"""Machines that share the partitions of a log on Kafka, with leases on PostgreSQL and state on Redis: one is killed
with -9, one is paused for longer than its lease and wakes up; state and history are as if one worker had read the log.
So they are where a worker of a former release, which knows nothing of such leases, goes on in a rolling update.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.cinema import CINEMA
from tests.live.instance import Instance, until

from flyball.app import AppSource, load_app
from flyball.core import SystemClock
from flyball.events import Slice
from flyball.operations.process import ChildProcess, start_child
from flyball.operations.process_specs import ProcessSpec
from flyball.registry import Registry, lease_standings
from flyball.runtime import Runtime, load_settings
from flyball.state import StateConsumer
from flyball.stores import MemoryStore

VARIABLES = ("TEST_KAFKA_URL", "TEST_REDIS_URL", "TEST_POSTGRES_URL")
SERVERS = [os.environ.get(name, "") for name in VARIABLES]
PARTITIONS = 5

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not all(SERVERS), reason="no TEST_KAFKA_URL and other servers"),
]

APP = (
    CINEMA
    + """
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, within="1d"), k=8),
    candidates={"popular": fb.Popular()},
)
"""
)


class Cluster:
    """Machines of one application, and a writer of events."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.numbers = folder, 0
        (folder / "cinema.py").write_text(APP)
        kafka, redis, postgres = SERVERS
        name = f"test_{os.urandom(6).hex()}"
        urls = {
            "events": f"{kafka}/{name}.events?partitions={PARTITIONS}",
            "predictions": f"{kafka}/{name}.predictions?partitions=1&unique=0",
            "history": f"file://{folder}/mounted/history",
            "artifacts": f"file://{folder}/mounted/artifacts",
            "state": f"{redis}?name={name}-state",
            "features": f"{redis}?name={name}-features",
            **dict.fromkeys(("registry", "catalog", "quarantine", "outcomes"), f"{postgres}?schema={name}"),
        }
        self.settings = "".join(f'{store} = "{url}"\n' for store, url in urls.items()) + 'lease = "2s"\n'
        self.registry = Registry(urls["registry"])
        self.runtime = Runtime(load_app(str(folder / "cinema.py")), load_settings(self.home("writer")), SystemClock())
        self.machines: list[Instance] = []
        self.former: list[ChildProcess] = []

    def home(self, name: str) -> Path:
        home = self.folder / name
        home.mkdir()
        (home / "settings.toml").write_text(self.settings + 'processes = ["worker"]\n')
        return home

    def start(self, name: str) -> Instance:
        self.home(name)
        self.machines.append(Instance(self.folder, home=name))
        return self.machines[-1]

    def start_former(self, name: str) -> tuple[ChildProcess, Path]:
        """The log worker of a former release, and its log."""
        settings, log = load_settings(self.home(name)), self.folder / f"{name}.log"
        source = AppSource(str(self.folder / "cinema.py"))
        spec = msgspec.json.encode(ProcessSpec(source, settings, "worker"))
        program = Path(__file__).with_name("former_worker.py")
        self.former.append(start_child([sys.executable, str(program), "worker"], spec, log))
        return self.former[-1], log

    def write(self, count: int = 400) -> None:
        now_us, runtime = SystemClock().now_us(), self.runtime
        for number in range(self.numbers, self.numbers + count):
            fields = {"user": number % 37, "film": f"f{number % 11}", "minute": number % 90}
            at = now_us - 1_000_000_000 + number
            runtime.log.append([runtime.schema.check("watch", fields, at, at)])
        self.numbers += count

    def shares(self) -> dict[str, int]:
        """{machine: how many partitions it holds}."""
        live = [lease for lease in lease_standings(self.registry) if lease.left_us]
        return Counter(Path(lease.holder.split(":")[1]).name for lease in live if lease.name.startswith("partition "))

    def applied(self) -> bool:
        ends = self.runtime.log.ends()
        return self.runtime.state.offsets() == ends == self.runtime.history.offsets()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    for machine in cluster.machines:
        machine.end()
    for worker in cluster.former:
        worker.kill()


def test_machines_share_the_log_and_nothing_is_lost_or_doubled_by_a_kill_and_a_pause(cluster: Cluster) -> None:
    first = cluster.start("a")
    until(lambda: cluster.shares() == {"a": 5})
    cluster.write()
    cluster.start("b")
    until(lambda: cluster.shares() == {"a": 3, "b": 2})
    cluster.write()
    first.process.kill()  # and what it started ends, by -9 as well
    cluster.write()
    until(lambda: cluster.shares() == {"b": 5})
    cluster.write()
    third = cluster.start("c")
    until(lambda: cluster.shares() == {"b": 3, "c": 2})
    paused = third.children()["worker"][0]
    cluster.write(50)
    os.kill(paused, signal.SIGSTOP)
    cluster.write()
    until(lambda: cluster.shares() == {"b": 5})
    cluster.write()
    until(cluster.applied)
    os.kill(paused, signal.SIGCONT)
    until(lambda: cluster.shares() == {"b": 3, "c": 2})
    cluster.write()
    until(cluster.applied)

    check_as_if_one_had_read(cluster)


def check_as_if_one_had_read(cluster: Cluster) -> None:
    """State and history are those of a single worker."""
    log, runtime = cluster.runtime.log, cluster.runtime
    alone = MemoryStore()
    consumer = StateConsumer(runtime.views, alone, partitions=PARTITIONS)
    pieces: list[Slice] = []
    while read := log.read(consumer.offsets(), 1_000_000):
        consumer.apply(read)
        pieces += read
    assert alone.offsets() == runtime.state.offsets() == log.ends()
    assert list(runtime.state.scan(b"")) == list(alone.scan(b""))
    rows = runtime.history.events("watch").select("partition", "offset").rows()
    places = {(piece.partition, piece.first + index) for piece in pieces for index in range(len(piece.records))}
    assert len(rows) == len(set(rows)) == cluster.numbers == len(places)
    assert set(rows) == places


def test_a_worker_of_a_former_release_writes_nothing_once_one_of_this_one_does(cluster: Cluster) -> None:
    """It goes on in a rolling update, and is refused by the store: while the new one runs, and after it has died."""
    former, log = cluster.start_former("former")
    cluster.write()
    until(cluster.applied)
    new = cluster.start("new")
    until(lambda: cluster.shares() == {"new": PARTITIONS})
    for _ in range(5):
        cluster.write()
    until(cluster.applied)
    check_as_if_one_had_read(cluster)
    new.process.kill()
    until(lambda: not cluster.shares())
    cluster.write()
    refused = log.read_text().count("must be held with token")
    assert refused
    until(lambda: log.read_text().count("must be held with token") > refused + 1)
    assert former.poll() is None
    assert sum(cluster.runtime.state.offsets()) == cluster.numbers - 400
    cluster.start("newer")
    until(lambda: cluster.shares() == {"newer": PARTITIONS})
    former.kill()
    cluster.write()
    until(cluster.applied)
    check_as_if_one_had_read(cluster)
