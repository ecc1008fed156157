"""A release in real processes: every worker follows within a second, and no request fails meanwhile."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.cinema import CINEMA
from tests.live.instance import Instance, fill, until

from flyball.policy import canary
from flyball.registry import add_versions
from flyball.releases import Change, change_release, current, find_release, start_release

pytestmark = pytest.mark.live

APP = (
    CINEMA
    + """
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, within="1d"), k=8),
    candidates={"popular": fb.Popular(), "item_knn": fb.ItemKNN()},
    gates=fb.gates(min_examples=10, max_answer="10s", max_loss=1.0, at_least={"full_lists@8": 0.0}),
)
"""
)
WITHIN_S = 1.0


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    (tmp_path / "cinema.py").write_text(APP)
    fill(tmp_path)
    one = Instance(tmp_path)
    try:
        until(lambda: len(one.children()) == 4 and one.level() == "champion")
        yield one
    finally:
        one.end()


class Clients:
    """Threads that ask all the time; when each version last answered, and every status but 200."""

    def __init__(self, instance: Instance) -> None:
        self.instance, self.stop = instance, threading.Event()
        self.last_s: dict[str, float] = {}
        self.bad: list[int] = []
        self.threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(2)]

    def ask(self, first: int) -> None:
        user = first
        while not self.stop.is_set():
            user = (user + 2) % 100
            asked_s = time.monotonic()
            status, _, headers = self.instance.get(f"/recommend/{user + 1}")
            if status != 200:
                self.bad.append(status)
            self.last_s[headers.get("x-flyball-version", "")] = asked_s

    def __enter__(self) -> "Clients":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def took_s(self, gone: str, change: Callable[[], Change]) -> float:
        """How long after the change was asked for a request was still answered by `gone`."""
        until(lambda: time.monotonic() - self.last_s.get(gone, 0.0) < 1.0)
        change()
        changed_s = time.monotonic()
        until(lambda: time.monotonic() - max(self.last_s[gone], changed_s) > 2 * WITHIN_S)
        return self.last_s[gone] - changed_s


def test_abort_and_rollback_reach_every_worker_within_a_second_without_a_failed_request(instance: Instance) -> None:
    runtime = instance.runtime()
    registry, first = runtime.registry, current(runtime.registry).champion
    assert first is not None
    twin = msgspec.structs.replace(registry.version(first), id="", state="candidate")
    second = add_versions(registry, [twin])[0].id
    with Clients(instance) as clients:
        started = start_release(registry, canary(50, 100), [second], runtime.actor("test", "so"))
        name = started.state.under_way[0].id
        aborted_s = clients.took_s(
            second, lambda: change_release(registry, name, "abort", runtime.actor("test", "bad"))
        )
        again = start_release(registry, canary(50, 100), [second], runtime.actor("test", "so")).state.under_way[0].id
        until(lambda: time.monotonic() - clients.last_s[second] < 1.0)
        change_release(registry, again, "promote", runtime.actor("test", "good"))
        rolled_back_s = clients.took_s(
            second, lambda: change_release(registry, again, "rollback", runtime.actor("test", "bad"))
        )
    assert clients.bad == []
    assert find_release(registry, current(registry), again).state == "rolled_back"
    assert (aborted_s < WITHIN_S, rolled_back_s < WITHIN_S) == (True, True), (aborted_s, rolled_back_s)


def test_an_answer_says_what_it_took_part_in_and_a_tester_gets_the_arm(instance: Instance) -> None:
    runtime = instance.runtime()
    first = current(runtime.registry).champion
    assert first is not None
    twin = msgspec.structs.replace(runtime.registry.version(first), id="", state="candidate")
    second = add_versions(runtime.registry, [twin])[0].id
    name = start_release(runtime.registry, canary(1, 100), [second], runtime.actor("test", "so")).state.under_way[0].id
    until(lambda: instance.get("/readyz")[1].count(second) > 0)

    def answered(arm: str) -> dict[str, object]:
        connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=30)
        connection.request("GET", "/v1/recommend?user=1", headers={"x-flyball-arm": arm} if arm else {})
        document: dict[str, object] = msgspec.json.decode(connection.getresponse().read())
        connection.close()
        if "prediction" not in document:  # this process does not know the release yet
            return {"version": ""}
        stamped: dict[str, object] = msgspec.json.decode(instance.get(f"/v1/predictions/{document['prediction']}")[1])
        return stamped

    until(lambda: answered(f"{name}:candidate")["version"] == second)
    forced, drawn = answered("candidate"), answered("")
    assert (forced["version"], forced["exposures"], forced["arm"]) == (second, [], "candidate")
    (exposure,) = drawn["exposures"]  # type: ignore[misc]
    assert exposure[0] == name
    assert exposure[1:] in (["control", 0.99], ["candidate", 0.01])
