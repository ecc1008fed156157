"""The load triples, replicas follow a metric, and leave when it is over."""

import math
import time
from contextlib import ExitStack

from machines.basics import get, say, until
from machines.cluster import Cluster, Replica, balanced, started, up
from machines.load import Load, summary


def answered(replicas: list[Replica]) -> dict[str, float]:
    """{replica: answers since it started}, from `/metrics`."""
    counts = {}
    for replica in replicas:
        text = get(replica.port, "/metrics")[1].decode()
        counts[replica.name] = sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("flyball_answers_total{")
        )
    return counts


def scale(cluster: Cluster, stack: ExitStack) -> bool:
    """Replicas follow `rate(flyball_answers_total)` by the formula of Kubernetes: ceil(replicas * rate / target)."""
    target, tolerance, most = 15.0, 0.1, 3
    replicas = started(cluster, stack, "serving,worker,governor", "serving", "serving")
    port = balanced(cluster, stack, replicas)
    up(replicas[:1], port)
    running, history = replicas[:1], []

    def adjust() -> None:
        nonlocal running
        before, began_s = answered(running), time.monotonic()
        time.sleep(4)
        after = answered(running)
        seconds = time.monotonic() - began_s
        rate = sum(after[name] - before[name] for name in after) / seconds / len(running)
        wanted = len(running)
        if abs(rate / target - 1) > tolerance:
            wanted = max(1, min(most, math.ceil(len(running) * rate / target)))
        history.append(wanted)
        say(f"{len(running)} replicas, {rate:.1f} answers/s each, target {target:g}: {wanted} wanted")
        for replica in replicas[len(running) : wanted]:
            replica.start()
            until(replica.ready, f"{replica.name} ready")
        for replica in running[wanted:]:
            replica.stop()
        running = replicas[:wanted]

    failed = 0
    for asked_s in (12.0, 36.0, 12.0):
        say(f"load: {asked_s:g} requests/s")
        with Load(port, asked_s=asked_s, events_s=2) as load:
            for _ in range(2):
                adjust()
            time.sleep(3)
        failed += summary(load.tally)[1]
    say(f"replicas wanted: {history}")
    return failed == 0 and max(history) == most and history[-1] == 1
