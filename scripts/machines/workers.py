"""Three log workers share the partitions of the log under load: one loses its power, one is paused for longer than its
leases and wakes up."""

import os
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from machines.audit import audit, places_of
from machines.basics import say, until
from machines.cluster import PARTITIONS, Cluster, Replica, balanced, started, up
from machines.load import Load, summary


def workers(cluster: Cluster, stack: ExitStack) -> bool:
    serving, *machines = started(cluster, stack, "serving,governor", "worker", "worker", "worker")
    port = balanced(cluster, stack, [serving])
    up([serving], port)
    for machine in machines:
        machine.start()
        until(machine.ready, f"{machine.name} ready")
    shared(cluster, machines)
    first, second, third = machines
    with Load(port, asked_s=10, events_s=20) as load:
        time.sleep(6)
        second.lose_power()
        say(f"{second.name} has lost its power")
        shared(cluster, [first, third])
        time.sleep(4)
        (paused,) = third.pids("worker")
        os.kill(paused, signal.SIGSTOP)
        say(f"the worker of {third.name} is paused")
        shared(cluster, [first])
        time.sleep(8)
        os.kill(paused, signal.SIGCONT)
        say(f"the worker of {third.name} goes on, {len(load.tally.sent):,} events are acknowledged by now")
        shared(cluster, [first, third])
        second.start()
        until(second.ready, f"{second.name} ready")
        shared(cluster, machines)
        time.sleep(4)
    summary(load.tally)  # requests are not of the verdict: one machine answers them, which may have too many
    runtime = cluster.runtime("desk")
    until(lambda: runtime.state.offsets() == runtime.log.ends() == runtime.history.offsets(), "all events applied")
    rows, logged = rows_of(runtime), places_of(runtime.log)
    say(f"history: {len(rows):,} rows of {len(set(rows)):,} records, equal to the log's {set(rows) == logged}")
    return audit(cluster, load.tally) == 0 and len(rows) == len(logged) and set(rows) == logged


def shared(cluster: Cluster, machines: list[Replica]) -> None:
    """Wait until these hold all partitions, each about as many."""
    least, more = divmod(PARTITIONS, len(machines))
    wanted = [least + 1] * more + [least] * (len(machines) - more)
    names = {machine.name for machine in machines}
    shares = until(
        lambda: (held := shares_of(cluster)) and set(held) == names and sorted(held.values())[::-1] == wanted and held,
        f"{', '.join(sorted(names))} share the partitions",
    )
    say(f"partitions by machine: {dict(sorted(shares.items()))}")


def shares_of(cluster: Cluster) -> Counter[str]:
    """{machine: how many partitions it holds}."""
    from flyball.registry import lease_standings

    live = [lease for lease in lease_standings(cluster.runtime("desk").registry) if lease.left_us]
    return Counter(Path(lease.holder.split(":")[1]).name for lease in live if lease.name.startswith("partition "))


def rows_of(runtime) -> list[tuple[int, int]]:
    """(partition, offset) of all rows in the history."""
    frames = [runtime.history.events(name) for name in runtime.schema.types]
    return [place for frame in frames for place in frame.select("partition", "offset").rows()]
