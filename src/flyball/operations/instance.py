"""`flyball up`: the process that owns the home, the port and all other processes."""

import errno
import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

import msgspec

from flyball.core import (
    BadSetting,
    FileLock,
    FlyballError,
    SystemStopwatch,
    is_readable,
    parse_duration,
    remove_abandoned,
)
from flyball.home import BACKTEST_PREFIX, SEARCH_PREFIX, interrupted_removal
from flyball.operations.child_logs import ChildLogs
from flyball.operations.console import Display
from flyball.operations.first_call import first_call
from flyball.operations.heartbeat import Heartbeat, read_heartbeat
from flyball.operations.log_lines import message_in
from flyball.operations.machine import check_access, check_online_stores, check_processes
from flyball.operations.process import python_argv, start_child, tail
from flyball.operations.process_specs import (
    LEARN,
    SHADOW,
    ProcessSpec,
    UpReport,
    forget_report,
    log_path,
    run_folder,
    write_report,
)
from flyball.operations.reach import ReachAnswers, store_urls
from flyball.operations.relocation import Relocation, Renewal, check_in_use
from flyball.operations.status_port import StatusPort
from flyball.operations.supervisor import Child, Notice, Process, Program, Supervisor
from flyball.releases import declare_arrangement
from flyball.runtime import Runtime
from flyball.serving import REPLACE_ME, Dispatcher, connection_limits
from flyball.settings import PROCESSES, Settings

TICK_S, BEAT_S = 0.1, 0.5
STOP_S, _SHORTEST_STOP_S = 8.0, 2.0
"""How long processes may take to end after a signal, and at least after they were asked to."""
_BACKLOG = 4_096
_ANSWERING, _FOLLOWING, _GUEST = 0, 1, 9
_CHILD = "flyball.operations.child"


def up(runtime: Runtime, display: Display, programs: Sequence[Program] = ()) -> None:
    """Run the application until SIGINT or SIGTERM, then stop all processes it started.

    `programs`: further programs to keep running, such as a world; "{port}" in their arguments is replaced by the port.
    Raises `HomeBusy` when another instance runs on the same home, `BadSetting` when the port is taken or when other
    machines could not reach what the parts that run here share with them, and what opening the log raises.
    """
    check_processes(runtime.settings)
    check_access(runtime)
    if runtime.app.task.about.feature_groups:
        check_online_stores(runtime.settings)
    check_in_use(runtime)
    lock = FileLock(run_folder(runtime.home) / "lock", f"flyball up {runtime.app.name}")
    with lock, bind(runtime.settings.host, runtime.settings.port) as listener:
        remove_abandoned(runtime.home, (SEARCH_PREFIX, BACKTEST_PREFIX), runtime.clock.now_us())
        runtime.log.ends()  # report an unusable log at once, instead of letting each child crash
        with suppress(FlyballError):  # without a registry, lower fallback levels answer, and serving reports why
            declare_arrangement(
                runtime.registry, runtime.app.name, runtime.app.task.about.arrangement, "up", runtime.clock.now_us()
            )
        _Instance(runtime, listener, display, programs, lock).run()


def bind(host: str, port: int) -> socket.socket:
    """The listening socket; raises `BadSetting` naming the port when it is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise BadSetting(f"host must be an address of this machine, got {host!r} ({error.strerror})") from None
        raise BadSetting(
            f"port {port} on {host} must be free, got: {error.strerror or error}; choose another --port"
        ) from None
    listener.listen(_BACKLOG)
    return listener


class _Instance:
    def __init__(
        self,
        runtime: Runtime,
        listener: socket.socket,
        display: Display,
        programs: Sequence[Program],
        lock: FileLock,
    ) -> None:
        self._lock = lock
        self._runtime, self._display, self._watch = runtime, display, SystemStopwatch()
        self._port = int(listener.getsockname()[1])
        self._draining = runtime.layout.draining
        self._dispatcher = None
        if "serving" in runtime.settings.processes:
            self._dispatcher = Dispatcher(listener, limits=connection_limits(runtime, self._watch))
        self._front = self._dispatcher or StatusPort(listener, lambda: self._runtime, self._children)
        self._started_us = runtime.clock.now_us()
        settings = msgspec.structs.replace(runtime.settings, port=self._port)
        self._spec = ProcessSpec(runtime.source, settings, "")
        self._supervisor = Supervisor(
            [*own_programs(settings), *self._guests(programs)], self._launch, self._started_us, self._watch
        )
        self._logs = ChildLogs(runtime.home, [*(child.name for child in self._supervisor.children()), LEARN, SHADOW])
        self._stopping, self._drain_s = False, 0.0
        self._end_by_s: float | None = None
        self._governor_serial, self._trouble, self._moving_trouble = 0, "", ""
        self._relocation: Relocation | None = None
        self._renewal = Renewal(runtime.layout.renewal)
        self._interrupted = ""
        self._reach = ReachAnswers(runtime)

    def run(self) -> None:
        for name in ("worker", "governor", "reach"):  # reports of an earlier instance
            forget_report(self._runtime.home, name)
        self._draining.unlink(missing_ok=True)
        restore = {number: signal.signal(number, self._ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        self._front.start()
        try:
            url = f"http://127.0.0.1:{self._port}"
            call = first_call(self._runtime.app.task.about, url) if self._dispatcher else f"curl {url}/readyz"
            with self._display.open(self._runtime.app.name, url, call):
                try:
                    self._loop(lambda: self._stopping)
                    self._drain()
                finally:
                    self._display.notify(self._notice("flyball", "stopping"))
                    self._stop()
        finally:
            for number, handler in restore.items():
                signal.signal(number, handler)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._drain_s = 0.0
        if number == signal.SIGTERM and not self._stopping:
            self._drain_s = parse_duration(self._runtime.settings.drain) / 1e6
        self._stopping = True
        if not self._drain_s:  # those that answer nobody end at once, however long a store keeps this process waiting
            self._end_by_s = self._watch.read_s() + STOP_S
            self._supervisor.terminate(_FOLLOWING)

    def _drain(self) -> None:
        """Answer on for a while, not ready, so that load balancers send nothing more; a second signal ends it."""
        if not self._drain_s:
            return
        self._display.notify(self._notice("flyball", f"draining for {self._drain_s:g} s"))
        self._draining.touch()
        began_s = self._watch.read_s()
        self._loop(lambda: self._watch.read_s() - began_s >= self._drain_s)

    def _loop(self, ended: Callable[[], bool]) -> None:
        before, beaten_s = None, -BEAT_S
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        former = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        try:
            while not ended():
                now_us = self._runtime.clock.now_us()
                for notice in self._supervisor.tick(now_us):
                    self._display.notify(self._with_reason(notice))
                if self._relocation is not None and self._dispatcher is not None:
                    self._relocation.step(self._supervisor, self._dispatcher)
                if self._dispatcher is not None:
                    self._renewal.step(self._supervisor, self._dispatcher)
                if self._watch.read_s() - beaten_s >= BEAT_S:
                    self._follow_home()
                    beaten_s = self._watch.read_s()
                    before = self._beat(now_us, before)
                if is_readable(woken, TICK_S):
                    os.read(woken, 64)
        finally:
            signal.set_wakeup_fd(former)
            os.close(woken)
            os.close(wake)

    def _beat(self, now_us: int, before: Heartbeat | None) -> Heartbeat | None:
        for name, line in self._logs.read():
            self._display.log(name, line)
        self._reach.step()
        self._say_interrupted()
        report = UpReport(
            now_us,
            os.getpid(),
            self._port,
            self._started_us,
            self._supervisor.children(),
            store_urls(self._runtime),
            self._reach.answer,
        )
        write_report(self._runtime.home, "up", report)
        try:
            heartbeat = read_heartbeat(self._runtime, report, now_us)
        except FlyballError as error:  # a store is unavailable: processes continue, and the next beat tries again
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._display.notify(self._notice("flyball", self._trouble))
            return before
        self._trouble = ""
        governor = heartbeat.governor
        if governor is not None and governor.serial != self._governor_serial:
            self._governor_serial = governor.serial
            if governor.message:  # empty right after a restart
                self._display.notify(self._notice("governor", governor.message))
        if before is not None and before.champion != heartbeat.champion:
            self._display.notify(self._notice("release", f"champion is {heartbeat.champion or 'none'}"))
        self._display.show(heartbeat)
        return heartbeat

    def _say_interrupted(self) -> None:
        """Say at the start, and when it happens, that a removal was interrupted."""
        interrupted = interrupted_removal(self._runtime.layout)
        if interrupted and interrupted != self._interrupted:
            self._display.notify(self._notice("flyball", interrupted))
        self._interrupted = interrupted

    def _follow_home(self) -> None:
        """Continue in the home that this one was moved to."""
        moved = self._runtime.gate.moved()
        if moved is None:
            if self._renewal.look(self._supervisor):
                self._display.notify(self._notice("flyball", "replaces what answers, after a removal"))
            return
        try:
            relocation = Relocation(moved, self._runtime)
            relocation.begin(self._supervisor)
        except FlyballError as error:  # its processes write to the new home all the same; the next beat tries again
            if str(error) != self._moving_trouble:
                self._moving_trouble = str(error)
                self._display.notify(self._notice("flyball", f"cannot continue in {moved.home}: {error}"))
            return
        self._display.notify(self._notice("flyball", f"continues in {moved.home}"))
        self._report_end()
        self._lock.__exit__(None, None, None)
        self._lock = relocation.lock
        self._relocation, self._runtime = relocation, relocation.runtime
        self._draining, self._reach = self._runtime.layout.draining, ReachAnswers(self._runtime)
        self._renewal = Renewal(self._runtime.layout.renewal)
        settings = msgspec.structs.replace(self._runtime.settings, port=self._port)
        self._spec = ProcessSpec(self._runtime.source, settings, "")
        self._logs = ChildLogs(
            self._runtime.home, [*(child.name for child in self._supervisor.children()), LEARN, SHADOW]
        )

    def _stop(self) -> None:
        """Stop guest programs first, then the others; those that do not end in time are killed."""
        self._supervisor.terminate(_GUEST)
        self._front.close_listener()
        self._supervisor.terminate(_ANSWERING)
        now_s = self._watch.read_s()
        deadline_s = now_s + STOP_S if self._end_by_s is None else max(self._end_by_s, now_s + _SHORTEST_STOP_S)
        while self._supervisor.alive(_ANSWERING) and self._watch.read_s() < deadline_s:
            select.select([], [], [], 0.02)
        for name in self._supervisor.alive(_ANSWERING):
            self._display.notify(self._notice(name, f"did not end within {STOP_S:g} s and is killed"))
        self._supervisor.kill()
        self._front.stop()
        self._draining.unlink(missing_ok=True)
        self._report_end()

    def _report_end(self) -> None:
        """Report that nothing runs on the home any more."""
        now_us = self._runtime.clock.now_us()
        write_report(
            self._runtime.home, "up", UpReport(now_us, 0, self._port, self._started_us, self._supervisor.children())
        )

    def _launch(self, program: Program) -> Process:
        spec = msgspec.structs.replace(self._spec, name=program.name)
        log = log_path(self._runtime.home, program.name)
        if self._dispatcher is None or program.order != _ANSWERING:
            return start_child(program.argv, msgspec.json.encode(spec), log)
        with self._dispatcher.add_worker(program.name) as channel:
            spec = msgspec.structs.replace(spec, channel=channel.fileno())
            return start_child(program.argv, msgspec.json.encode(spec), log, [channel.fileno()])

    def _children(self) -> list[Child]:
        return self._supervisor.children()

    def _guests(self, programs: Sequence[Program]) -> list[Program]:
        return [
            msgspec.structs.replace(
                program, order=_GUEST, argv=tuple(word.replace("{port}", str(self._port)) for word in program.argv)
            )
            for program in programs
        ]

    def _with_reason(self, notice: Notice) -> Notice:
        last = message_in(tail(log_path(self._runtime.home, notice.name)))
        return msgspec.structs.replace(notice, words=f"{notice.words} ({last})") if last else notice

    def _notice(self, name: str, words: str) -> Notice:
        return Notice(self._runtime.clock.now_us(), name, words)


def own_programs(settings: Settings) -> list[Program]:
    """The programs of an application on this machine, serving processes first, so that the first response comes
    soon."""
    programs = {
        "serving": [
            Program(f"serve-{index + 1}", python_argv(_CHILD, "serve"), _ANSWERING, replace_code=REPLACE_ME)
            for index in range(settings.workers)
        ],
        "worker": [Program("worker", python_argv(_CHILD, "worker"), _FOLLOWING)],
        "governor": [Program("governor", python_argv(_CHILD, "governor"), _FOLLOWING, delay_us=1_000_000)],
    }
    parts = set(settings.processes)
    if "governor" in parts:  # its releases need the counts of exposures, which the worker keeps on each machine
        parts.add("worker")
    return [program for name in PROCESSES if name in parts for program in programs[name]]
