"""A broker, the database and a replica are killed and come back, under load."""

import time
from contextlib import ExitStack

from machines.audit import audit
from machines.basics import say, until
from machines.cluster import Cluster, balanced, started, up
from machines.load import Load, summary


def faults(cluster: Cluster, stack: ExitStack) -> bool:
    replicas = started(cluster, stack, "serving,worker,governor", "serving,worker,governor")
    port = balanced(cluster, stack, replicas)
    up(replicas, port)
    with Load(port, asked_s=25, events_s=5) as load:
        time.sleep(8)
        for name, engine in (("broker", cluster.kafka), ("database", cluster.postgres)):
            engine.kill()
            say(f"the {name} is killed")
            time.sleep(4)
            engine.start()
            say(f"the {name} is back")
            time.sleep(12)
        replicas[0].kill()
        say("replica-1 is killed")
        time.sleep(4)
        replicas[0].start()
        until(replicas[0].ready, "replica-1 ready")
        say("replica-1 is back, in an empty home")
        time.sleep(6)
    timely, failed = summary(load.tally)
    time.sleep(8)
    print(cluster.flyball("status shop.py --home replica-2", check=False), flush=True)
    for replica in replicas:
        say(f"{replica.name} ended within {replica.stop():.1f} s of SIGTERM")
    return audit(cluster, load.tally) == 0 and failed == 0 and timely >= 0.999
