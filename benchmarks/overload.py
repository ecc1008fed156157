"""Ten times the capacity: does a client with a key get its answers in time, while others send all they can?

`flyball up` of a small application, with keys, on this machine: two serving processes, the log worker, the governor.
First the capacity is measured: what a key without a limit gets answered, of more than that. Then each key may have a
fifth of it. A well-behaved client asks 20 times a second, before, during and after a flood of ten times the capacity:
a third of it without a key, a third by a key over its limit, a third with wrong keys and with events. Beside the flood
there are connections that stay idle, requests that are half sent, and clients that take no answers. Printed are the
share of the well-behaved client's answers within the deadline, what became of the flood, and the memory of the
processes. Then, on a service without limits, events come in bulk, from a file and over HTTP, beside the same client;
then those of many new users, and many of one user, with the memory of the processes and the size of `/metrics`.

The flood shares the cores with the service. Its processes have the lowest priority (nice 19) so that they take what the
service leaves, and send many requests in a write without waiting, so that they cost little.

    python benchmarks/overload.py [--seconds 60] [--idle 500] [--events 400000] [--users 1000000] [--json]
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from flyball import ItemKNN
from flyball.access import create_key
from flyball.core import SystemClock
from flyball.runtime import Runtime
from flyball.testing import faulty

ASKED_PER_S, DEADLINE_S, TIMES = 20, 0.3, 10
PYTHON = f"import sys; sys.path[:0] = {[str(Path(__file__).parents[1] / 'src')]!r}\n"
FLOOD = (
    PYTHON
    + """
import json, msgspec, os
from flyball.core import SystemStopwatch
from flyball.testing.flood import flood
os.nice(19)
port, messages, per_s, seconds, connections = json.loads(sys.argv[1])
report = flood(port, [m.encode("latin-1") for m in messages], per_s, seconds, connections, SystemStopwatch())
print(msgspec.json.encode(report).decode())
"""
)


def message(key: str, path: str = "recommend", body: bytes = b'{"user": 7}', kind: str = "application/json") -> bytes:
    authorization = f"authorization: Bearer {key}\r\n" if key else ""
    return (
        f"POST /v1/{path} HTTP/1.1\r\nhost: localhost\r\n{authorization}"
        f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def events(number: int, count: int) -> list[bytes]:
    """Lines of events that were not sent before."""
    line = b'{"type": "watch", "user": %d, "film": "film-%d", "at": %d}'
    start_us = faulty.START_US + number * 1_000
    return [line % (1 + (number + n) % 5_000, n % 40, start_us + n * 1_000) for n in range(count)]


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> int:
    """The status of the answer."""
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head[9:12])


async def well_behaved(port: int, key: str, seconds: float, stop: threading.Event | None = None) -> dict[str, Any]:
    """A client that asks at a steady rate, over connections of its own; an answer counts from when it was due.

    `stop`: ends it early."""
    times_ms: list[float] = []
    counts: Counter[str] = Counter()
    free = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]

    async def one(due_s: float) -> None:
        pair = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(10):
                status = await ask(*pair, message(key))
            counts[str(status)] += 1
            times_ms.append((perf_counter() - due_s) * 1_000 if status == 200 else 10_000.0)
            free.append(pair)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionResetError) as error:
            counts[type(error).__name__] += 1
            times_ms.append(10_000.0)

    began_s, tasks = perf_counter(), []
    for number in range(round(seconds * ASKED_PER_S)):
        due_s = began_s + number / ASKED_PER_S
        await asyncio.sleep(max(0.0, due_s - perf_counter()))
        if stop is not None and stop.is_set():
            break
        tasks.append(asyncio.create_task(one(due_s)))
    await asyncio.gather(*tasks)
    for _, writer in free:
        writer.close()
    first, ordered = times_ms[:ASKED_PER_S], sorted(times_ms)
    return {
        "asked": len(ordered),
        "statuses": dict(counts),
        "in_time": round(sum(time_ms <= DEADLINE_S * 1_000 for time_ms in ordered) / len(ordered), 4),
        "p50_ms": round(ordered[len(ordered) // 2], 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 1),
        "slowest_of_first_second_ms": round(max(first), 1),
    }


class Memory(threading.Thread):
    """The resident memory of the processes of a home, once a second: all of it, and what of it is `anonymous`, that is
    no page of a file (of LMDB, SQLite, libraries), which the system can drop and read again."""

    def __init__(self, home: Path, supervisor: int) -> None:
        super().__init__(daemon=True)
        self._home, self._supervisor, self._ended = home, supervisor, threading.Event()
        self.mb: list[dict[str, int]] = []
        self.anonymous_mb: list[dict[str, int]] = []
        self.start()

    def run(self) -> None:
        while not self._ended.wait(1.0):
            children = json.loads((self._home / "run" / "up.json").read_bytes())["children"]
            pids = {"up": self._supervisor, **{child["name"]: child["pid"] for child in children if child["pid"]}}
            sizes = {name: rss for name, pid in pids.items() if (rss := rss_mb(pid))}
            self.mb.append({name: rss for name, (rss, _) in sizes.items()})
            self.anonymous_mb.append({name: anonymous for name, (_, anonymous) in sizes.items()})

    def end(self) -> dict[str, dict[str, list[int]]]:
        """{"all" or "anonymous": {process: [first, greatest, last]}} in MB"""
        self._ended.set()
        self.join()
        return {"all": first_most_last(self.mb), "anonymous": first_most_last(self.anonymous_mb)}


def first_most_last(looks: list[dict[str, int]]) -> dict[str, list[int]]:
    names = looks[-1] if looks else {}
    series = {name: [seen[name] for seen in looks if name in seen] for name in names}
    return {name: [values[0], max(values), values[-1]] for name, values in series.items()}


def rss_mb(pid: int) -> tuple[int, int] | None:
    """(resident, anonymous of it); None for a process that has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return None
    found = dict(re.findall(r"(VmRSS|RssAnon):\s+(\d+) kB", text))
    return (int(found["VmRSS"]) // 1_024, int(found["RssAnon"]) // 1_024) if len(found) == 2 else None


@contextmanager
def served(home: Path, **settings: str) -> Iterator[tuple[int, Memory]]:
    """(port, memory) of `flyball up`."""
    app = home.parent / "overloaded.py"
    app.write_text("from flyball.testing.faulty import app\n")
    app.chmod(0o600)
    options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", value)]
    code = PYTHON + "from flyball.__main__ import main; main()"
    command = [sys.executable, "-c", code, "up", str(app), "--home", str(home), "--port", "0", *options]
    up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert up.stdout is not None
    lines: list[str] = []
    port = 0
    try:
        for line in up.stdout:
            lines.append(line)
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found:
                port = int(found[1])
                break
        if not port:
            sys.exit("".join(lines))
        threading.Thread(target=lambda: lines.extend(up.stdout or ()), daemon=True).start()
        until_ready(port)
        memory = Memory(home, up.pid)
        yield port, memory
        memory.end()
    finally:
        up.terminate()
        up.wait(30)


def until_ready(port: int) -> None:
    async def look() -> None:
        for _ in range(600):
            try:
                pair = await asyncio.open_connection("127.0.0.1", port)
                pair[1].write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                if b'"ready":true' in await pair[0].read():
                    return
            except OSError:
                pass
            await asyncio.sleep(0.1)
        sys.exit("the service was not ready within a minute")

    asyncio.run(look())


def start_flood(
    port: int, messages: list[bytes], per_s: float, seconds: float, connections: int = 20
) -> "subprocess.Popen[bytes]":
    argument = json.dumps([port, [text.decode("latin-1") for text in messages], per_s, seconds, connections])
    return subprocess.Popen([sys.executable, "-c", FLOOD, argument], stdout=subprocess.PIPE)


def flooded(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    out, _ = process.communicate()
    report: dict[str, Any] = json.loads(out)
    return report


async def slow_clients(port: int, idle: int, stop: threading.Event) -> dict[str, int]:
    """Connections that send nothing, half of a request, or take no answers, until `stop`; those that the service closes
    are opened again. Returns how many it closed."""
    closed: Counter[str] = Counter()
    half = message("", body=b"x" * 900)[:-500]
    sent = {"idle": b"", "half": half, "takes_none": b"GET /v1/snippet.js HTTP/1.1\r\nhost: localhost\r\n\r\n" * 20_000}
    counts = {"idle": idle, "half": 100, "takes_none": 20}

    async def hold(kind: str) -> None:
        while not stop.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 12)
            writer.write(sent[kind])
            while not stop.is_set() and not writer.transport.is_closing():
                if kind == "takes_none":
                    await asyncio.sleep(0.5)
                elif await received_end(reader):
                    break
            if not stop.is_set():
                closed[kind] += 1
            writer.transport.abort()

    await asyncio.gather(*(hold(kind) for kind, count in counts.items() for _ in range(count)))
    return {f"{kind} of {count}": closed[kind] for kind, count in counts.items()}


async def received_end(reader: asyncio.StreamReader) -> bool:
    """Whether the service has closed the connection, after half a second at most."""
    try:
        return not await asyncio.wait_for(reader.read(1 << 16), 0.5)
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def held(port: int, idle: int, stop: threading.Event, results: dict[str, int]) -> threading.Thread:
    thread = threading.Thread(target=lambda: results.update(asyncio.run(slow_clients(port, idle, stop))))
    thread.start()
    return thread


def overloaded(home: Path, keys: dict[str, str], seconds: float, idle: int) -> dict[str, Any]:
    """A minute of ten times the capacity, and of slow clients."""
    results: dict[str, Any] = {}
    few = max(3.0, seconds / 6)
    with served(home, limit_answers="none") as (port, _):
        counts = flooded(start_flood(port, [message(keys["bad"])], 20_000, few))
        capacity = counts["answers"].get("200", 0) / few
    results["capacity_per_s"] = round(capacity)
    rate = max(30, round(capacity / 5))
    results["limit"] = f"{rate}/s, burst {rate}"
    wrong = "fb_aaaaaaaa_" + keys["bad"].rpartition("_")[2]
    lines = b"\n".join(events(0, 20))
    attacks = {
        "without_key": [message("")],
        "over_limit": [message(keys["bad"])],
        "wrong_keys_and_events": [message(wrong), message(keys["bad"], "events", lines, "application/x-ndjson")],
    }
    with served(home, limit_answers=results["limit"], limit_events=f"{rate}/s") as (port, memory):
        results["before"] = asyncio.run(well_behaved(port, keys["good"], few))
        stop, slow = threading.Event(), dict[str, int]()
        holding = held(port, idle, stop, slow)
        share = TIMES * capacity / len(attacks)
        floods = {name: start_flood(port, sent, share, seconds) for name, sent in attacks.items()}
        results["during"] = asyncio.run(well_behaved(port, keys["good"], seconds))
        results["flood"] = {name: flooded(process) for name, process in floods.items()}
        results["after"] = asyncio.run(well_behaved(port, keys["good"], few))
        stop.set()
        holding.join()
        results["closed_of_slow_clients"] = slow
        results["rss_mb_first_most_last"] = memory.end()
    offered = sum(report["offered"] for report in results["flood"].values())
    results["times_the_capacity"] = round(offered / seconds / capacity, 1)
    return results


async def posted(port: int, key: str, count: int) -> Counter[str]:
    """{status: requests} of events that are sent 500 in a request, over 4 connections."""
    counts: Counter[str] = Counter()
    numbers = iter(range(0, count, 500))

    async def work() -> None:
        pair = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            body = b"\n".join(events(1_000_000_000 + number, 500))
            counts[str(await ask(*pair, message(key, "events", body, "application/x-ndjson")))] += 1
        pair[1].close()

    await asyncio.gather(*(work() for _ in range(4)))
    return counts


def beside(port: int, key: str, work: "subprocess.Popen[bytes] | threading.Thread") -> dict[str, Any]:
    """The well-behaved client, until the work is done."""
    stop, began_s = threading.Event(), perf_counter()

    def wait() -> None:
        work.join() if isinstance(work, threading.Thread) else work.wait()
        stop.set()

    threading.Thread(target=wait).start()
    answers = asyncio.run(well_behaved(port, key, 600.0, stop))
    return {"seconds": round(perf_counter() - began_s, 1), **answers}


def bulk(home: Path, keys: dict[str, str], count: int) -> dict[str, Any]:
    """Events in bulk beside answers."""
    results: dict[str, Any] = {}
    file = home.parent / "events.jsonl"
    file.write_bytes(b"\n".join(events(0, count)) + b"\n")
    with served(home, limit_answers="none", limit_events="none") as (port, memory):
        results["alone"] = asyncio.run(well_behaved(port, keys["good"], 10.0))
        ingest = subprocess.Popen(ingestion(home, file), stdout=subprocess.PIPE)
        results["beside_a_file"] = beside(port, keys["good"], ingest)
        statuses: Counter[str] = Counter()
        sender = threading.Thread(target=lambda: statuses.update(asyncio.run(posted(port, keys["bad"], count // 4))))
        sender.start()
        results["beside_http"] = beside(port, keys["good"], sender)
        results["beside_http"]["requests_of_500_events"] = dict(statuses)
        results["rss_mb_first_most_last"] = memory.end()
    results["events"] = {"file": count, "http": count // 4}
    return results


async def seen(port: int, key: str, user: int) -> dict[str, Any]:
    """How a user is answered, and the size of `/metrics`."""
    pair = await asyncio.open_connection("127.0.0.1", port)
    times_ms = []
    for _ in range(50):
        began_s = perf_counter()
        status = await ask(*pair, message(key, body=b'{"user": %d}' % user))
        times_ms.append((perf_counter() - began_s) * 1_000)
    pair[1].write(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %b\r\n\r\n" % key.encode())
    head = await pair[0].readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    lines = (await pair[0].readexactly(length)).count(b"\n")
    pair[1].close()
    return {"status": status, "p50_ms": round(sorted(times_ms)[25], 1), "lines_of_metrics": lines}


def grown(home: Path, keys: dict[str, str], users: int) -> dict[str, Any]:
    """Memory after the events of so many new users, and after as many of one user."""
    results: dict[str, Any] = {}
    film = b'{"type": "watch", "user": %d, "film": "film-%d", "at": %d}\n'
    start_us = faulty.START_US + faulty.DAY_US
    kinds = {"new_users": lambda n: 10_000 + n, "one_user": lambda n: 9_999}
    with served(home, limit_answers="none", limit_events="none") as (port, memory):
        results["before"] = asyncio.run(seen(port, keys["reader"], 7))
        for name, user_of in kinds.items():
            file = home.parent / f"{name}.jsonl"
            with file.open("wb") as lines:
                for n in range(users):
                    lines.write(film % (user_of(n), n % 40, start_us + n * 1_000))
            done = ingested(home, file)
            file.unlink()
            user = user_of(users - 1)
            results[name] = {"events": users, "seconds": done, **asyncio.run(seen(port, keys["reader"], user))}
            results[name] |= {"rss_mb": dict(memory.mb[-1]), "anonymous_mb": dict(memory.anonymous_mb[-1])}
        results["rss_mb_first_most_last"] = memory.end()
    return results


def ingested(home: Path, file: Path) -> float:
    """The seconds it took, until the online state has the events."""
    began_s = perf_counter()
    subprocess.run(ingestion(home, file), stdout=subprocess.DEVNULL, check=True)
    return round(perf_counter() - began_s, 1)


def ingestion(home: Path, file: Path) -> list[str]:
    code = PYTHON + "from flyball.__main__ import main; main()"
    app = str(home.parent / "overloaded.py")
    return [sys.executable, "-c", code, "ingest", app, str(file), "--home", str(home), "--json"]


def measure(folder: Path, seconds: float, idle: int, count: int, users: int) -> dict[str, Any]:
    runtime: Runtime = faulty.open_home(folder / "home", SystemClock())
    faulty.fill(runtime)
    now_us = runtime.clock.now_us()
    faulty.release(runtime, ItemKNN(), now_us)
    rng = random.Random(1)
    roles = {"good": ("serve", "write-events"), "bad": ("serve", "write-events"), "reader": ("read", "serve")}
    keys = {
        name: create_key(runtime.registry, allowed, rng, name=name, by="benchmark", now_us=now_us)[1].text
        for name, allowed in roles.items()
    }
    runtime.state.close()
    loads = [os.getloadavg()[0]]
    results: dict[str, Any] = {"overload": {}, "bulk": {}, "memory": {}}
    results["overload"] = overloaded(folder / "home", keys, seconds, idle) if seconds else {}
    results["bulk"] = bulk(folder / "home", keys, count) if count else {}
    results["memory"] = grown(folder / "home", keys, users) if users else {}
    loads.append(os.getloadavg()[0])
    return {"cores": os.cpu_count(), "load_before_and_after": [round(load, 1) for load in loads], **results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the flood; 0: leave that out")
    parser.add_argument("--idle", type=int, default=500)
    parser.add_argument("--events", type=int, default=400_000, help="in bulk; 0: leave that out")
    parser.add_argument("--users", type=int, default=1_000_000, help="new ones, and events of one; 0: leave that out")
    parser.add_argument("--json", action="store_true", help="one object at the end")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), given.seconds, given.idle, given.events, given.users)
    if given.json:
        print(json.dumps(results))
        return
    for name, value in results.items():
        if isinstance(value, dict):
            for part, detail in value.items():
                print(f"{name} {part}: {json.dumps(detail)}")
        else:
            print(f"{name}: {json.dumps(value)}")


if __name__ == "__main__":
    main()
