"""The compose file that `flyball init deploy` writes, run as a whole by a real podman-compose, but for Grafana: two
replicas, worker, governor, load balancer, Kafka, PostgreSQL, Redis, object store and Prometheus in containers.

`scripts/with-containers` brings podman, podman-compose, and images of the servers under the names of the file."""

import collections
import http.client
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cinema import CINEMA
from tests.live.containers import ENGINE, ROOT, build_image, engine_settings, run, watched_films
from tests.live.instance import REFUSED
from tests.processes import Found
from tests.processes import until as until_within

from flyball.core import SystemStopwatch

pytestmark = [
    pytest.mark.timeout(2_400),
    pytest.mark.live,
    pytest.mark.skipif(not ENGINE, reason="containers come with scripts/with-containers"),
]

APP = (
    CINEMA
    + """
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(  # ten containers on two cores answer late at times, and late answers have no version
        fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, within="1d"), k=8, deadline="10s"
    ),
    candidates={"popular": fb.Popular(), "item_knn": fb.ItemKNN()},
    release=fb.canary(50, 100),
    retrain=[],
    gates=fb.gates(min_examples=10, max_answer="10s", max_loss=1.0, at_least={"full_lists@8": 0.0}),
)
"""
)
IMAGE, USERS, SIGTERM_WITHIN_S, LONG_S = "localhost/cinema:1", 400, 10, 300
OWN = ("cinema_serving_1", "cinema_serving_2", "cinema_worker_1", "cinema_governor_1")
PROGRAMS = {
    "apache/kafka": "kafka",
    "library/postgres": "postgres",
    "valkey/valkey": "valkey",
    "chrislusf/seaweedfs": "seaweedfs",
    "library/haproxy": "haproxy",
    "prom/prometheus": "prometheus",
}
SERVICES = "serving worker governor balancer kafka postgres redis objects bucket prometheus"


class Composed:
    """The services, running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def compose(self, words: str, stdin: str | None = None) -> str:
        return run(f"{ENGINE}/compose/bin/podman-compose {words}", self.folder, stdin)

    def flyball(self, service: str, words: str, stdin: str | None = None) -> str:
        """A command in a container of its own, as README.md of the deployment says."""
        return self.compose(f"run --rm -T {service} {words}", stdin)

    def port(self, container: str, port: int) -> int:
        return int(run(f"podman port {container} {port}/tcp").strip().rpartition(":")[2])


def until(holds: Callable[[], Found]) -> Found:
    return until_within(holds, LONG_S, passing=(*REFUSED, AssertionError, ValueError, KeyError))


def get(port: int, path: str, key: str = "") -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    folder = tmp_path_factory.mktemp("application")
    (folder / "cinema.py").write_text(APP)
    build_image(folder, tmp_path_factory.mktemp("source"), IMAGE)
    file = folder / "deploy" / "compose" / "compose.yaml"
    text = file.read_text()
    images = sorted(set(re.findall(r"image: (docker\.io/\S+)", text)) - {"docker.io/grafana/grafana:12.1.0"})
    lines = [f"{image} {PROGRAMS[image.removeprefix('docker.io/').partition(':')[0]]}" for image in images]
    run(f"{ROOT}/.ci/engines/images build {ENGINE}", stdin="\n".join(lines) + "\n")
    file.write_text(re.sub(r"127\.0\.0\.1:\d+:", "127.0.0.1::", text))  # ports that are free
    running = Composed(file.parent)
    try:
        running.compose(f"up --no-build --detach {SERVICES}")
        yield running
    finally:
        running.compose("down -v -t 1")


def answers_of(container: str, key: str) -> int:
    """How many answers a replica has given, by its metrics."""
    code = (
        "import urllib.request as u; r = u.Request('http://127.0.0.1:8082/metrics', "
        f"headers={{'Authorization': 'Bearer {key}'}}); print(u.urlopen(r).read().decode())"
    )
    done = subprocess.run(
        ["podman", "exec", container, "python3", "-c", code],
        env=engine_settings(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("flyball_answers_total{")]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines))


def test_all_services_learn_serve_split_a_test_and_end_in_time(composed: Composed) -> None:
    until(lambda: "created bucket" in run("podman logs cinema_bucket_1"))
    until(lambda: "accepted: 1,200" in composed.flyball("worker", INGEST, watched_films()))
    port = composed.port("cinema_balancer_1", 8080)
    champion = until(lambda: json.loads(get(port, "/readyz")[2])["champion"])  # a governor without one learns at once
    other = {"v1": "v2", "v2": "v1"}[champion]
    composed.flyball("governor", f"releases start cinema.py {other}")
    assert get(port, "/recommend/1")[0] == 401
    front = composed.flyball("governor", "keys create cinema.py --role serve --name front").strip()
    reader = composed.flyball("governor", "keys create cinema.py --role read --name prometheus").strip()
    (composed.folder / "secrets" / "metrics_key").write_text(reader)
    composed.compose("restart prometheus")

    def version_for(user: int) -> str:
        return get(port, f"/recommend/{user}", front)[1]["x-flyball-version"]

    until(lambda: {version_for(user) for user in range(40)} == {"v1", "v2"})
    until(lambda: all(replica_serves(name, other) for name in OWN[:2]))
    before = [answers_of(name, reader) for name in OWN[:2]]
    answers = [get(port, f"/recommend/{user}", front) for user in range(1, USERS + 1)]
    assert {status for status, _, _ in answers} == {200}
    by_replica = [answers_of(name, reader) - count for name, count in zip(OWN[:2], before, strict=True)]
    assert sum(by_replica) == USERS
    assert abs(by_replica[0] - by_replica[1]) <= 4, by_replica
    versions = [headers["x-flyball-version"] for _, headers, _ in answers]
    by_version = collections.Counter(versions)
    assert abs(min(by_version.values()) - USERS / 2) < 4.5 * (USERS / 4) ** 0.5, by_version
    again = [version_for(user) for user in range(1, 41)]
    assert again == versions[:40]
    prometheus = composed.port("cinema_prometheus_1", 9090)
    until(lambda: scraped(prometheus) == {"serving", "worker", "governor"})
    for name in OWN:
        watch = SystemStopwatch()
        began_s = watch.read_s()
        run(f"podman stop -t {SIGTERM_WITHIN_S} {name}")
        took_s = watch.read_s() - began_s
        code = run(f"podman inspect {name} --format {{{{.State.ExitCode}}}}").strip()
        assert (code, took_s < SIGTERM_WITHIN_S) == ("0", True), f"{name} after {took_s:.1f} s"


INGEST = "ingest cinema.py - --format jsonl --as history"


def replica_serves(name: str, version: str) -> bool:
    """Whether a replica has loaded a version."""
    code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8082/readyz').read().decode())"
    done = subprocess.run(
        ["podman", "exec", name, "python3", "-c", code],
        env=engine_settings(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0 and version in json.loads(done.stdout)["in_service"]


def scraped(port: int) -> set[str]:
    """The services of which Prometheus has at least one target that is up."""
    targets = json.loads(get(port, "/api/v1/targets")[2])["data"]["activeTargets"]
    return {target["discoveredLabels"]["__meta_dns_name"] for target in targets if target["health"] == "up"}
