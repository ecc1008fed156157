"""A head that two servers may read in two ways, or that takes long to read, is refused, and its connection closed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.serving.over_tcp import GET, HEALTH, exchange, listening

from flyball.runtime import Runtime
from flyball.serving.processes.heads import MAX_LINES

pytestmark = pytest.mark.anyio


@pytest.fixture
async def port(home: Runtime, call: Callable[..., Any]) -> AsyncIterator[int]:
    async with call(home) as caller, listening(caller.service) as port:
        yield port


@pytest.mark.parametrize(("more", "status"), [(MAX_LINES - 1, 200), (MAX_LINES, 431), (15_000, 431)])
@pytest.mark.parametrize("line", [b"a:\r\n", b"a: b\r\n"])
async def test_a_head_has_few_lines(port: int, line: bytes, more: int, status: int) -> None:
    message = HEALTH.replace(b"\r\n\r\n", b"\r\n" + line * more + b"\r\n")
    assert [status for status, _ in await exchange(port, message)] == [status]


async def test_a_head_with_too_many_lines_in_pieces_is_refused(port: int) -> None:
    _, writer = connection = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEALTH[:-2])
    for _ in range(MAX_LINES + 1):
        writer.write(b"a: b\r\n")
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        assert (await connection[0].read()).startswith(b"HTTP/1.1 431 ")
    writer.close()


@pytest.mark.parametrize(
    ("version", "codings", "status"),
    [
        ("1.1", ["gzip, chunked"], 400),
        ("1.1", ["gzip", "chunked"], 400),
        ("1.1", ["chunked, chunked"], 400),
        ("1.1", ["Chunked"], 200),
        ("1.0", ["chunked"], 400),
        ("2.0", ["chunked"], 400),
        ("2.0", [], 400),
        ("1.0", [], 200),
    ],
)
async def test_a_coding_or_a_version_that_is_not_read_is_refused(
    port: int, version: str, codings: list[str], status: int
) -> None:
    lines = [f"GET /healthz HTTP/{version}", "host: localhost"]
    lines += [f"transfer-encoding: {coding}" for coding in codings]
    message = "\r\n".join([*lines, "", ""]).encode() + (b"0\r\n\r\n" if codings else b"")
    replies = await exchange(port, message, GET)
    assert replies[0][0] == status
    assert len(replies) == 1, "the connection is closed: nothing else was read of a body in chunks"
