"""A service behind a real listening socket, with the connections of a serving process."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import uvicorn
from uvicorn.server import ServerState

from flyball.serving import Service, make_app
from flyball.serving.http.short import ShortPaths
from flyball.serving.processes.server import _connections

GET = b"GET /recommend/7 HTTP/1.1\r\nhost: localhost\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
NOWHERE = b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n"
CHUNKED = (
    b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b'transfer-encoding: chunked\r\n\r\n5\r\n{"use\r\n6\r\nr": 7}\r\n0\r\n\r\n'
)

_LENGTH = re.compile(rb"content-length: (\d+)")


@contextlib.asynccontextmanager
async def listening(service: Service) -> AsyncIterator[int]:
    """The port of a started service."""
    connection, state = _connections(ShortPaths(service)), ServerState()
    config = uvicorn.Config(make_app(service), http=connection, ws="none", lifespan="off", log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: connection(config, state, {}), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for open_one in list(state.connections):
            open_one.transport.abort()
        await server.wait_closed()


async def exchange(port: int, *messages: bytes) -> list[tuple[int, bytes]]:
    """(status, head and body) of the replies to messages that are sent one after another over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    replies = []
    async with asyncio.timeout(30):
        for message in messages:
            writer.write(message)
            reply = await read_reply(reader)
            if reply is None:
                break
            replies.append(reply)
    writer.close()
    return replies


async def statuses(port: int, pieces: list[bytes], count: int) -> list[int]:
    """Of the replies to what is sent over one connection, and of nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    async with asyncio.timeout(60):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        for _ in range(count):
            reply = await read_reply(reader)
            assert reply is not None
            found.append(reply[0])
    writer.close()
    return found


async def read_reply(reader: asyncio.StreamReader) -> tuple[int, bytes] | None:
    """The next reply, None where the connection ends."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return None
    length = _LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else b""
    return int(head.split(b" ", 2)[1]), head + body


def post(path: str, body: bytes, *lines: str) -> bytes:
    """A whole request."""
    head = [
        f"POST {path} HTTP/1.1",
        "host: localhost",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
