"""Runs tasks in this process, in order: what needs nothing else, and what an application without a file needs."""

from collections.abc import Sequence
from typing import Any

from flyball.compute.types import ComputeTask, Needs, Started


class InProcess:
    """A task begins when it is waited for. It cannot be ended, so it has no limit of time, and no needs are checked."""

    retries = 0

    def slots(self, needs: Needs) -> int:
        return 1

    def start(self, task: ComputeTask) -> Started:
        return Started(task)

    def wait(self, started: Sequence[Started], timeout_s: float | None) -> list[tuple[Started, Any]]:
        task: ComputeTask = started[0].handle
        try:
            return [(started[0], task.work(*task.arguments))]
        except Exception as error:  # an outcome, so that the caller decides
            return [(started[0], error)]

    def cancel(self, started: Started) -> None:
        """Nothing: what was waited for has ended."""

    def close(self) -> None:
        """Nothing is left."""
