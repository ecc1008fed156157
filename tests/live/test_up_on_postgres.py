"""`up` with its registry, catalog, quarantine and outcomes on PostgreSQL serves while the server is dead, and follows
what another home decides."""

import http.client
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.cinema import SERVED_CINEMA
from tests.live.instance import Instance, fill, until
from tests.live.postgres import HERE, MISSING, Server, own_server

from flyball.app import load_app
from flyball.core import SystemClock
from flyball.policy import immediate
from flyball.registry import add_versions
from flyball.releases import current, start_release
from flyball.runtime import Runtime, load_settings

pytestmark = [pytest.mark.live, pytest.mark.skipif(not HERE, reason=MISSING)]
STORES = ("registry", "catalog", "quarantine", "outcomes")


@pytest.fixture
def server() -> Iterator[Server]:
    with own_server() as own:
        yield own


def post(instance: Instance, minute: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=30)
    try:
        body = msgspec.json.encode({"type": "watch", "user": 7, "film": "f1", "minute": minute})
        connection.request("POST", "/v1/events", body, {"content-type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def serving(instance: Instance) -> set[str]:
    """The processes, of those that answered some requests, that have loaded a champion."""
    reports = [msgspec.json.decode(instance.get("/readyz")[1]) for _ in range(20)]
    return {report["worker"] for report in reports if report["ready"] and report["champion"]}


def test_it_serves_while_the_server_is_dead_and_follows_another_home(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cinema.py").write_text(SERVED_CINEMA)
    (tmp_path / "home").mkdir()
    url = f"{server.url}?schema=cinema&timeout_ms=2000"
    (tmp_path / "home" / "settings.toml").write_text("".join(f'{store} = "{url}"\n' for store in STORES))
    fill(tmp_path)
    instance = Instance(tmp_path)
    try:
        until(lambda: len(instance.children()) == 4 and serving(instance) == {"serve-1", "serve-2"})
        assert post(instance, 1) == 200
        server.signal(signal.SIGKILL)
        assert post(instance, 2) == 503, "an event that cannot be checked is not accepted"
        until(lambda: "release could not be read: registry postgresql://" in instance.get("/readyz")[1])
        assert serving(instance) == {"serve-1", "serve-2"}
        answers = [instance.get("/recommend/1") for _ in range(50)]
        assert {status for status, _, _ in answers} == {200}
        assert "champion" in {headers["x-flyball-level"] for _, _, headers in answers}
        server.start()
        until(lambda: msgspec.json.decode(instance.get("/readyz")[1])["degraded"] is False)
        until(lambda: post(instance, 2) == 200)

        options = dict.fromkeys(STORES, url) | {"artifacts": f"file://{instance.home}/artifacts"}
        other = Runtime(
            load_app(str(tmp_path / "cinema.py")), load_settings(tmp_path / "other", options=options), SystemClock()
        )
        first = current(other.registry).champion
        assert first is not None
        twin = msgspec.structs.replace(other.registry.version(first), id="", state="candidate")
        second = add_versions(other.registry, [twin])[0].id
        start_release(other.registry, immediate(), [second], other.actor("test", "from another machine"))
        until(lambda: instance.get("/recommend/1")[2]["x-flyball-version"] == second)
        until(lambda: instance.children().keys() >= {"governor", "worker"})
    finally:
        instance.end()
    assert not list((tmp_path / "home").glob("registry.db*")), "nothing lies in a file meanwhile"
    assert not list((tmp_path / "home").glob("outcomes.db*"))
