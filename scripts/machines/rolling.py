"""The replicas are restarted one after another, under load."""

import time
from contextlib import ExitStack

from machines.basics import say, until
from machines.cluster import Cluster, balanced, started, up
from machines.load import Load, summary


def rolling(cluster: Cluster, stack: ExitStack) -> bool:
    replicas = started(cluster, stack, "serving,worker,governor", "serving")
    port = balanced(cluster, stack, replicas)
    up(replicas, port)
    with Load(port, asked_s=40, events_s=5) as load:
        time.sleep(3)
        for replica in replicas:
            took_s = replica.stop()
            replica.start()
            until(replica.ready, f"{replica.name} ready")
            say(f"{replica.name} stopped within {took_s:.1f} s and is ready again")
            time.sleep(3)
    _, failed = summary(load.tally)
    return failed == 0
