"""Runs tasks on a Ray cluster, or on one that this process starts on its own machine.

Source: Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications", OSDI 2018.
"""

import logging
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import metadata
from typing import Any

from flyball.compute.errors import portable
from flyball.compute.types import ComputeTask, Lost, Needs, Started
from flyball.core import MissingExtra, Refused, StoreUnavailable, SystemStopwatch

try:
    import ray
    from ray import exceptions
except ImportError:
    raise MissingExtra("compute ray://", "ray") from None

_SHIPPED_ONCE = 100_000
"""Arguments with more bytes go into the cluster's object store once, not with every task."""
_STORE_BYTES = 200_000_000
"""The shared memory of a local cluster: arguments and results lie in it, data and artifacts do not."""
_THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
"""With another number of threads sums are rounded otherwise, so a fitted model has other bits."""
_ANSWERS_S = 5.0
_STARTED = "started"
_SAME = ("flyball", "numpy", "scipy", "numba", "polars", "lightgbm", "msgspec")
"""The packages whose versions decide the bits of a result."""


class RayCluster:
    """The cluster whose head is at `address`; without one, a cluster of this process with `cpus` on this machine.

    Connected to, or started, with the first task. A node must have this Python and the packages of this process, in the
    same versions.
    """

    def __init__(self, address: str, cpus: int, retries: int) -> None:
        self._address, self._cpus, self.retries = address, cpus, retries
        self._stopwatch, self._folder = SystemStopwatch(), ""
        self._remote: Any = None
        self._shipped: dict[int, tuple[bytes, Any]] = {}

    def slots(self, needs: Needs) -> int:
        self._connect()
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        slots = sum(_slots_of(node, needs) for node in nodes)
        if not slots:
            raise Refused(
                f"a task must fit on a node of {self._where}, which has {_described(nodes)}, got a task that "
                f"needs {needs.text()}: let it need less, or add a larger node"
            )
        return slots

    def start(self, task: ComputeTask) -> Started:
        self._connect()
        needs = task.needs
        remote = self._remote.options(num_cpus=needs.cpus, memory=needs.memory_bytes or None)
        arguments = [self._shipped_once(argument) for argument in task.arguments]
        return Started(remote.remote(_versions(), task.work, *arguments))

    def wait(self, started: Sequence[Started], timeout_s: float | None) -> list[tuple[Started, Any]]:
        by_handle = {task.handle: task for task in started}
        ready, _ = ray.wait(list(by_handle), num_returns=1, timeout=timeout_s)
        outcomes = []
        for handle in ready:
            task, outcome = by_handle[handle], _next(handle)
            if isinstance(outcome, str) and outcome == _STARTED:
                task.since_s = self._stopwatch.read_s()
            else:
                outcomes.append((task, outcome[0] if isinstance(outcome, tuple) else outcome))
        return outcomes

    def cancel(self, started: Started) -> None:
        ray.cancel(started.handle, force=True)

    def close(self) -> None:
        if self._remote is None:
            return
        self._remote = None
        self._shipped.clear()
        ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self) -> None:
        if self._remote is not None:
            return
        options = {"address": self._address} if self._address else self._own_cluster()
        try:
            if self._address:
                host, _, port = self._address.rpartition(":")
                socket.create_connection((host, int(port)), _ANSWERS_S).close()  # Ray itself would try for minutes
            ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL, runtime_env={"env_vars": _THREADS})
        except (OSError, RuntimeError, ValueError, exceptions.RayError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise StoreUnavailable(
                f"compute {self._where} must answer, with this machine as one of its nodes, got: {reason}"
            ) from error
        self._remote = ray.remote(num_returns="streaming", max_retries=0)(_run)

    def _own_cluster(self) -> dict[str, Any]:
        """The options of a cluster on this machine."""
        self._folder = tempfile.mkdtemp(prefix="flyball-ray-")
        return {
            "num_cpus": self._cpus,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
            "_temp_dir": self._folder,
        }

    @property
    def _where(self) -> str:
        return f"ray://{self._address or 'local'}"

    def _shipped_once(self, argument: Any) -> Any:
        if not isinstance(argument, bytes) or len(argument) < _SHIPPED_ONCE:
            return argument
        if id(argument) not in self._shipped:
            self._shipped[id(argument)] = argument, ray.put(argument)
        return self._shipped[id(argument)][1]


def _run(versions: dict[str, str], work: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """Run a task on a node: yields that it began, then the result or the exception in a tuple."""
    yield _STARTED
    try:
        _check(versions)
        outcome = work(*arguments)
    except Exception as error:  # sent to the caller
        outcome = portable(error)
    yield (outcome,)


def _next(handle: Any) -> Any:
    """What a task yields next; the exception of a result that cannot be sent, or `Lost`."""
    try:
        return ray.get(next(handle))
    except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError) as error:
        return Lost(_reason(error))
    except exceptions.RayTaskError as error:
        return RuntimeError(f"{type(error.cause).__name__}: {error.cause}")
    except exceptions.RayError as error:
        return Lost(_reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, exceptions.WorkerCrashedError):
        return "a worker that was killed or died (out of memory?)"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@cache
def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _SAME}


def _check(versions: dict[str, str]) -> None:
    own = _versions()
    for name, version in versions.items():
        if own[name] != version:
            raise Refused(
                f"a node must have {name} {version}, as the process that sent the task, got {own[name]}: install the "
                "same versions on all nodes, as results may differ in bits otherwise"
            )


def _slots_of(node: dict[str, float], needs: Needs) -> int:
    by_cpus = int(node.get("CPU", 0) // needs.cpus)
    return min(by_cpus, int(node.get("memory", 0) // needs.memory_bytes)) if needs.memory_bytes else by_cpus


def _described(nodes: Sequence[dict[str, float]]) -> str:
    """
    >>> _described([{"CPU": 2.0, "memory": 4e9}, {"CPU": 8.0, "memory": 8e9}])
    'nodes with 2 CPUs and 4.0 GB of memory, 8 CPUs and 8.0 GB of memory'
    """
    sizes = {(int(node.get("CPU", 0)), int(node.get("memory", 0))): None for node in nodes}
    texts = [Needs(cpus=cpus, memory_bytes=memory).text() for cpus, memory in sizes]
    return f"nodes with {', '.join(texts)}" if texts else "no nodes"
