"""At most one process at a time that is started when its owner finds it due."""

from collections.abc import Callable

from flyball.operations.supervisor import Process


class SingleProcess:
    """The process that `launch` starts, while there is one."""

    def __init__(self, launch: Callable[[], Process]) -> None:
        self._launch = launch
        self.process: Process | None = None

    def start(self) -> None:
        """Start it; there must be none."""
        assert self.process is None
        self.process = self._launch()

    def ended(self) -> int | None:
        """Its exit code when it has ended, once; None while it runs and while there is none."""
        code = None if self.process is None else self.process.poll()
        if code is not None:
            self.kill()
        return code

    def kill(self) -> None:
        """End it and all processes it started, if there is one."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
