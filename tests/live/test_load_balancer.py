"""Two replicas behind the load balancer of `flyball init deploy`: requests and an A/B test are split evenly, users keep
their version whichever replica answers, and no request fails while a replica ends."""

import collections
import http.client
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.cinema import SERVED_CINEMA
from tests.live.instance import Instance, fill, until
from tests.processes import free_port

from flyball.app import load_app
from flyball.operations import deployment_facts, deployment_files
from flyball.policy import canary
from flyball.registry import add_versions
from flyball.releases import current, start_release
from flyball.settings import load_settings

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not os.environ.get("TEST_BALANCER"), reason="a load balancer comes with make engines"),
]
USERS = 400


def split_home(folder: Path) -> None:
    """A home that serves two versions to half of the users each, and a copy of it."""
    (folder / "cinema.py").write_text(SERVED_CINEMA)
    fill(folder)
    first = Instance(folder)
    try:
        until(lambda: len(first.children()) == 4 and first.level() == "champion", 300)
        runtime = first.runtime()
        champion = current(runtime.registry).champion
        assert champion is not None
        twin = msgspec.structs.replace(runtime.registry.version(champion), id="", state="candidate")
        second = add_versions(runtime.registry, [twin])[0].id
        start_release(runtime.registry, canary(50, 100), [second], runtime.actor("test", "half"))
        until(lambda: second in first.get("/readyz")[1])
    finally:
        first.process.terminate()
        first.process.wait(30)
        first.end()
    shutil.copytree(folder / "home", folder / "copy", ignore=shutil.ignore_patterns("run"))


@contextmanager
def balancer(folder: Path, ports: list[int]) -> Iterator[int]:
    """The written configuration, with these addresses in place of those of containers."""
    port = free_port()
    app = load_app(str(folder / "cinema.py"))
    settings = load_settings(folder / "home")
    text = deployment_files(app, deployment_facts(app, folder / "deploy"), settings)["compose/haproxy.cfg"]
    servers = "\n".join(f"    server replica{number} 127.0.0.1:{number}" for number in ports)
    line = next(line for line in text.splitlines() if "server-template" in line)
    text = text.replace(line, f"{servers}\n    http-response set-header x-replica %s")
    text = text.replace(":8080", f"127.0.0.1:{port}")
    (folder / "haproxy.cfg").write_text(text)
    process = subprocess.Popen(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def ask(port: int, user: int) -> tuple[int, str, str]:
    """(status, version, replica) of a list for a user."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", f"/recommend/{user}")
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("x-flyball-version", ""), answer.getheader("x-replica", "")
    finally:
        connection.close()


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[Instance]]:
    split_home(tmp_path)
    both = [Instance(tmp_path, home) for home in ("home", "copy")]
    try:
        for instance in both:
            until(lambda instance=instance: instance.get("/readyz")[0] == 200 and instance.level() == "champion", 300)  # type: ignore[misc]
        yield both
    finally:
        for instance in both:
            instance.end()


def test_the_balancer_splits_requests_and_an_ab_test_evenly_and_loses_none(
    replicas: list[Instance], tmp_path: Path
) -> None:
    with balancer(tmp_path, [instance.port for instance in replicas]) as port:
        until(lambda: {ask(port, 1)[2] for _ in range(4)} == {f"replica{each.port}" for each in replicas})
        answers = [ask(port, user) for user in range(1, USERS + 1)]
        assert {status for status, _, _ in answers} == {200}
        by_replica = collections.Counter(replica for _, _, replica in answers)
        assert max(by_replica.values()) - min(by_replica.values()) <= 2, by_replica
        by_version = collections.Counter(version for _, version, _ in answers)
        assert len(by_version) == 2
        assert abs(min(by_version.values()) - USERS / 2) < 4.5 * (USERS / 4) ** 0.5, by_version
        for user in range(1, 41):
            again = [ask(port, user) for _ in range(2)]
            assert len({version for _, version, _ in again} | {answers[user - 1][1]}) == 1
            assert len({replica for _, _, replica in again}) == 2
        replicas[0].process.terminate()
        left = [ask(port, user) for user in range(1, 201)]
        assert {status for status, _, _ in left} == {200}
        assert replicas[0].process.wait(30) == 0
        assert {ask(port, user)[2] for user in range(1, 9)} == {f"replica{replicas[1].port}"}
