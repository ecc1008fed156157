"""`flyball up`: the process that owns the home, the port and all other processes."""

import errno
import os
import select
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import msgspec

from flyball.core import BadSetting, FileLock, FlyballError, SystemStopwatch
from flyball.operations.child_logs import ChildLogs
from flyball.operations.console import Display
from flyball.operations.first_call import first_call
from flyball.operations.heartbeat import Heartbeat, read_heartbeat
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
from flyball.operations.supervisor import Notice, Process, Program, Supervisor
from flyball.releases import declare_arrangement
from flyball.runtime import Runtime
from flyball.serving import REPLACE_ME, Dispatcher

TICK_S, BEAT_S = 0.1, 0.5
STOP_S = 8.0
_BACKLOG = 4_096
_ANSWERING, _FOLLOWING, _GUEST = 0, 1, 9
_CHILD = "flyball.operations.child"


def up(runtime: Runtime, display: Display, programs: Sequence[Program] = ()) -> None:
    """Run the application until SIGINT or SIGTERM, then stop all processes it started.

    `programs`: further programs to keep running, such as a world; "{port}" in their arguments is replaced by the port.
    Raises `HomeBusy` when another instance runs on the same home, `BadSetting` when the port is taken, and what opening
    the log raises.
    """
    lock = FileLock(run_folder(runtime.home) / "lock", f"flyball up {runtime.app.name}")
    with lock, bind(runtime.settings.host, runtime.settings.port) as listener:
        runtime.log.ends()  # report an unusable log at once, instead of letting each child crash
        with suppress(FlyballError):  # without a registry, lower fallback levels answer, and serving reports why
            declare_arrangement(
                runtime.registry, runtime.app.name, runtime.app.task.about.arrangement, "up", runtime.clock.now_us()
            )
        _Instance(runtime, listener, display, programs).run()


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
        self, runtime: Runtime, listener: socket.socket, display: Display, programs: Sequence[Program]
    ) -> None:
        self._runtime, self._display, self._watch = runtime, display, SystemStopwatch()
        self._port = int(listener.getsockname()[1])
        self._dispatcher = Dispatcher(listener)
        self._started_us = runtime.clock.now_us()
        settings = msgspec.structs.replace(runtime.settings, port=self._port)
        self._spec = ProcessSpec(runtime.source, settings, "")
        self._supervisor = Supervisor(
            [*own_programs(settings.workers), *self._guests(programs)], self._launch, self._started_us, self._watch
        )
        self._logs = ChildLogs(runtime.home, [*(child.name for child in self._supervisor.children()), LEARN, SHADOW])
        self._stopping = False
        self._governor_serial, self._trouble = 0, ""

    def run(self) -> None:
        for name in ("worker", "governor"):  # reports of an earlier instance
            forget_report(self._runtime.home, name)
        restore = {number: signal.signal(number, self._ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        self._dispatcher.start()
        try:
            url = f"http://127.0.0.1:{self._port}"
            call = first_call(self._runtime.app.task.about, url)
            with self._display.open(self._runtime.app.name, url, call):
                try:
                    self._loop()
                finally:
                    self._display.notify(self._notice("flyball", "stopping"))
                    self._stop()
        finally:
            for number, handler in restore.items():
                signal.signal(number, handler)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _loop(self) -> None:
        before, beaten_s = None, -BEAT_S
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        former = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        try:
            while not self._stopping:
                now_us = self._runtime.clock.now_us()
                for notice in self._supervisor.tick(now_us):
                    self._display.notify(self._with_reason(notice))
                if self._watch.read_s() - beaten_s >= BEAT_S:
                    beaten_s = self._watch.read_s()
                    before = self._beat(now_us, before)
                if select.select([woken], [], [], TICK_S)[0]:
                    os.read(woken, 64)
        finally:
            signal.set_wakeup_fd(former)
            os.close(woken)
            os.close(wake)

    def _beat(self, now_us: int, before: Heartbeat | None) -> Heartbeat | None:
        for name, line in self._logs.read():
            self._display.log(name, line)
        report = UpReport(now_us, os.getpid(), self._port, self._started_us, self._supervisor.children())
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

    def _stop(self) -> None:
        """Stop guest programs first, then the others; those that do not end in time are killed."""
        self._supervisor.terminate(_GUEST)
        self._dispatcher.close_listener()
        self._supervisor.terminate(_ANSWERING)
        deadline_s = self._watch.read_s() + STOP_S
        while self._supervisor.alive(_ANSWERING) and self._watch.read_s() < deadline_s:
            select.select([], [], [], 0.02)
        for name in self._supervisor.alive(_ANSWERING):
            self._display.notify(self._notice(name, f"did not end within {STOP_S:g} s and is killed"))
        self._supervisor.kill()
        self._dispatcher.stop()
        now_us = self._runtime.clock.now_us()
        write_report(
            self._runtime.home, "up", UpReport(now_us, 0, self._port, self._started_us, self._supervisor.children())
        )

    def _launch(self, program: Program) -> Process:
        spec = msgspec.structs.replace(self._spec, name=program.name)
        log = log_path(self._runtime.home, program.name)
        if program.order != _ANSWERING:
            return start_child(program.argv, msgspec.json.encode(spec), log)
        with self._dispatcher.add_worker(program.name) as channel:
            spec = msgspec.structs.replace(spec, channel=channel.fileno())
            return start_child(program.argv, msgspec.json.encode(spec), log, [channel.fileno()])

    def _guests(self, programs: Sequence[Program]) -> list[Program]:
        return [
            msgspec.structs.replace(
                program, order=_GUEST, argv=tuple(word.replace("{port}", str(self._port)) for word in program.argv)
            )
            for program in programs
        ]

    def _with_reason(self, notice: Notice) -> Notice:
        last = tail(log_path(self._runtime.home, notice.name))
        return msgspec.structs.replace(notice, words=f"{notice.words} ({last})") if last else notice

    def _notice(self, name: str, words: str) -> Notice:
        return Notice(self._runtime.clock.now_us(), name, words)


def own_programs(workers: int) -> list[Program]:
    """The programs of every application, serving processes first, so that the first response comes soon."""
    answering = [
        Program(f"serve-{index + 1}", python_argv(_CHILD, "serve"), _ANSWERING, replace_code=REPLACE_ME)
        for index in range(workers)
    ]
    return [
        *answering,
        Program("worker", python_argv(_CHILD, "worker"), _FOLLOWING),
        Program("governor", python_argv(_CHILD, "governor"), _FOLLOWING, delay_us=1_000_000),
    ]
