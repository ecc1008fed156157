"""Limits over HTTP, on short paths and on routes: 429 with Retry-After, counted and without work done."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.serving.locked import bearer, lock_home
from tests.serving.over_tcp import exchange, listening, post

from flyball.core import ManualStopwatch
from flyball.runtime import Runtime

pytestmark = pytest.mark.anyio

PLAIN = b"GET /recommend/7 HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = post("/v1/recommend", b'{"user": 7}')


def limited(runtime: Runtime, **rates: str) -> Runtime:
    runtime.settings = msgspec.structs.replace(runtime.settings, **rates)
    return runtime


def counted(caller: Any, kind: str) -> int:
    return int(caller.service.metrics.counters.get(f"limited|{kind}"))


async def later(caller: Any, seconds: float) -> None:
    """Let time pass in which the loop was not busy."""
    await caller.until(lambda: not caller.service.waiting._ticking)
    caller.stopwatch.advance_s(seconds)


@pytest.mark.parametrize("message", [PLAIN, POST, POST.replace(b"\r\nhost:", b"\r\ntraceparent: x\r\nhost:")])
async def test_a_sender_above_its_rate_gets_429_and_others_do_not(
    home: Runtime, call: Callable[..., Any], message: bytes
) -> None:
    async with call(limited(home, limit_answers="1/m, burst 3")) as caller, listening(caller.service) as port:
        replies = await exchange(port, *[message] * 5)
        assert [status for status, _ in replies] == [200, 200, 200, 429, 429]
        assert b"\r\nretry-after: 60\r\n" in replies[3][1]
        document = msgspec.json.decode(replies[3][1].partition(b"\r\n\r\n")[2])
        assert document["title"] == "Too Many Requests"
        assert "1/m, burst 3 (limit_answers), got more: send it again in 60 s" in document["detail"]
        assert counted(caller, "answers") == 2
        await later(caller, 60)
        assert [status for status, _ in await exchange(port, message, message)] == [200, 429]


async def test_events_are_counted_one_by_one_and_apart_from_answers(home: Runtime, call: Callable[..., Any]) -> None:
    rates = {"limit_answers": "1/m, burst 1", "limit_events": "1/m, burst 5"}
    async with call(limited(home, **rates)) as caller:
        lines = ['{"type": "watch", "user": 7, "film": "film-1"}'] * 3
        sent = {"content": "\n".join(lines), "headers": {"content-type": "application/x-ndjson"}}
        answers = [await caller.client.post("/v1/events", **sent) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert answers[1].headers["retry-after"] == "60"
        assert "events of one sender must be at most 1/m, burst 5" in answers[1].json()["detail"]
        sent["content"] = "\n".join(lines * 2)
        await later(caller, 300)
        answer = await caller.client.post("/v1/events", **sent)
        assert answer.status_code == 413
        assert "events in a body must be at most 5" in answer.json()["detail"]
        assert (await caller.get("/recommend/7")).status_code == 200
        assert counted(caller, "events") == 1


async def test_requests_in_a_batch_are_counted_one_by_one(home: Runtime, call: Callable[..., Any]) -> None:
    async with call(limited(home, limit_answers="1/m, burst 5")) as caller:
        body = [{"user": 7}] * 3
        statuses = [(await caller.client.post("/v1/recommend", json=body)).status_code for _ in range(2)]
        assert statuses == [200, 429]
        assert (await caller.client.post("/v1/recommend", json=body * 2)).status_code == 413


async def test_each_key_has_its_own_limit_and_probes_have_none(home: Runtime, call: Callable[..., Any]) -> None:
    keys = lock_home(home, access="keys", limit_answers="1/m, burst 1")
    async with call(home) as caller:
        for role in ("serve", "admin"):
            answers = [await caller.get("/recommend/7", headers=bearer(keys[role])) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 429]
        assert [(await caller.get("/healthz")).status_code for _ in range(5)] == [200] * 5


async def test_a_request_on_a_short_path_that_is_wrong_is_counted_once(home: Runtime, call: Callable[..., Any]) -> None:
    async with call(limited(home, limit_answers="1/m, burst 2")) as caller, listening(caller.service) as port:
        wrong = post("/v1/recommend", b'{"user": "nobody"}')
        assert [status for status, _ in await exchange(port, wrong, wrong, wrong)] == [400, 400, 429]


@pytest.mark.parametrize("message", [PLAIN, POST, POST.replace(b"\r\nhost:", b"\r\ntraceparent: x\r\nhost:")])
async def test_what_has_waited_too_long_is_refused_without_work(
    home: Runtime, call: Callable[..., Any], message: bytes
) -> None:
    async with call(home) as caller, listening(caller.service) as port:
        over = ManualStopwatch()
        waiting = caller.service.waiting
        waiting._stopwatch, waiting._loop = over, None
        waiting._ticking, waiting._ticked_s = True, over.read_s()
        answers = sum(caller.service.metrics.counters.get(f"answers|{level}") for level in ("champion", "popular"))
        over.advance_s(10)
        ((status, reply),) = await exchange(port, message)
        assert status == 503
        assert b"\r\nretry-after: 1\r\n" in reply
        assert counted(caller, "late") == 1
        waiting._tick()  # the loop is not busy any more
        waiting._tick()
        assert [status for status, _ in await exchange(port, message)] == [200]
        assert (
            sum(caller.service.metrics.counters.get(f"answers|{level}") for level in ("champion", "popular")) > answers
        )


async def test_without_limits_nothing_is_written(home: Runtime, call: Callable[..., Any]) -> None:
    async with call(home) as caller:
        assert (await caller.get("/recommend/7")).status_code == 200
        assert not (home.layout.run / "limits.table").exists()


async def test_many_events_wait_while_answers_are_late_and_few_do_not(home: Runtime, call: Callable[..., Any]) -> None:
    line = '{{"type": "watch", "user": {}, "film": "film-1"}}'
    headers = {"content-type": "application/x-ndjson"}
    async with call(home) as caller:
        late, looks = [True] * 5, 0

        def answers_are_late() -> bool:
            nonlocal looks
            looks += 1
            return bool(late) and late.pop()

        caller.service.intake._answers_are_late = answers_are_late
        few = await caller.client.post("/v1/events", content=line.format(1), headers=headers)
        assert (few.status_code, looks) == (200, 0)
        many = await caller.client.post(
            "/v1/events", content="\n".join(map(line.format, range(1, 22))), headers=headers
        )
        assert (many.status_code, looks) == (200, 6)


async def test_an_answer_that_is_not_there_yet_waits(home: Runtime, call: Callable[..., Any]) -> None:
    async with call(home) as caller:
        scorer = caller.service.scorer
        assert scorer.oldest_wait_s() == 0.0
        asked = scorer.answer(caller.service.requests.plain("7"))
        caller.stopwatch.advance_s(0.1)
        assert scorer.oldest_wait_s() == pytest.approx(0.1)
        await asked
        assert scorer.oldest_wait_s() == 0.0
