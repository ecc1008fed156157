"""How long until all processes serve a new champion."""

import json
import time
from contextlib import ExitStack

from machines.basics import get, say
from machines.cluster import Cluster, balanced, started, up


def release(cluster: Cluster, stack: ExitStack) -> bool:
    replicas = started(cluster, stack, "serving,worker,governor", "serving")
    port = balanced(cluster, stack, replicas)
    up(replicas, port)
    versions = [
        row["id"]
        for row in json.loads(cluster.flyball("versions list shop.py --home desk --json").splitlines()[-1])["versions"]
    ]
    import msgspec

    from flyball.policy import immediate
    from flyball.registry import add_versions
    from flyball.releases import current, start_release

    runtime = cluster.runtime("desk")
    delays_s = []
    for number in range(8):
        champion = runtime.registry.version(current(runtime.registry).champion or versions[0])
        twin = add_versions(runtime.registry, [msgspec.structs.replace(champion, id="", state="candidate")])[0].id
        start_release(runtime.registry, immediate(), [twin], runtime.actor("script", f"release {number}"))
        began_s, waiting = time.monotonic(), {replica.name: replica for replica in replicas}
        while waiting and time.monotonic() - began_s < 20:
            for name, replica in list(waiting.items()):
                if get(replica.port, "/recommend/1")[2].get("x-flyball-version") == twin:
                    delays_s.append(time.monotonic() - began_s)
                    del waiting[name]
            time.sleep(0.01)
    delays_s.sort()
    say(
        f"{len(delays_s)} times a replica took a new champion: p50 {delays_s[len(delays_s) // 2]:.2f} s, "
        f"most {delays_s[-1]:.2f} s"
    )
    return len(delays_s) == 8 * len(replicas) and delays_s[-1] <= 2.0
