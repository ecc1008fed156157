"""With versions that fail and stores that are locked or gone, every answer is a 200 with the right level.

Time is moved by hand: a deadline passes when a test says so (that answers are in time is measured in tests/live).
"""

import asyncio
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from flyball import ItemKNN
from flyball.core import parse_url
from flyball.monitoring import declaration_digest, read_serving_reports, served_version
from flyball.outcomes import find_prediction
from flyball.runtime import Runtime
from flyball.testing import faulty
from flyball.testing.faulty import Faulty

pytestmark = pytest.mark.anyio

NOW_US = faulty.START_US + 2 * faulty.DAY_US
DEADLINE_S = 0.3
STUCK_S = 1.0


async def ask(caller: Any, count: int = 8) -> list[tuple[str, str]]:
    """(level, version) of `count` answers asked for at once; each a full list."""
    return message(await asyncio.gather(*(caller.get(f"/recommend/{user}") for user in range(1, count + 1))))


def message(answers: list[httpx.Response]) -> list[tuple[str, str]]:
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert all(len(answer.text.split(",")) == 5 for answer in answers)
    return [(answer.headers["x-flyball-level"], answer.headers["x-flyball-version"]) for answer in answers]


class Held:
    """Requests that wait for a version which holds the scoring thread."""

    def __init__(self, caller: Any, version: str, first: int) -> None:
        self.caller, self.version = caller, version
        self.requests = [self._request(user) for user in range(1, first + 1)]

    def _request(self, user: int) -> "asyncio.Task[httpx.Response]":
        return asyncio.ensure_future(self.caller.get(f"/recommend/{user}"))

    async def until_held(self) -> None:
        turn = self.caller.service.scorer._turn
        await self.caller.until(lambda: turn.progress.version == self.version)

    def more(self, count: int) -> None:
        self.requests += [self._request(user) for user in range(1, count + 1)]

    async def answers(self) -> list[tuple[str, str]]:
        return message(await asyncio.gather(*self.requests))


async def loaded(caller: Any, version: str) -> None:
    await caller.until(lambda: version in caller.service.engine.serving.pipelines)


def failures(caller: Any, kind: str) -> int:
    return int(caller.service.metrics.counters.get(f"failures|{kind}"))


@pytest.mark.parametrize("mode", ["nan", "shape"])
async def test_a_champion_that_answers_nonsense(home: Runtime, call: Any, mode: str) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    faulty.release(home, Faulty(mode=mode), NOW_US)
    async with call(home) as caller:
        await loaded(caller, "v2")
        assert await ask(caller) == [("previous", "v1")] * 8
        assert failures(caller, "score") >= 8


async def test_a_champion_that_does_not_come_back(home: Runtime, call: Any) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    faulty.release(home, Faulty(mode="hold", hold_s=30.0), NOW_US)
    async with call(home) as caller:
        await loaded(caller, "v2")
        held = Held(caller, "v2", 8)
        await held.until_held()
        assert not any(request.done() for request in held.requests)
        caller.stopwatch.advance_s(DEADLINE_S)
        assert await held.answers() == [("precomputed", "v2")] * 8
        assert failures(caller, "late") == 8
        assert failures(caller, "stuck") == 0
        await caller.until(lambda: sum(home.predictions.ends()) == 8)
        found = find_prediction(home.predictions, held.requests[0].result().headers["x-flyball-prediction"])
        assert found.took_us == pytest.approx(DEADLINE_S * 1e6)
        caller.stopwatch.advance_s(STUCK_S)
        await caller.until(lambda: "v2" in caller.service.engine.serving.refused)
        assert failures(caller, "stuck") == 1
        assert "held the scoring thread" in (await caller.get("/readyz")).json()["reasons"][0]
        assert await ask(caller) == [("previous", "v1")] * 8


async def test_a_version_that_raises_on_every_batch_is_never_taken_into_service(home: Runtime, call: Any) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    faulty.release(home, Faulty(mode="raise"), NOW_US)
    async with call(home) as caller:
        await caller.until(lambda: "v2" in caller.service.engine.serving.refused)
        assert await ask(caller) == [("previous", "v1")] * 8


async def test_one_user_whose_history_breaks_the_champion(home: Runtime, call: Any) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    faulty.release(home, Faulty(mode="ok"), NOW_US)
    async with call(home) as caller:
        await loaded(caller, "v2")
        pipeline = caller.service.engine.serving.pipelines["v2"]
        pipeline.model = Faulty(mode="poison")
        assert set(await ask(caller, 20)) == {("champion", "v2"), ("previous", "v1")}


async def test_a_tripped_version_comes_back_with_the_next_release_of_it(home: Runtime, call: Any) -> None:
    faulty.release(home, Faulty(), NOW_US)
    async with call(home) as caller:
        await loaded(caller, "v1")
        caller.service.refresher.trip("v1", "for a test")
        assert await ask(caller) == [("precomputed", "v1")] * 8
        faulty.release(home, Faulty(sign=-1), NOW_US)
        await loaded(caller, "v2")
        assert await ask(caller) == [("champion", "v2")] * 8
        assert caller.service.engine.serving.refused == {}


class Locked:
    """Holds the write lock of a SQLite file."""

    def __init__(self, url: str) -> None:
        self.connection = sqlite3.connect(parse_url(url).path, timeout=5, isolation_level=None)

    def __enter__(self) -> None:
        self.connection.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *error: object) -> None:
        self.connection.rollback()
        self.connection.close()


async def test_locked_logs_and_registry_delay_no_answer_and_lose_no_record(home: Runtime, call: Any) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    async with call(home) as caller:
        await loaded(caller, "v1")
        urls = (home.settings.events, home.settings.predictions, home.settings.registry)
        locks = [Locked(url) for url in urls]
        for lock in locks:
            lock.__enter__()
        try:
            for _ in range(5):
                assert await ask(caller) == [("champion", "v1")] * 8
        finally:
            for lock in locks:
                lock.__exit__()
        await caller.until(lambda: sum(home.predictions.ends()) == 40)
        assert caller.service.metrics.counters.get("predictions|dropped") == 0


async def test_a_state_that_is_gone_before_the_start(home: Runtime, call: Any) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    home.state.close()
    place = Path(parse_url(home.settings.state).path)
    shutil.rmtree(place)
    place.write_text("not a store")
    fresh = faulty.open_home(home.home, home.clock)
    async with call(fresh) as caller:
        await caller.until(lambda: caller.service.engine.serving.fallback.ready)
        assert await ask(caller) == [("precomputed", "v1")] * 8
        assert failures(caller, "state") > 0
        assert (await caller.get("/readyz")).status_code == 200


async def test_artifacts_deleted_while_they_serve_and_before_a_start(home: Runtime, call: Any) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    async with call(home) as caller:
        await loaded(caller, "v1")
        shutil.rmtree(home.artifacts)
        assert await ask(caller) == [("champion", "v1")] * 8
    async with call(home) as caller:
        await caller.until(lambda: "v1" in caller.service.engine.serving.refused)
        await caller.until(lambda: "stores are being opened" not in caller.service.refresher.unready())
        assert await ask(caller) == [("popular", "none")] * 8
        assert "no such file" in (await caller.get("/readyz")).json()["reasons"][0]


async def test_events_that_cannot_be_made_durable_are_a_503(home: Runtime, call: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("flyball.serving.event_intake.WITHIN_S", 0.5)
    async with call(home) as caller:
        with Locked(home.settings.events):
            event = {"type": "watch", "user": 7, "film": "film-3"}
            answer = await caller.client.post("/v1/events", json=event)
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"] == "1"
        assert failures(caller, "events") == 1


async def test_more_requests_than_can_be_scored_are_answered_from_memory(
    home: Runtime, call: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("flyball.serving.batching.QUEUE", 4)
    faulty.release(home, Faulty(mode="hold", hold_s=30.0), NOW_US)
    async with call(home) as caller:
        await loaded(caller, "v1")
        held = Held(caller, "v1", 1)
        await held.until_held()
        held.more(20)
        await caller.until(
            lambda: sum(request.done() for request in held.requests) == 16
        )  # all but 1 and its queue of 4
        assert failures(caller, "overload") == 16
        assert failures(caller, "late") == 0
        caller.stopwatch.advance_s(DEADLINE_S)
        assert await held.answers() == [("precomputed", "v1")] * 21
        assert failures(caller, "late") == 5


async def test_when_versions_hold_thread_after_thread_the_process_asks_to_be_replaced(
    home: Runtime, call: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("flyball.serving.batching.MAX_STUCK", 1)
    async with call(home) as caller:
        for _ in range(2):
            assert not caller.service.scorer.spent
            version = faulty.release(home, Faulty(mode="hold", hold_s=30.0), NOW_US).id
            await loaded(caller, version)
            held = Held(caller, version, 1)
            await held.until_held()
            caller.stopwatch.advance_s(DEADLINE_S + STUCK_S)
            await caller.until(lambda version=version: version in caller.service.engine.serving.refused)
            assert {level for level, _ in await held.answers()} <= {"precomputed", "popular"}
        assert caller.service.scorer.spent
        faulty.LET_GO.set()
        await caller.until(lambda: not caller.service.scorer.spent)


async def test_a_process_reports_what_it_serves_by_digest_and_a_full_disk_keeps_nothing_from_serving(
    home: Runtime, call: Any
) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    async with call(home) as caller:
        await loaded(caller, "v1")
        (report,) = read_serving_reports(home.layout.run)
        assert report.versions == {"v1": served_version(home.registry.version("v1"), home.app)}
        assert (report.process, report.pid, report.declared) == ("test", os.getpid(), declaration_digest(home.app))
        shutil.rmtree(home.layout.run / "serving")
        (home.layout.run / "serving").write_text("in the way")
        faulty.release(home, ItemKNN(k=7), NOW_US)
        await loaded(caller, "v2")
        assert await ask(caller) == [("champion", "v2")] * 8
