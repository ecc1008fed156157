"""Sends raw requests to a service and says what became of each."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable

FATES = ("2xx", "3xx", "4xx", "5xx", "closed", "waits")
"""By the status of the reply; `closed`: without a reply; `waits`: for more of the request."""

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5])\d\d ")
LAST = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
"""Sent after a request, so that the connection ends where the request was whole."""


async def fate_of(port: int, message: bytes, patience_s: float = 0.05) -> str:
    """What becomes of a request that is sent over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received, ended = b"", False
    try:
        writer.write(message + LAST)
        while not ended:
            piece = await asyncio.wait_for(reader.read(1 << 16), 30.0 if received else patience_s)
            received, ended = received + piece, not piece
            if _is_final(received):
                break
    except TimeoutError:
        pass
    except (ConnectionResetError, BrokenPipeError):
        ended = True
    finally:
        writer.close()
    status = next((match for match in _STATUS.finditer(received) if match[1] != b"1"), None)
    if status is not None:
        return f"{status[1].decode()}xx"
    return "closed" if ended else "waits"


async def fates_of(port: int, messages: Iterable[bytes], at_once: int = 20) -> tuple[Counter[str], dict[str, bytes]]:
    """({fate: how many}, {fate: the first message with it})"""
    counts: Counter[str] = Counter()
    first: dict[str, bytes] = {}
    source = iter(messages)

    async def work() -> None:
        for message in source:
            fate = await fate_of(port, message)
            counts[fate] += 1
            first.setdefault(fate, message)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return counts, first


def _is_final(received: bytes) -> bool:
    """Whether the first reply that is not provisional has begun."""
    return any(match[1] != b"1" for match in _STATUS.finditer(received))
