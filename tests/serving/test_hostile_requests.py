"""Requests that are made to harm: traversal, smuggling, half-sent, deep, huge; and mutations, each with a verdict."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.serving.over_tcp import exchange, listening, post, read_reply

from flyball.core import SystemStopwatch
from flyball.runtime import Runtime
from flyball.testing.hostile_client import FATES, fate_of, fates_of
from flyball.testing.mutated import mutated, mutated_lines

pytestmark = pytest.mark.anyio

PLAIN = b"GET /recommend/7 HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = post("/v1/recommend", b'{"user": 7}')
EVENT = b'{"type": "watch", "user": 7, "film": "film-1"}'
SECOND = "GET /recommend/8 HTTP/1.1\r\nhost: localhost\r\n\r\n"
HEAD = b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
QUICK_S = 60.0
"""Generous: the machine of a test may be busy."""


class Target:
    def __init__(self, caller: Any, port: int) -> None:
        self.caller, self.port = caller, port


@pytest.fixture
async def target(home: Runtime, call: Callable[..., Any]) -> AsyncIterator[Target]:
    async with call(home) as caller, listening(caller.service) as port:
        yield Target(caller, port)
        assert [status for status, _ in await exchange(port, PLAIN)] == [200]
        assert caller.service.metrics.counters.get("failures|fault") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/recommend/../../etc/passwd",
        "/recommend/..%2f..%2fetc%2fpasswd",
        "/v1/predictions/..%2f..%2fregistry.db",
        "/docs/../../settings.toml",
        "//etc/passwd",
        "/recommend/%00",
        "http://elsewhere/recommend/7/../../x",
    ],
)
async def test_no_path_leads_to_a_file(target: Target, path: str) -> None:
    ((status, reply),) = await exchange(target.port, f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    assert status in (400, 403, 404)
    assert b"root:" not in reply


@pytest.mark.parametrize(
    "message",
    [
        HEAD + b"content-length: 11\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"content-length: 11\r\ncontent-length: 12\r\n\r\n" + b'{"user": 7} ',
        HEAD + b"content-length: 11, 11\r\n\r\n" + b'{"user": 7}',
        HEAD + b"content-length: +11\r\n\r\n" + b'{"user": 7}',
        HEAD + b"content-length: 0x0b\r\n\r\n" + b'{"user": 7}',
        HEAD + b"transfer-encoding: xchunked\r\n\r\n" + b'{"user": 7}',
        HEAD + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"x: a\r\n folded: b\r\ncontent-length : 11\r\n\r\n" + b'{"user": 7}',
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    ],
)
async def test_a_request_whose_length_is_doubtful_ends_the_connection(target: Target, message: bytes) -> None:
    """What follows would be read as another request by whoever reads another length, such as a proxy."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    writer.write(message + SECOND.encode())
    async with asyncio.timeout(30):
        first = await read_reply(reader)
        assert first is not None
        assert first[0] == 400
        assert await read_reply(reader) is None
    writer.close()


@pytest.mark.parametrize("cut", range(0, len(POST), 7))
async def test_a_half_sent_request_is_answered_by_nobody(target: Target, cut: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    writer.write(POST[:cut])
    writer.write_eof()
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("deep arrays", b"[" * 500_000),
        ("deep objects", b'{"user":' * 100_000),
        ("a huge number", b'{"user": ' + b"9" * 900_000 + b"}"),
        ("a huge exponent", b'{"user": 1e999999999}'),
        ("many keys", b"{" + b",".join(b'"k%d":1' % number for number in range(80_000)) + b"}"),
        ("the same key again", b"{" + b'"user":7,' * 90_000 + b'"user":"x"}'),
        ("a long text", b'{"user": "' + b"a" * 900_000 + b'"}'),
        ("many requests", b"[" + b"{}," * 300_000 + b"{}]"),
    ],
)
async def test_a_body_that_is_deep_long_or_wide_is_refused_soon_and_shortly(
    target: Target, name: str, body: bytes
) -> None:
    began_s = SystemStopwatch().read_s()
    for path in ("/v1/recommend", "/v1/events"):
        ((status, reply),) = await exchange(target.port, post(path, body))
        assert status in (400, 413, 422), name
        assert len(reply) < 10_000, name
    assert SystemStopwatch().read_s() - began_s < QUICK_S


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/events"])
async def test_nothing_is_decompressed(target: Target, path: str) -> None:
    ((status, reply),) = await exchange(target.port, post(path, b"\x1f\x8b" + b"0" * 100, "content-encoding: gzip"))
    assert status == 415
    assert b"without content-encoding, got gzip" in reply


async def test_500_idle_connections_keep_nobody_out(target: Target) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", target.port) for _ in range(500)]
    assert [status for status, _ in await exchange(target.port, PLAIN, POST)] == [200, 200]
    for _, writer in idle:
        writer.close()


async def test_each_mutated_request_has_a_verdict(target: Target) -> None:
    rng = random.Random(13)
    counts, first = await fates_of(target.port, (mutated(rng.choice((PLAIN, POST)), rng) for _ in range(400)))
    assert counts.total() == 400
    assert set(counts) <= set(FATES)
    assert "5xx" not in counts, first["5xx"]


async def test_each_mutated_line_has_a_verdict(target: Target) -> None:
    lines = mutated_lines([EVENT], 1_000, random.Random(13))
    answer = await target.caller.client.post(
        "/v1/events", content=b"\n".join(lines), headers={"content-type": "application/x-ndjson"}
    )
    assert answer.status_code in (200, 207)
    summary = answer.json()
    assert summary["accepted"] + summary["duplicate"] + summary["quarantined"] == len(lines)


async def test_what_is_whole_and_what_is_not(target: Target) -> None:
    fates = [await fate_of(target.port, message, 1.0) for message in (PLAIN, b"\0", POST[:-3], b"GET /x HTTP/1.1\r\n")]
    assert fates[:2] == ["2xx", "4xx"]
    assert fates[2] in ("waits", "4xx")
    assert fates[3] == "4xx"
