"""Mutated lines and requests: each gets a verdict, none a 5xx, and nothing crashes.

Lines of events are sent to `/v1/events` of a small application, 500 in a request, and requests of several kinds as raw
bytes over connections of their own, to the same process. Printed is what became of each; the counts must add up.
Mutations follow from the seed, so a run can be repeated. Nothing is refused here for having waited: the client takes
the time of the same process.

    python benchmarks/mutated_requests.py [--lines 900000] [--requests 100000] [--seed 13] [--json]
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from uvicorn.server import ServerState

from flyball import ItemKNN
from flyball.core import SystemClock
from flyball.serving import Service, make_app
from flyball.serving.http.short import ShortPaths
from flyball.serving.processes.server import _connections
from flyball.serving.waiting_time import WaitingTime
from flyball.testing import faulty
from flyball.testing.hostile_client import FATES, fates_of
from flyball.testing.mutated import mutated, mutated_lines

AT_ONCE = 500
EVENTS = (
    b'{"type": "watch", "user": 7, "film": "film-1", "at": "2023-11-15T08:00:00Z"}',
    b'{"type": "rate", "user": 8, "film": "film-2", "stars": 4, "at": "2023-11-15T08:00:01Z"}',
    b'{"type": "card", "film": "film-9", "genres": ["a", "b"], "year": 1999}',
    b'{"type": "viewer", "user": 9, "gender": "x"}',
)


def request(method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-flyball-arm: \r\naccept: */*\r\n"
    if body:
        head += f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


REQUESTS = (
    request("GET", "/recommend/7"),
    request("GET", "/v1/recommend?user=7&k=3"),
    request("POST", "/v1/recommend", b'{"user": 7, "k": 3}'),
    request("POST", "/v1/recommend", b'[{"user": 7}, {"user": 8}]'),
    request("POST", "/v1/recommend", b'{"user": 7}\n{"user": 8}\n', "application/x-ndjson"),
    request("POST", "/v1/events", b"\n".join(EVENTS), "application/x-ndjson"),
    request("POST", "/v1/events", EVENTS[0]),
    request("GET", "/v1/predictions/01HF7YAT8C0000000000000000"),
    request("GET", "/v1/releases"),
    request("POST", "/v1/releases", b'{"version": "v1"}'),
    request("GET", "/v1/incidents"),
    request("GET", "/metrics"),
    request("GET", "/openapi.json"),
    request("OPTIONS", "/v1/events"),
)


async def send_lines(port: int, count: int, rng: random.Random) -> Counter[str]:
    """{verdict: lines}, and {"status 5xx": requests} if there are any."""
    verdicts: Counter[str] = Counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    for first in range(0, count, AT_ONCE):
        lines = mutated_lines(EVENTS, min(AT_ONCE, count - first), rng)
        while sum(map(len, lines)) > 900_000:  # a body has 1 MiB at most
            lines[lines.index(max(lines, key=len))] = b"?"
        writer.write(request("POST", "/v1/events", b"\n".join(lines), "application/x-ndjson"))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body, status = await reader.readexactly(length), int(head[9:12])
        if status >= 500:
            verdicts["status 5xx"] += 1
        summary = msgspec.json.decode(body)
        for verdict in ("accepted", "duplicate", "quarantined"):
            verdicts[verdict] += summary.get(verdict, 0)
    writer.close()
    return verdicts


def requests(count: int, rng: random.Random) -> Iterator[bytes]:
    for _ in range(count):
        yield mutated(rng.choice(REQUESTS), rng)


async def measure(folder: Path, lines: int, count: int, seed: int) -> dict[str, Any]:
    runtime = faulty.open_home(folder, SystemClock())
    faulty.fill(runtime)
    faulty.release(runtime, ItemKNN(), runtime.clock.now_us())
    service = Service(runtime, "mutated", random.Random(1))
    service.waiting = WaitingTime(service.stopwatch, 3_600.0)
    connection, state = _connections(ShortPaths(service)), ServerState()
    config = uvicorn.Config(make_app(service), http=connection, ws="none", lifespan="off", log_config=None)
    config.load()
    await service.start()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: connection(config, state, {}), "127.0.0.1", 0, backlog=1_024)
    port = server.sockets[0].getsockname()[1]
    verdicts = await send_lines(port, lines, random.Random(seed))
    fates, first = await fates_of(port, requests(count, random.Random(seed)))
    faults = {
        name.partition("|")[2]: value
        for name in service.metrics.counters.names
        if name.startswith("failures|") and (value := service.metrics.counters.get(name))
    }
    server.close()
    await service.stop()
    runtime.state.close()
    return {
        "seed": seed,
        "lines": {"sent": lines, **verdicts},
        "requests": {"sent": count, **{fate: fates[fate] for fate in FATES}},
        "failures": faults,
        "first_5xx": repr(first.get("5xx", b"")[:400]),
        "add_up": sum(verdicts[name] for name in ("accepted", "duplicate", "quarantined")) == lines
        and fates.total() == count,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=900_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--json", action="store_true", help="one object at the end")
    given = parser.parse_args()
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # as `flyball up` has it
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder) / "home", given.lines, given.requests, given.seed))
    print(json.dumps(results, indent=None if given.json else 1))
    if not results["add_up"] or results["requests"]["5xx"] or results["failures"].get("fault"):
        sys.exit(1)


if __name__ == "__main__":
    main()
