"""Processes that end when a test says so."""


class FakeProcess:
    """A process with exit code `code`, None while it runs. `when_asked`: its code once it is asked to end, None when
    it does not listen."""

    def __init__(self, pid: int = 1, code: int | None = None, when_asked: int | None = 0) -> None:
        self.pid, self.code, self._when_asked = pid, code, when_asked
        self.asked = self.killed = False

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.asked = True
        if self.code is None:
            self.code = self._when_asked

    def kill(self) -> None:
        self.killed = True
        if self.code is None:
            self.code = -9
