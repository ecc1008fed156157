"""A wish for another protocol changes nothing: neither what is answered, nor where a request ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.serving.over_tcp import CHUNKED, GET, HEALTH, NOWHERE, exchange, listening, post, read_reply, statuses

from flyball.runtime import Runtime

pytestmark = pytest.mark.anyio

GOOD, BAD = post("/v1/recommend", b'{"user": 7}'), post("/v1/recommend", b'{"user": "\r\n\r\n"}')
STATUS = {GET: 200, GOOD: 200, BAD: 400, CHUNKED: 200, NOWHERE: 404}


@pytest.fixture
async def port(home: Runtime, call: Callable[..., Any]) -> AsyncIterator[int]:
    async with call(home) as caller, listening(caller.service) as port:
        yield port


def asking_for_http2(message: bytes) -> bytes:
    """The same request by a client that would rather speak HTTP/2."""
    wish = b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    return message.replace(b"\r\n", wish, 1)


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_wish_for_another_protocol_is_ignored(port: int, size: int) -> None:
    sent = [GOOD, BAD, CHUNKED, NOWHERE, GET, GOOD]
    whole = b"".join(asking_for_http2(message) for message in sent)
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert await statuses(port, pieces, len(sent)) == [STATUS[message] for message in sent]


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
async def test_a_body_behind_a_wish_for_another_protocol_is_no_request(port: int, protocol: bytes) -> None:
    head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: " + protocol
    hidden = head + b"\r\ncontent-length: %d\r\n\r\n" % len(NOWHERE) + NOWHERE
    for pieces in ([hidden + GET], [hidden[: -len(NOWHERE)], NOWHERE, GET], [bytes([byte]) for byte in hidden + GET]):
        assert await statuses(port, pieces, 2) == [200, 200]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.writelines([*pieces, b"!"])
        answered = [await read_reply(reader) for _ in range(4)]
        writer.close()
        assert [None if reply is None else reply[0] for reply in answered] == [200, 200, 400, None]


async def test_a_tunnel_is_refused_and_nothing_behind_it_is_read(port: int) -> None:
    replies = await exchange(port, b"CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n" + GET, GET)
    assert [status for status, _ in replies] == [400]


@pytest.mark.parametrize(
    "lines",
    [
        b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n",
        b"CONNECTION: UPGRADE\r\nUPGRADE: h2c, websocket\r\n",
        b"Connection: close, upgrade\r\nUpgrade: h2c\r\n",
        b"Connection: upgrade\r\nConnection: close\r\nUpgrade: h2c\r\n",
    ],
)
async def test_what_else_a_connection_is_to_do_is_kept(port: int, lines: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GOOD.replace(b"\r\n", b"\r\n" + lines, 1) + HEALTH)
    async with asyncio.timeout(30):
        answered = [await read_reply(reader) for _ in range(1 if b"close" in lines else 2)]
        assert [None if reply is None else reply[0] for reply in answered] == [200] * len(answered)
        if b"close" in lines:
            assert await reader.read() == b""
    writer.close()


async def test_a_wish_takes_no_header_with_it(port: int) -> None:
    """The head is parsed a second time: what decides, such as a second host, must be seen then, too."""
    twice = asking_for_http2(HEALTH.replace(b"host: localhost\r\n", b"host: localhost\r\nhost: elsewhere\r\n"))
    without = asking_for_http2(HEALTH.replace(b"host: localhost\r\n", b""))
    assert [status for status, _ in await exchange(port, twice, without)] == [400, 400]
