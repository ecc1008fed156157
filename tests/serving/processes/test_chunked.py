"""A body in chunks costs little: few bytes of it are parsed in a turn, and none behind the answer to its head."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.serving.connection_floor import Floor
from tests.serving.over_tcp import GET, exchange, listening, read_reply

from flyball.runtime import Runtime
from flyball.serving.http.decoding import MAX_BODY
from flyball.serving.processes.chunked import LINGER_S, MAX_DROPPED, MAX_FRAMING, Chunked
from flyball.serving.processes.pipelined import CHUNK_PART
from flyball.serving.processes.server import MAX_HEAD

pytestmark = pytest.mark.anyio

HEAD = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
BYTE = b"1\r\n \r\n"


@pytest.fixture
async def port(home: Runtime, call: Callable[..., Any]) -> AsyncIterator[int]:
    async with call(home) as caller, listening(caller.service) as port:
        yield port


def in_chunks(body: bytes, size: int) -> bytes:
    """The body in chunks of so many bytes."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_few_chunks_are_parsed_in_a_turn_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    take = Chunked.on_body

    def taken(connection: Chunked, body: bytes) -> None:
        called.append(len(body))
        take(connection, body)

    monkeypatch.setattr(Chunked, "on_body", taken)
    floor = Floor()
    floor.connection.data_received(HEAD % b"/v1/events" + BYTE * 40_000)
    assert len(called) == 0, "the application may answer before the first"
    for _ in range(3):
        before = len(called)
        floor.loop.turn()
        assert 0 < len(called) - before <= CHUNK_PART / len(BYTE) + 1
        assert floor.transport.paused
        floor.connection.flow.resume_reading()
        assert floor.transport.paused, "no more is read where an application waits for more of the body"
    for _ in range(40):
        floor.loop.turn()
    assert len(called) <= MAX_FRAMING / 4 + CHUNK_PART / len(BYTE) + 1
    assert b" 400 " in floor.transport.written[0]


def test_what_comes_behind_the_answer_is_not_parsed_but_dropped() -> None:
    floor = Floor()
    floor.connection.data_received(HEAD % b"/v1/events" + BYTE * 40_000)
    fed: list[bytes] = []
    floor.connection.feed = fed.append  # type: ignore[method-assign]
    floor.answer_refusing()
    assert (floor.transport.ended, floor.transport.paused, floor.transport.closed) == (True, False, False)
    for _ in range(MAX_DROPPED // 65_536):
        floor.loop.turn()
        floor.connection.data_received(BYTE[:4] * 16_384)
    assert not floor.transport.closed
    floor.connection.data_received(b"1")
    assert (fed, floor.transport.closed) == ([], True)


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True}), "asyncio"], ids=["uvloop", "asyncio"])
async def test_a_client_that_still_sends_reads_why_it_is_refused(port: int) -> None:
    for path, status in ((b"/nowhere", 404), (b"/healthz", 405), (b"/v1/recommend", 400)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % path + BYTE * 100_000)
        async with asyncio.timeout(30):
            reply = await read_reply(reader)
            assert reply is not None
            assert (reply[0], b"connection: close" in reply[1]) == (status, True)
            assert await reader.read() == b""
        writer.close()


def test_a_refusal_of_any_request_that_still_comes_in_is_lingered_for() -> None:
    length = b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900000\r\n\r\n"
    for begin, refuse in (
        (length, lambda floor: floor.connection._give_up("too slow")),
        (b"POST /v1/events HTTP/1.1\r\nhost: local", lambda floor: floor.connection._give_up("too slow")),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD, lambda floor: None),
        (b"GET / FTP/7\r\n\r\n", lambda floor: None),
    ):
        floor = Floor()
        floor.connection.data_received(begin)
        for _ in range(40):
            floor.loop.turn()
        refuse(floor)
        assert (floor.transport.ended, floor.transport.paused, floor.transport.closed) == (True, False, False), begin
        assert len(floor.transport.written) == 1
        assert floor.loop.later[-1] == LINGER_S
        for _ in range(MAX_DROPPED // 65_536):
            floor.connection.data_received(b"x" * 65_536)
        assert not floor.transport.closed
        floor.connection.data_received(b"x")
        assert floor.transport.closed


def test_a_connection_on_which_nothing_came_is_closed_at_once() -> None:
    floor = Floor()
    floor.connection._give_up("too slow")
    assert (floor.transport.ended, floor.transport.closed) == (False, True)


LARGE = b" " * (MAX_BODY + 100_000)


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True}), "asyncio"], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n", 413),
        (b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n", 413),
        (b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/html\r\n", 415),
        (b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n", 415),
        (b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-encoding: gzip\r\n", 415),
    ],
)
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "length"])
async def test_a_client_that_writes_first_reads_why_its_body_is_not_taken(
    port: int, head: bytes, status: int, is_chunked: bool
) -> None:
    body = LARGE[:200_000] if (status, head[:15]) == (415, b"POST /v1/events") else LARGE
    kind = b"transfer-encoding: chunked" if is_chunked else b"content-length: %d" % len(body)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + kind + b"\r\n\r\n")
    async with asyncio.timeout(30):
        for start in range(0, len(body), 100_000):
            part = body[start : start + 100_000]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part) if is_chunked else part)
            await writer.drain()
        writer.write(b"0\r\n\r\n" if is_chunked else b"")
        reply = await read_reply(reader)
    writer.close()
    assert reply is not None
    assert reply[0] == status, reply[1]
    assert b"application/problem+json" in reply[1]


@pytest.mark.parametrize("size", [1, 2, 100, 5_000])
async def test_a_request_in_chunks_is_answered_and_its_connection_kept(port: int, size: int) -> None:
    body = b'{"user": 7' + b" " * (900 if size == 1 else 50_000) + b"}"
    message = HEAD % b"/v1/recommend" + in_chunks(body, size)
    if size == 2:
        message = HEAD % b"/v1/recommend" + in_chunks(body[:1_500] + b"}", size)
    replies = await exchange(port, message, message, GET)
    assert [status for status, _ in replies] == [200, 200, 200]
    assert b"connection: close" not in replies[0][1]


async def test_a_refusal_of_a_whole_request_in_chunks_keeps_the_connection(port: int) -> None:
    replies = await exchange(port, HEAD % b"/v1/recommend" + in_chunks(b"{", 5), GET)
    assert [status for status, _ in replies] == [400, 200]
