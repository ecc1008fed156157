"""Tasks that run in other processes, of this machine or of a Ray cluster, opened by URL.

Promises: the same tasks give the same results everywhere; a task that raises, or whose process or machine dies, costs
itself alone; whoever stops waiting ends what still runs.
"""

from flyball.compute.errors import TaskLost
from flyball.compute.here import InProcess
from flyball.compute.opening import COMPUTE_BACKENDS, open_compute
from flyball.compute.running import run_tasks
from flyball.compute.types import Compute, ComputeTask, Lost, Needs, Started

__all__ = [
    "COMPUTE_BACKENDS",
    "Compute",
    "ComputeTask",
    "InProcess",
    "Lost",
    "Needs",
    "Started",
    "TaskLost",
    "open_compute",
    "run_tasks",
]
