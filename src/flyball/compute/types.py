"""The protocol of where tasks run, and what is passed to it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a task needs: `cpus`, `memory_bytes` (0: not stated), and at most `limit_s` from its start (None: no limit).

    A scheduler starts a task only where so much is free; it does not take more from a task that uses more.
    """

    cpus: int = 1
    memory_bytes: int = 0
    limit_s: float | None = None

    def text(self) -> str:
        """
        >>> Needs(cpus=2, memory_bytes=3_000_000_000).text(), Needs().text()
        ('2 CPUs and 3.0 GB of memory', '1 CPU')
        """
        cpus = f"{self.cpus} CPU{'s' if self.cpus != 1 else ''}"
        return cpus + (f" and {self.memory_bytes / 1e9:,.1f} GB of memory" if self.memory_bytes else "")


class ComputeTask(msgspec.Struct, frozen=True):
    """A call `work(*arguments)`; `imports`: modules that it is worth to load before it begins."""

    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    needs: Needs = Needs()
    imports: tuple[str, ...] = ()


class Started(msgspec.Struct, eq=False):
    """A task that was started. `since_s`: when it began to run, None while it waits. `handle`: the backend's."""

    handle: Any
    since_s: float | None = None


class Lost(msgspec.Struct, frozen=True):
    """The outcome of a task whose process or machine died; the reason, without the name of the task."""

    reason: str


class Compute(Protocol):
    """Runs tasks somewhere. `run_tasks` is a loop over these methods, and what the rest of Flyball calls.

    `retries`: how often a task that was lost is started again. `slots`: how many tasks with these needs run side by
    side; raises `Refused` when they are more than any machine has. `start` starts a task, or lets it wait for room, and
    raises what the arguments raise when they cannot be sent. `wait` returns the tasks that have ended within
    `timeout_s`, each with its result, the exception it raised or `Lost`, and notes in `since_s` when the others began;
    it returns early with nothing when a task begins. `cancel` ends a task, and comes back when it has ended or will do
    nothing more. `close` ends what is left.
    """

    @property
    def retries(self) -> int: ...

    def slots(self, needs: Needs) -> int: ...

    def start(self, task: ComputeTask) -> Started: ...

    def wait(self, started: Sequence[Started], timeout_s: float | None) -> list[tuple[Started, Any]]: ...

    def cancel(self, started: Started) -> None: ...

    def close(self) -> None: ...
