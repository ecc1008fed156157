"""Short paths send what the routes send, byte for byte but for ids and times: both are asked over real connections."""

import asyncio
import random
import re
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from flyball import ItemKNN
from flyball.core import ManualStopwatch, SystemClock
from flyball.runtime import Runtime
from flyball.serving import Service, make_app
from flyball.serving.http import short
from flyball.serving.http.short import MAX_BODY, ShortPath, ShortPaths
from flyball.serving.processes.server import _Connection, _connections
from flyball.testing import faulty

pytestmark = pytest.mark.anyio

NOW_US = faulty.START_US + 2 * faulty.DAY_US


class Ports:
    """One service behind two listeners: with short paths, which count what they take, and without."""

    def __init__(self, paths: ShortPaths) -> None:
        self.paths, self.ports, self.states = paths, list[int](), list[ServerState]()
        self.taken = 0

    async def converse(self, number: int, requests: list[bytes]) -> None:
        """Send each request byte by byte over one connection, after the reply to the one before has come whole."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[number])
        async with asyncio.timeout(30):
            for request in requests:
                for place in range(len(request)):
                    writer.write(request[place : place + 1])
                    await writer.drain()
                    await asyncio.sleep(0)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK")
                length = re.search(rb"content-length: (\d+)", head)
                assert length is not None
                await reader.readexactly(int(length[1]))
        writer.close()

    async def exchange(self, number: int, requests: list[bytes]) -> list[bytes]:
        """The replies to requests that are sent whole over one connection, each after the reply to the one before."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[number])
        replies = []
        async with asyncio.timeout(30):
            for request in requests:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                assert length is not None
                replies.append(head + await reader.readexactly(int(length[1])))
        writer.close()
        return replies

    async def ask(self, number: int, pieces: list[bytes]) -> bytes:
        """All that the server sends until it hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[number])
        async with asyncio.timeout(30):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            reply = await reader.read()
        writer.close()
        return reply


@pytest.fixture
async def ports(home: Runtime, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ports]:
    faulty.release(home, ItemKNN(), NOW_US)
    service = Service(home, "test", random.Random(1), clock=SystemClock(), stopwatch=ManualStopwatch())
    config = uvicorn.Config(make_app(service), log_config=None, lifespan="off", ws="none")
    config.load()
    paths = ShortPaths(service)
    found = Ports(paths)
    answer = paths.answer

    def counted(*given: Any) -> None:
        found.taken += 1
        answer(*given)

    monkeypatch.setattr(paths, "answer", counted)
    await service.start()
    loop, servers = asyncio.get_running_loop(), []
    for kind in (_connections(paths), _Connection):
        state = ServerState()
        state.default_headers = [(b"date", b"today"), (b"x-own", b"1")]

        def connect(kind: Any = kind, state: ServerState = state) -> asyncio.Protocol:
            return kind(config, state, {}, _loop=loop)  # type: ignore[no-any-return]

        servers.append(await loop.create_server(connect, "127.0.0.1", 0))
        found.ports.append(servers[-1].sockets[0].getsockname()[1])
        found.states.append(state)
    async with asyncio.timeout(60):
        while service.refresher.unready() or "v1" not in service.engine.serving.pipelines:
            await asyncio.sleep(0.01)
    yield found
    for server in servers:
        server.close()
    await service.stop()


def posted(body: bytes, more: str = "", path: str = "/v1/recommend", kind: str = "application/json") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n{more}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def got(path: str, more: str = "", version: str = "1.1") -> bytes:
    return f"GET {path} HTTP/{version}\r\nhost: localhost\r\n{more}\r\n".encode()


LAST = got("/recommend/7", "connection: close\r\n")
"""Answered by the routes: it ends the connection."""

BODY = b'{"user": 7, "k": 3}'
SHORT = [
    got("/recommend/7"),
    got("/recommend/0010"),
    posted(BODY),
    posted(b' {"user":"9"}\n'),
    posted(BODY, "upgrade: websocket\r\nconnection: upgrade\r\n"),
]
"""What short paths are for, the malformed key among them excepted."""

OTHERS = [
    got("/recommend/7?k=3"),
    got("/recommend/"),
    got("/recommend/%37"),
    got("/recommend/x"),
    got("/recommend/7/more"),
    got("/nothing"),
    b"HEAD /recommend/7 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    got("/recommend/7", "content-length: 2\r\n") + b"ab",
    got("/v1/recommend?user=7"),
    posted(b"{"),
    posted(b"[]"),
    posted(b'[{"user": 7}, {"user": 8}]'),
    posted(b'{"user": 7, "k": "x"}'),
    posted(b'{"user": 7, "what": 1}'),
    posted(b'{"k": 1}'),
    posted(b"\xff"),
    posted(b""),
    posted(b'{"user": 7}\n{"user": 8}\n', kind="application/x-ndjson"),
    posted(BODY, kind="text/csv"),
    posted(BODY, kind="application/json; charset=utf-8"),
    posted(BODY, "expect: 100-continue\r\n"),
    posted(b'{"user": 7, "k": 3' + b" " * MAX_BODY + b"}"),
    posted(BODY, path="/v1/recommend?reasons=1"),
    b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\n" + BODY[:5] + b"\r\n"
    b"%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n",
]


def alike(reply: bytes) -> bytes:
    """Without ids: they are numbered as requests come."""
    return re.sub(rb"[0-9A-Z]{26}", b"ID", reply)


@pytest.mark.parametrize("request_bytes", SHORT + OTHERS, ids=lambda sent: sent[:60].decode("latin-1"))
async def test_both_send_the_same(ports: Ports, request_bytes: bytes) -> None:
    replies = [alike(await ports.ask(number, [request_bytes, LAST])) for number in (0, 1)]
    assert replies[0] == replies[1]
    assert replies[0].startswith(b"HTTP/1.1 ")
    assert ports.taken == (request_bytes in (SHORT[0], *SHORT[2:])), "who answered"


async def test_requests_in_one_piece_or_byte_by_byte_are_answered_in_order(ports: Ports) -> None:
    bodies = [b'{"user": %d, "k": %d}' % (user, k) for user, k in ((7, 1), (3, 2), (9, 3), (7, 4))]
    sent = b"".join(posted(body) + got(f"/recommend/{number + 1}") for number, body in enumerate(bodies)) + LAST
    for pieces in ([sent], [sent[place : place + 1] for place in range(len(sent))], [sent[:300], sent[300:]]):
        replies = [alike(await ports.ask(number, pieces)) for number in (0, 1)]
        assert replies[0] == replies[1]
        assert replies[0].count(b"HTTP/1.1 200 OK") == 9


async def test_requests_of_one_connection_that_wait_for_their_replies_all_take_the_short_path(ports: Ports) -> None:
    """Requests sent ahead of replies may take either path, as their bytes come; these may not."""
    requests = [posted(b'{"user": %d, "k": %d}' % (user, k)) for user, k in ((7, 1), (3, 2), (9, 3))]
    await ports.converse(0, [*requests, got("/recommend/7"), *requests])
    assert ports.taken == 7


async def test_a_head_that_was_parsed_before_is_known_by_its_bytes(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    recall, recalled = ports.paths.recall, list[bool]()

    def noted(message: bytes) -> Any:
        known = recall(message)
        recalled.append(known is not None)
        return known

    monkeypatch.setattr(ports.paths, "recall", noted)
    one, other, wrong, late = b'{"user": 7}', b'{"user": 9}', b'{"user": x}', b'{"user": 7}  '
    requests = [posted(body) for body in (one, other, wrong, one, late, late)]
    requests += [posted(other, "authorization: x\r\n"), posted(other), got("/recommend/7"), posted(one)[:-1] + b"]"]
    replies = [[alike(reply) for reply in await ports.exchange(number, requests)] for number in (0, 1)]
    assert replies[0] == replies[1]
    assert recalled == [False, True, True, True, False, True, False, True, False, True]
    assert ports.taken == 8, "all but the two that are no JSON"


async def test_only_whole_requests_are_recalled_and_few_heads_are_kept(ports: Ports) -> None:
    message, body = posted(BODY), BODY
    for sent in (message + got("/recommend/7"), message[:-3], b"\r\n\r\n" + message, posted(BODY, "x: " + "y" * 3_000)):
        await ports.ask(0, [sent + LAST])
        assert ports.paths.recall(sent) is None
    path = ShortPath(lambda body: None, lambda prediction: (b"", b""))  # type: ignore[arg-type, return-value]
    ports.paths.remember(message, path, body)
    assert (ports.paths.recall(message) or ())[:2] == (path, body)
    assert ports.paths.recall(message[:-1]) is None
    assert ports.paths.recall(message + b"G") is None
    for number in range(short.MAX_KNOWN_HEADS):
        ports.paths.remember(posted(body, f"traceparent: {number}\r\n"), path, body)
    assert ports.paths.recall(message) is None
    assert (ports.paths.recall(posted(body, f"traceparent: {number}\r\n")) or ())[:2] == (path, body)


async def test_a_head_is_known_as_of_when_it_was_decided(ports: Ports) -> None:
    """Keys may be revoked between the decision and the noting, by the thread that reads them."""
    message, body, paths = posted(BODY), BODY, ports.paths
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    for changes, is_known in ((0, True), (1, False)):
        path = paths.find(b"POST", b"/v1/recommend", headers)
        assert path is not None
        paths._authenticator.generation += changes
        paths.remember(message, path, body)
        assert (paths.recall(message) is not None) == is_known


async def test_a_server_that_stops_says_so_and_closes(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, waiting = ports.paths.answer, list[Any]()
    monkeypatch.setattr(ports.paths, "answer", lambda *given: waiting.append(given))
    asked = asyncio.create_task(ports.ask(0, [posted(BODY)]))
    async with asyncio.timeout(30):
        while not waiting:
            await asyncio.sleep(0.01)
    (connection,) = ports.states[0].connections
    connection.shutdown()
    answer(*waiting[0])
    reply = await asked
    assert b"\r\nconnection: close\r\n\r\n{" in reply
    assert ports.states[0].connections == set()


@pytest.mark.parametrize("number", [0, 1])
async def test_the_last_reply_of_a_server_that_stops_says_that_it_closes(ports: Ports, number: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.ports[number])
    async with asyncio.timeout(30):
        for stopping in (False, True):
            while not ports.states[number].connections:
                await asyncio.sleep(0)
            (connection,) = ports.states[number].connections
            type(connection).stopping = stopping
            try:
                writer.write(posted(BODY))
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                assert length is not None
                await reader.readexactly(int(length[1]))
            finally:
                type(connection).stopping = False
            assert (b"connection: close" in head) == stopping
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("is_reset", [True, False])
async def test_a_client_that_leaves_before_its_answer_harms_nobody(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, is_reset: bool
) -> None:
    """A reset ends the connection at once; who only sends no more may still take the answer, after which it ends."""
    answer, waiting = ports.paths.answer, list[Any]()
    monkeypatch.setattr(ports.paths, "answer", lambda *given: waiting.append(given))
    _, writer = await asyncio.open_connection("127.0.0.1", ports.ports[0])
    writer.write(posted(BODY))
    async with asyncio.timeout(30):
        while not waiting:
            await asyncio.sleep(0.01)
        if is_reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        while is_reset and ports.states[0].connections:
            await asyncio.sleep(0.01)
        answer(*waiting[0])
        while ports.states[0].connections:
            await asyncio.sleep(0.01)
        monkeypatch.setattr(ports.paths, "answer", answer)
        assert (await ports.ask(0, [posted(BODY), LAST])).count(b"200 OK") == 2


async def test_a_reply_that_cannot_be_made_ends_its_connection_only(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: ShortPaths, path: ShortPath, *more: Any) -> bytes:
        raise ValueError("no such encoder")

    with monkeypatch.context() as patch:
        patch.setattr(short.ShortPaths, "response", broken)
        assert await ports.ask(0, [posted(BODY)]) == b""
    assert (await ports.ask(0, [posted(BODY), LAST])).count(b"200 OK") == 2
