"""An application on Kafka, PostgreSQL, Redis and an object store, by several replicas behind a load balancer, under
load; prints what was lost, doubled, late or failed.

    python scripts/several_machines.py faults    a broker, the database and a replica are killed and come back
    python scripts/several_machines.py rolling   the replicas are restarted one after another
    python scripts/several_machines.py scale     the load triples, replicas follow a metric, and leave when it is over
    python scripts/several_machines.py release   how long until all processes serve a new champion
    python scripts/several_machines.py workers   three log workers share the partitions; one dies, one is paused

All servers are real, started by `.ci/engines` in a temporary folder and ended with the script. The exit code is 1 where
something was lost or doubled, or a request failed that must not.
"""

import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from machines.basics import say
from machines.cluster import Cluster
from machines.faults import faults
from machines.release import release
from machines.rolling import rolling
from machines.scale import scale
from machines.workers import workers

RUNS = {"faults": faults, "rolling": rolling, "scale": scale, "release": release, "workers": workers}


def main() -> None:
    if len(sys.argv) < 2 or set(sys.argv[1:]) - set(RUNS):
        sys.exit(f"usage: several_machines.py {'|'.join(RUNS)}...")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends
    good = True
    for name in sys.argv[1:]:
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            began_s = time.monotonic()
            cluster = Cluster(folder, stack)
            say(f"== {name}: servers and application are there after {time.monotonic() - began_s:.0f} s")
            passed = RUNS[name](cluster, stack)
            say(f"== {name}: {'passed' if passed else 'FAILED'} after {time.monotonic() - began_s:.0f} s")
            good = good and passed
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
