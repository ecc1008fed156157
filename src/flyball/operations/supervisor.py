"""Supervises programs: starts them, restarts those that crash, stops them all."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from flyball.core import Backoff, Elapsed, Stopwatch

REPLACE_US = 8_000_000
"""How long a program that is to be replaced may take to end."""


class Program(msgspec.Struct, frozen=True):
    """A program to keep running.

    `order`: lower ones start first and stop last. `delay_us`: from the supervisor's start to the program's. Exit code 0
    ends it for good; any other code is a crash, after which it is restarted, and `replace_code` asks for a restart.
    """

    name: str
    argv: tuple[str, ...]
    order: int = 0
    delay_us: int = 0
    replace_code: int | None = None


class Process(Protocol):
    """A started program."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """None while it runs, then its exit code; negative for a signal."""
        ...

    def terminate(self) -> None:
        """Send SIGTERM."""
        ...

    def kill(self) -> None:
        """Kill it and all processes it started."""
        ...


State = Literal["waiting", "running", "done", "stopped"]


class Child(msgspec.Struct, frozen=True):
    """The status of a program. `since_us`: when its state began."""

    name: str
    state: State
    pid: int | None
    since_us: int
    restarts: int


class Notice(msgspec.Struct, frozen=True):
    """A line for the display."""

    at_us: int
    name: str
    words: str


class _Kept:
    """A program and its status; `start_at_us` is elapsed time, `since_us` wall-clock time."""

    def __init__(self, program: Program, start_us: int, passed_us: int) -> None:
        self.program = program
        self.process: Process | None = None
        self.state: State = "waiting"
        self.since_us = start_us
        self.start_at_us = passed_us + program.delay_us
        self.restarts = 0
        self.replace_by_us: int | None = None
        self.backoff = Backoff()


class Supervisor:
    """Runs `programs` by `launch`; all times are arguments. Pauses are measured by `stopwatch`, see `Elapsed`."""

    def __init__(
        self,
        programs: Sequence[Program],
        launch: Callable[[Program], Process],
        now_us: int,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._launch, self._elapsed = launch, Elapsed(stopwatch)
        passed_us = self._passed_us = self._elapsed.us(now_us)
        in_order = sorted(programs, key=lambda program: program.order)
        self._kept = [_Kept(program, now_us, passed_us) for program in in_order]

    def tick(self, now_us: int) -> list[Notice]:
        """Start programs that are due and report those that ended."""
        message, passed_us = [], self._elapsed.us(now_us)
        self._passed_us = passed_us
        for kept in self._kept:
            if kept.state == "running":
                message += self._look(kept, now_us, passed_us)
            elif kept.state == "waiting" and passed_us >= kept.start_at_us:
                self._start(kept, now_us)
        return message

    def children(self) -> list[Child]:
        return [
            Child(
                kept.program.name, kept.state, kept.process.pid if kept.process else None, kept.since_us, kept.restarts
            )
            for kept in self._kept
        ]

    def terminate(self, order: int) -> None:
        """Terminate all programs of `order` or higher, and do not restart them."""
        for kept in self._kept:
            if kept.program.order >= order:
                if kept.process is not None and kept.process.poll() is None:
                    kept.process.terminate()
                kept.state = "stopped"

    def replace(self, name: str) -> None:
        """Ask a program to end, and start it again as soon as it has; it is killed when it does not."""
        for kept in self._kept:
            if kept.program.name == name and kept.process is not None and kept.state == "running":
                kept.process.terminate()
                kept.replace_by_us = self._passed_us + REPLACE_US

    def alive(self, order: int) -> list[str]:
        """The names of the programs of `order` or higher that still run."""
        return [
            kept.program.name
            for kept in self._kept
            if kept.program.order >= order and kept.process is not None and kept.process.poll() is None
        ]

    def kill(self) -> None:
        """Kill every process at once, with all processes it started."""
        for kept in self._kept:
            kept.state = "stopped"
            if kept.process is not None:
                kept.process.kill()

    def _start(self, kept: _Kept, now_us: int) -> None:
        kept.process = self._launch(kept.program)
        kept.state, kept.since_us = "running", now_us

    def _look(self, kept: _Kept, now_us: int, passed_us: int) -> list[Notice]:
        code = kept.process.poll() if kept.process is not None else None
        if (
            code is None
            and kept.replace_by_us is not None
            and passed_us > kept.replace_by_us
            and kept.process is not None
        ):
            kept.process.kill()
            code = kept.process.poll()
        if code is None:
            return []
        if kept.process is not None:
            kept.process.kill()  # also kills the processes it started
        kept.process, kept.since_us = None, now_us
        if kept.replace_by_us is not None:
            kept.replace_by_us, kept.state, kept.start_at_us = None, "waiting", passed_us
            return [Notice(now_us, kept.program.name, "is replaced")]
        if code == 0:
            kept.state = "done"
            return [Notice(now_us, kept.program.name, "ended")]
        pause_us = kept.backoff.next_us(passed_us)
        kept.state, kept.start_at_us = "waiting", passed_us + pause_us
        kept.restarts += 1
        return [
            Notice(now_us, kept.program.name, f"{_end_words(code, kept.program)}; starts again in {pause_us / 1e6:g} s")
        ]


def _end_words(code: int, program: Program) -> str:
    if code == program.replace_code:
        return "asked to be replaced"
    return f"killed by signal {-code}" if code < 0 else f"crashed with code {code}"
