"""What answers cost: one serving process, asked now and then, then by many clients at once."""

import os
import random
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from flyball.capacity.load import Load, closed_loop, open_loop
from flyball.capacity.sample import EventSample
from flyball.core import Refused, Stopwatch, SystemStopwatch
from flyball.operations import ProcessSpec
from flyball.runtime import Runtime
from flyball.tasks import key_field

CONNECTIONS, ROUNDS, MOST_REQUESTS = 32, 3, 2_000
FEW_PER_S = 100.0
_READY_S, _ENDS_S = 60.0, 15.0


class AnswerCost(msgspec.Struct, frozen=True, kw_only=True):
    """See `SizeMeasured`. `answers`: how many there were."""

    answer_s: float
    alone_cpu_s: float
    saturated_per_s: float
    alone_s: tuple[float, ...]
    process_bytes: float
    response_bytes: float
    answers: int


def answer_cost(
    runtime: Runtime, paths: Sequence[str], seconds: float, stopwatch: Stopwatch | None = None
) -> AnswerCost:
    """Measure requests of `paths` that rarely meet for twice `seconds`, then 32 clients at once for `seconds`.

    Raises `Refused` when no version answers.
    """
    with one_server(runtime, "", stopwatch or SystemStopwatch()) as (port, pid):
        return _measured(port, pid, paths, seconds)


def _measured(port: int, pid: int, paths: Sequence[str], seconds: float) -> AnswerCost:
    def path(number: int) -> str:
        return paths[number % len(paths)]

    closed_loop(port, CONNECTIONS, seconds / 4, path)  # what is compiled at the first call is compiled
    before_s = cpu_seconds(pid)
    alone = _good(open_loop(port, FEW_PER_S, 2 * seconds, CONNECTIONS, path, rng=random.Random(1)))
    alone_cpu_s = (cpu_seconds(pid) - before_s) / len(alone.times_s)
    rounds: list[tuple[float, float]] = []
    answers = len(alone.times_s)
    for _ in range(ROUNDS):
        before_s = cpu_seconds(pid)
        load = _good(closed_loop(port, CONNECTIONS, seconds / ROUNDS, path))
        rounds.append(((cpu_seconds(pid) - before_s) / len(load.times_s), load.per_s))
        answers += len(load.times_s)
    return AnswerCost(
        answer_s=statistics.median(cost for cost, _ in rounds),
        alone_cpu_s=alone_cpu_s,
        saturated_per_s=statistics.median(rate for _, rate in rounds),
        alone_s=_thinned(alone.times_s),
        process_bytes=memory_bytes(pid),
        response_bytes=alone.response_bytes,
        answers=answers,
    )


def _good(load: Load) -> Load:
    good = load.statuses.get(200, 0)
    if good < 0.9 * max(1, len(load.times_s)):
        raise Refused(f"requests must be answered, got {load.statuses}, {load.errors} without an answer: measure again")
    return load


def _thinned(times_s: Sequence[float], most: int = 1_000) -> tuple[float, ...]:
    """Evenly spaced quantiles, and the mean and the slowest stay as they are, nearly.

    >>> _thinned([1.0, 2.0, 3.0, 4.0], most=2)
    (2.0, 4.0)
    """
    step = max(1, len(times_s) // most)
    return tuple(times_s[step - 1 :: step])


@contextmanager
def one_server(runtime: Runtime, name: str, stopwatch: Stopwatch) -> Iterator[tuple[int, int]]:
    """A serving process of the home that is ready; yields (port, process number). It ends with the block."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port = listener.getsockname()[1]
        spec = msgspec.json.encode(ProcessSpec(runtime.source, runtime.settings, name or "measured"))
        with open(runtime.home / "serving.log", "ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "flyball.capacity.child", str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
    try:
        assert child.stdin is not None
        child.stdin.write(spec + b"\n")
        child.stdin.flush()
        _wait_until_ready(port, child, runtime.home / "serving.log", stopwatch)
        yield port, child.pid
    finally:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_ENDS_S)
        child.kill()
        child.wait()


def _wait_until_ready(port: int, child: "subprocess.Popen[bytes]", log: Path, stopwatch: Stopwatch) -> None:
    began_s = stopwatch.read_s()
    while stopwatch.read_s() - began_s < _READY_S and child.poll() is None:
        with suppress(OSError):
            load = closed_loop(port, 1, 0.05, lambda number: "/readyz")
            if load.statuses.get(200):
                return
    lines = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
    raise Refused(f"a serving process must be ready within {_READY_S:g} s, got: {lines[-1][:300]}")


def request_paths(runtime: Runtime, sample: EventSample) -> list[str]:
    """Paths of requests: of those in the sample, else of each of its users. Raises `Refused` where there are none."""
    about = runtime.app.task.about
    requests = [event.request for event in sample.events if event.request is not None]
    if not requests:
        key = key_field(about.request)
        requests = [{key: user} for user in dict.fromkeys(event.user for event in sample.events) if user]
    queries = (
        urlencode({name: _plain(value) for name, value in fields.items() if value is not None})
        for fields in requests[:MOST_REQUESTS]
        if not any(isinstance(value, list | dict) for value in fields.values())
    )
    paths = [f"/v1/{about.kind}?{query}" for query in queries]
    if not paths:
        raise Refused(
            "requests must be made of the fields of events to be measured, got only such with lists in them: give "
            "a request a field with a single value"
        )
    return paths


def _plain(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process so far, by all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> float:
    """Memory of a process, shared pages counted by their share."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) * 1_024.0 for line in text.splitlines() if line.startswith("Pss:"))
