"""What the lock costs: microseconds a request with a key, beside the same code without looking at who sends it.

Runs with and without take turns; each number is the median of the runs, in CPU time, as other programs share the
cores. `known head`: a request whose head came before, byte for byte, as of a client that keeps its connection. `new
head`: a short path that is parsed. `route`: everything else, to a handler that does nothing. `page`: the same from a
declared web page. `no key`: a request that is refused with 401, problem document included. `over limit`: one on a short
path that is refused with 429. `counted`: to count an answer against its limit, which is part of `new head` and
`route`: by this machine, and by several whose registry is shared. `first use`: one slow hash.
"""

import argparse
import asyncio
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from flyball.access import Authenticator, create_key, slow_hash
from flyball.core import SystemClock, SystemStopwatch
from flyball.limits import LIMITED_KINDS, RateLimiter, Sender, SharedTables, Usage, parse_rate
from flyball.registry import access_keys
from flyball.runtime import Runtime
from flyball.serving import Service
from flyball.serving.http.front import Front
from flyball.serving.http.short import ShortPath, ShortPaths
from flyball.testing import faulty

PAGE = "https://shop.example"
COMMON = [
    (b"host", b"api.shop.example"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"user-agent", b"python-httpx/0.28.1"),
    (b"connection", b"keep-alive"),
]


class Unlocked(ShortPaths):
    """Short paths that look at nothing but the path."""

    def _is_let_in(self, method: bytes, headers: Any, client: Any) -> bool:
        return True

    def recall(self, message: bytes) -> tuple[ShortPath, bytes] | None:
        end = message.find(b"\r\n\r\n") + 4
        known = self._known.get(message[:end])
        return None if known is None or len(message) - end != known.length else (known.path, message[end:])


class OpenFront(Front):
    """A front that lets everybody in."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._routed(scope, receive, send)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """A handler that does nothing."""


async def taken(message: Any) -> None:
    """A reply that nobody reads."""


def scope_of(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": "/v1/events", "headers": headers, "client": ("10.0.0.7", 5000)}


async def per_request(call: Callable[[], Awaitable[None]], count: int) -> float:
    """Microseconds of a call."""
    began_s = time.thread_time()
    for _ in range(count):
        await call()
    return (time.thread_time() - began_s) / count * 1e6


def per_call(call: Callable[[], object], count: int) -> float:
    began_s = time.thread_time()
    for _ in range(count):
        call()
    return (time.thread_time() - began_s) / count * 1e6


def refused_in_us(runtime: Runtime, headers: list[tuple[bytes, bytes]], count: int) -> float:
    """Microseconds of a request with a key that has had its one answer of the hour, from its head to the reply."""
    runtime.settings = msgspec.structs.replace(runtime.settings, limit_answers="1/h, burst 1")
    service = Service(runtime, "limited", random.Random(1))
    service.authenticator.refresh(access_keys(runtime.registry), SystemClock().now_us())
    service.authenticator.verified_now(dict(headers)[b"authorization"][7:])
    short = ShortPaths(service)

    def refuse() -> bytes:
        assert short.find(b"POST", b"/v1/recommend", headers, ("10.0.0.7", 1)) is not None
        problem = short.refusal(*short.sender)
        return b"" if problem is None else short.refused(problem, [], False)

    refuse()
    assert refuse().startswith(b"HTTP/1.1 429 ")
    return per_call(refuse, count)


def counted_us(folder: Path, runs: int, count: int) -> tuple[float, float]:
    """Microseconds to count an answer against the limit of its key: for this machine, and for several."""
    rates = {kind: parse_rate("1000000/s, burst 1000000") for kind in LIMITED_KINDS}
    tables = SharedTables(folder / "limits.table", RateLimiter.table_names())
    limiters = [RateLimiter(rates, tables, SystemStopwatch(), usage) for usage in (None, Usage())]
    sender = Sender("key bench", "10.0.0.7")
    found = [[per_call(lambda one=one: one.wait_s("answers", sender), count) for one in limiters] for _ in range(runs)]  # type: ignore[misc]
    return statistics.median(run[0] for run in found), statistics.median(run[1] for run in found)


async def measure(runtime: Runtime, runs: int, count: int) -> None:
    now_us, rng = SystemClock().now_us(), random.SystemRandom()
    made = {}
    for name, origins in (("server", ()), ("page", (PAGE,))):
        roles = ["serve", "write-events"]
        _, text = create_key(runtime.registry, roles, rng, name=name, by="bench", now_us=now_us, origins=origins)
        made[name] = [*COMMON, (b"authorization", b"Bearer " + text.text.encode())]
    made["page"] += [(b"origin", PAGE.encode()), (b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"cors")]
    service = Service(runtime, "bench", random.Random(1))
    authenticator: Authenticator = service.authenticator
    authenticator.refresh(access_keys(runtime.registry), now_us)
    for headers in made.values():
        await authenticator.verified(dict(headers)[b"authorization"][7:])
    body = b'{"user": 7}'
    posted = [*made["server"], (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    head = b"POST /v1/recommend HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % line for line in posted) + b"\r\n"
    rows: dict[str, tuple[list[float], list[float]]] = {}
    shorts = [Unlocked(service), ShortPaths(service)]
    fronts = [kind(service, nothing, {}) for kind in (OpenFront, Front)]
    for short in shorts:
        path = short.find(b"POST", b"/v1/recommend", posted, ("10.0.0.7", 1))
        assert path is not None
        short._passed = short._passed or authenticator.recognized(dict(posted)[b"authorization"][7:])
        short.remember(head + body, path, body)
        assert short.recall(head + body) is not None
    for _ in range(runs):
        for place, short in enumerate(shorts):
            found = per_call(lambda short=short: short.recall(head + body), count)  # type: ignore[misc]
            rows.setdefault("known head", ([], []))[place].append(found)
            found = per_call(
                lambda short=short: short.find(b"POST", b"/v1/recommend", posted, ("10.0.0.7", 1)),  # type: ignore[misc]
                count,
            )
            rows.setdefault("new head", ([], []))[place].append(found)
        for name, headers in (("route", made["server"]), ("page", made["page"]), ("no key", COMMON)):
            for place, front in enumerate(fronts):
                call = lambda front=front, headers=headers: front(scope_of(headers), nothing, taken)  # noqa: E731
                rows.setdefault(name, ([], []))[place].append(await per_request(call, count))
    print(f"{runs} runs of {count:,} requests each, medians; microseconds a request")
    print(f"{'':12}{'without':>9}{'with':>9}{'the lock':>10}")
    for name, (without, with_it) in rows.items():
        low, high = statistics.median(without), statistics.median(with_it)
        print(f"{name:12}{low:9.2f}{high:9.2f}{high - low:10.2f}")
    over = statistics.median(refused_in_us(runtime, posted, count) for _ in range(runs))
    print(f"over limit  {'':9}{over:9.2f}")
    alone, shared = counted_us(runtime.layout.run, runs, count)
    print(f"counted     {alone:9.2f}{shared:9.2f}{shared - alone:10.2f}  by this machine, and by several together")
    first = statistics.median(per_call(lambda: slow_hash("x", b"salt"), 1) for _ in range(5))
    print(f"first use   {first / 1_000:.0f} ms, in a thread of its own")
    authenticator.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--requests", type=int, default=5_000)
    chosen = parser.parse_args()
    logging.getLogger("flyball.limits").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        runtime = faulty.open_home(Path(folder) / "home", SystemClock())
        asyncio.run(measure(runtime, chosen.runs, chosen.requests))


if __name__ == "__main__":
    main()
