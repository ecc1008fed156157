"""`up` with real processes: what is killed comes back, what is stopped is gone."""

import http.client
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.cinema import CINEMA
from tests.live.instance import REFUSED, Instance, fill, until
from tests.processes import LONG_S, gone

from flyball.operations import status

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cinema.py").write_text(APP)
    return tmp_path


@pytest.fixture
def instance(folder: Path) -> Iterator[Instance]:
    fill(folder)
    one = Instance(folder)
    try:
        until(lambda: len(one.children()) == 4 and one.get("/readyz")[0] == 200)
        yield one
    finally:
        one.end()


def test_learns_by_itself_and_the_champion_takes_over(instance: Instance) -> None:
    until(lambda: all(instance.level() == "champion" for _ in range(8)))
    status, films, headers = instance.get("/recommend/1")
    assert status == 200
    assert len(films.split(",")) == 8
    assert headers["x-flyball-version"].startswith("v")
    until(lambda: any("learned in" in line for line in instance.lines))
    assert any("governor: learning starts (no champion yet, 1,200 events)" in line for line in instance.lines)


def test_status_shows_processes_lags_and_outcomes(instance: Instance) -> None:
    before = status(instance.runtime())
    assert (before.running, before.port, before.app) == (True, instance.port, "cinema")
    assert {each.name for each in before.processes} == {"serve-1", "serve-2", "worker", "governor"}
    assert sum(before.ends["events"]) == 1_200
    for _ in range(5):
        assert instance.get("/recommend/1")[0] == 200
    until(lambda: sum(each.responses for each in status(instance.runtime()).outcomes.values()) >= 5)
    until(lambda: all(each.behind == 0 and not each.error for each in status(instance.runtime()).consumers))
    found = status(instance.runtime())
    assert {each.name for each in found.consumers} == {
        "state",
        "history",
        "predictions",
        "outcomes",
        "exposures",
        "prediction_history",
    }
    answers = sum(sum(each.levels.values()) for each in found.outcomes.values())
    assert answers == sum(each.responses for each in found.outcomes.values()) >= 5


def test_a_killed_serving_worker_comes_back_while_the_service_answers(instance: Instance) -> None:
    """What breaks is what the worker had taken when it was killed: of each client the one request it waited for."""
    pid, _ = instance.children()["serve-1"]
    stop, statuses, broken = threading.Event(), list[int](), list[int]()

    def ask(user: int) -> None:
        while not stop.is_set():
            try:
                statuses.append(instance.get(f"/recommend/{user}")[0])
            except REFUSED:
                broken.append(user)

    threads = [threading.Thread(target=ask, args=(user,)) for user in range(1, 5)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(statuses) > 50)
        os.kill(pid, signal.SIGKILL)
        until(lambda: instance.children().get("serve-1", (pid, 0))[0] != pid)
        before = len(statuses)
        until(lambda: len(statuses) > before + 50)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}
    assert len(broken) == len(set(broken)), broken
    until(lambda: instance.children().get("serve-1", (0, 0))[1] == 1)
    assert any("serve-1: killed by signal 9; starts again in 0.2 s" in line for line in instance.lines)


MAPPED = "import flyball.models.artifact\n\nflyball.models.artifact.IN_MEMORY = 0\n"


@pytest.mark.parametrize(("first_lines", "restarts"), [("", 0), (MAPPED, 2)], ids=["in memory", "mapped"])
def test_a_champion_whose_files_are_shortened_in_place(
    tmp_path: Path, first_lines: str, restarts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory, nothing ends; mapped, a worker that reads what is gone ends once (SIGBUS), then the load refuses."""
    monkeypatch.setattr("flyball.models.artifact.IN_MEMORY", 32 << 20)  # put back what loading the file here changes
    (tmp_path / "cinema.py").write_text(first_lines + APP)
    fill(tmp_path)
    instance = Instance(tmp_path)
    try:
        until(lambda: all(instance.level() == "champion" for _ in range(8)))
        (version,) = [each for each in instance.runtime().registry.versions() if each.state == "champion"]
        for file in (instance.runtime().artifacts / version.artifact).iterdir():
            file.chmod(0o644)
            os.truncate(file, 0)
        broken = 0
        for user in range(1, 200):
            try:
                assert instance.get(f"/recommend/{user}")[0] == 200
            except REFUSED:
                broken += 1
        until(lambda: len(instance.children()) == 4 and all(instance.level() != "champion" for _ in range(20)))
        assert all(instance.level() != "champion" for _ in range(40))  # no worker takes it up again
        assert broken <= 2 * restarts  # what a worker had been handed when it ended
        assert sum(count for _, count in instance.children().values()) <= restarts
    finally:
        instance.end()


def test_a_killed_log_worker_comes_back_and_goes_on(instance: Instance) -> None:
    pid, _ = instance.children()["worker"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: instance.children().get("worker", (pid, 0))[0] != pid)
    films = instance.get("/recommend/7777")[1].split(",")
    runtime = instance.runtime()
    now_us = runtime.clock.now_us()
    fields = {"user": 7777, "film": films[0], "minute": 1}
    runtime.log.append([runtime.schema.check("watch", fields, now_us, now_us)])
    until(lambda: films[0] not in instance.get("/recommend/7777")[1].split(","))


def test_a_log_that_is_moved_away_takes_no_events_until_it_is_back(instance: Instance, tmp_path: Path) -> None:
    """What is answered 200 lies in the log: nothing is written to a file that has no name any more."""

    def post(minute: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=30)
        try:
            body = msgspec.json.encode({"type": "watch", "user": 7, "film": "f1", "minute": minute})
            connection.request("POST", "/v1/events", body, {"content-type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    aside = tmp_path / "aside"
    aside.mkdir()
    assert post(100) == 200
    for file in instance.home.glob("events.db*"):
        file.rename(aside / file.name)
    assert post(101) == 503
    assert instance.get("/recommend/7")[0] == 200
    for file in instance.home.glob("events.db*"):
        file.unlink()
    for file in aside.iterdir():
        file.rename(instance.home / file.name)
    until(lambda: post(102) == 200)
    assert sum(instance.runtime().log.ends()) == 1_202
    until(lambda: all(each.behind == 0 and not each.error for each in status(instance.runtime()).consumers))


def test_a_second_instance_and_a_taken_port_are_refused(instance: Instance, folder: Path) -> None:
    second = Instance(folder)
    assert second.process.wait(LONG_S) == 1
    second.end()
    assert "HomeBusy" in second.lines[-1]
    assert "flyball up cinema" in second.lines[-1]
    elsewhere = Instance(folder, home="other", port=instance.port)
    assert elsewhere.process.wait(LONG_S) == 1
    elsewhere.end()
    assert f"port {instance.port} on 127.0.0.1 must be free" in elsewhere.lines[-1]
    assert instance.get("/recommend/1")[0] == 200


def test_it_drains_before_it_stops(folder: Path) -> None:
    """Load balancers see that it is not ready while it still answers; it ends within 10 s."""
    fill(folder)
    (folder / "home" / "settings.toml").write_text('drain = "1s"\n')
    instance = Instance(folder)
    try:
        until(lambda: len(instance.children()) == 4 and instance.get("/readyz")[0] == 200)
        began_s = time.monotonic()
        os.kill(instance.process.pid, signal.SIGTERM)
        until(lambda: instance.get("/readyz")[0] == 503)
        assert instance.get("/recommend/1")[0] == 200
        assert instance.process.wait(LONG_S) == 0
        assert time.monotonic() - began_s < 10
    finally:
        instance.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_leaves_nothing_behind(instance: Instance, number: signal.Signals) -> None:
    port, pids = instance.port, [pid for pid, _ in instance.children().values()]
    instance.process.send_signal(number)
    assert instance.process.wait(LONG_S) == 0
    assert all(gone(pid) for pid in pids)
    with pytest.raises(OSError, match="refused"):
        instance.get("/recommend/1")
    again = Instance(instance.folder, port=port)
    try:
        until(lambda: again.get("/recommend/1")[0] == 200)
    finally:
        again.process.terminate()
        again.process.wait(LONG_S)
        again.end()


def test_when_the_supervisor_is_killed_its_children_go_too(instance: Instance) -> None:
    pids = [pid for pid, _ in instance.children().values()]
    instance.process.kill()
    instance.process.wait()
    until(lambda: all(gone(pid) for pid in pids))
