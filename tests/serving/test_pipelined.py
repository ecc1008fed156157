"""A client that sends many requests at once gets all answers, in order, and neither others nor memory wait for it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.serving.connection_floor import Floor
from tests.serving.over_tcp import CHUNKED, GET, HEALTH, NOWHERE, exchange, listening, post, read_reply, statuses

from flyball.runtime import Runtime
from flyball.serving.processes.pipelined import CHUNK_PART

pytestmark = pytest.mark.anyio

GOOD, BAD = post("/v1/recommend", b'{"user": 7}'), post("/v1/recommend", b'{"user": "\r\n\r\n"}')
STATUS = {GET: 200, HEALTH: 200, GOOD: 200, BAD: 400, CHUNKED: 200, NOWHERE: 404}


@pytest.fixture
async def port(home: Runtime, call: Callable[..., Any]) -> AsyncIterator[int]:
    async with call(home) as caller, listening(caller.service) as port:
        yield port


@pytest.mark.parametrize("seed", range(3))
async def test_all_requests_of_a_write_are_answered_in_their_order(port: int, seed: int) -> None:
    rng = random.Random(seed)
    sent = rng.choices(list(STATUS), k=150)
    assert await statuses(port, [b"".join(sent)], len(sent)) == [STATUS[message] for message in sent]


@pytest.mark.parametrize("seed", range(3))
async def test_pieces_may_end_anywhere(port: int, seed: int) -> None:
    rng = random.Random(seed)
    sent = rng.choices(list(STATUS), k=40)
    whole, pieces = b"".join(sent), []
    while whole:
        size = rng.choice((1, 3, 40, 400))
        pieces.append(whole[:size])
        whole = whole[size:]
    assert await statuses(port, pieces, len(sent)) == [STATUS[message] for message in sent]


@pytest.mark.parametrize(("length", "status"), [(60_000, 200), (70_000, 431)])
async def test_a_head_of_one_piece_may_not_be_longer_than_others(port: int, length: int, status: int) -> None:
    message = HEALTH.replace(b"\r\n\r\n", b"\r\nx: " + b"a" * length + b"\r\n\r\n")
    assert [status for status, _ in await exchange(port, message)] == [status]


async def test_a_client_has_its_answer_before_all_requests_of_another_are_read(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEALTH * 20_000)
    await asyncio.sleep(0)
    assert [status for status, _ in await exchange(port, GET)] == [200]
    writer.transport.abort()


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True}), "asyncio"], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("message", [GET, GOOD, CHUNKED, NOWHERE])
async def test_a_client_that_sends_no_more_gets_all_its_answers(port: int, message: bytes) -> None:
    for sent, whole in ((message, 1), (message * 40, 40), (message * 3 + GOOD[:-5], 3), (message + HEALTH, 2)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(30):
            replies = await reader.read()
        assert replies.count(b"HTTP/1.1 ") == whole
        writer.close()


async def test_a_connection_is_closed_that_ends_between_requests(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    async with asyncio.timeout(30):
        assert await read_reply(reader) is not None
        writer.write_eof()
        assert await reader.read() == b""
    writer.close()


def test_one_request_is_begun_and_the_others_stay_bytes_that_are_not_read_on() -> None:
    floor = Floor()
    floor.connection.data_received(HEALTH * 5_000)
    floor.loop.turn()
    assert (floor.loop.tasks, len(floor.connection.pipeline)) == (1, 0)
    assert floor.transport.paused
    for begun in range(2, 5):
        floor.answer()
        assert floor.loop.tasks == begun - 1, "other connections have their turn first"
        floor.loop.turn()
        assert (floor.loop.tasks, len(floor.connection.pipeline)) == (begun, 0)


def test_a_client_that_takes_no_answers_is_read_no_more() -> None:
    floor = Floor()
    floor.connection.data_received(HEALTH)
    floor.connection.pause_writing()
    floor.answer()
    floor.connection.data_received(HEALTH * 3)
    floor.loop.turn()
    assert (floor.loop.tasks, floor.transport.paused) == (1, True)
    floor.connection.resume_writing()
    floor.loop.turn()
    assert floor.loop.tasks == 2


def test_behind_a_chunked_body_few_requests_are_begun() -> None:
    floor = Floor()
    floor.connection.data_received(CHUNKED + HEALTH * 5_000)
    assert len(floor.connection.pipeline) <= CHUNK_PART / len(HEALTH)
