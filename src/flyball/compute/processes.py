"""Runs tasks in processes of this machine, forked from a server that has loaded what they need."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import msgspec

from flyball.compute.errors import portable
from flyball.compute.here import InProcess
from flyball.compute.types import Compute, ComputeTask, Lost, Needs, Started
from flyball.core import BadSetting, Refused, SystemStopwatch, Url

_GRACE_S = 2.0


class _Handle(msgspec.Struct, frozen=True):
    receiver: Connection
    process: BaseProcess


class LocalProcesses:
    """A fresh process for each task, at most `workers` side by side. `retries`: how often a lost task starts again.

    One process for each task, not a pool: the death of one worker breaks every pending task of a pool. They are forked
    from a server that this process starts once: it has imported the modules of the first task.
    """

    def __init__(self, workers: int, retries: int = 0) -> None:
        self._workers, self.retries = workers, retries
        self._stopwatch = SystemStopwatch()

    def slots(self, needs: Needs) -> int:
        cpus, memory = os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needs.cpus > cpus or needs.memory_bytes > memory:
            raise Refused(
                f"a task must fit on this machine, which has {Needs(cpus=cpus, memory_bytes=memory).text()}, got a "
                f"task that needs {needs.text()}: let it need less, or name a larger compute (setting compute)"
            )
        by_memory = memory // needs.memory_bytes if needs.memory_bytes else self._workers
        return max(1, min(self._workers // needs.cpus, by_memory))

    def start(self, task: ComputeTask) -> Started:
        context = multiprocessing.get_context("forkserver")
        preloaded = [task.work.__module__, *task.imports]
        context.set_forkserver_preload(preloaded)  # has an effect until the fork server starts
        receiver, sender = context.Pipe(duplex=False)
        try:
            process = context.Process(target=_send_result, args=(sender, task.work, task.arguments))
            resource_tracker.ensure_running()  # left to `start`, it would let interrupts through again
            with _interrupts_held():
                process.start()
        except BaseException:
            receiver.close()
            raise
        finally:
            sender.close()
        return Started(_Handle(receiver, process), self._stopwatch.read_s())

    def wait(self, started: Sequence[Started], timeout_s: float | None) -> list[tuple[Started, Any]]:
        by_receiver = {task.handle.receiver: task for task in started}
        ready = wait(list(by_receiver), timeout_s)
        ended = [by_receiver[receiver] for receiver in ready if isinstance(receiver, Connection)]
        return [(task, _receive(task.handle)) for task in ended]

    def cancel(self, started: Started) -> None:
        handle: _Handle = started.handle
        handle.process.terminate()
        handle.process.join(_GRACE_S)
        handle.process.kill()  # for a process that ignores SIGTERM; does nothing to one that has ended
        handle.process.join()
        handle.receiver.close()

    def close(self) -> None:
        """Nothing is left: a task that was not waited for is cancelled."""


def open_processes(url: Url, workers: int) -> Compute:
    """`processes://` or `processes://?retries=1`; with one worker everything runs in this process."""
    url.check_options(("retries",))
    if url.path:
        raise BadSetting(
            f"compute processes:// must name nothing, got {url.path!r}: --workers says how many run at a time"
        )
    return InProcess() if workers <= 1 else LocalProcesses(workers, url.integer("retries", 0))


@contextmanager
def _interrupts_held() -> Iterator[None]:
    # a child inherits the signal mask: Ctrl-C reaches the whole process group, and only the parent should handle it
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _receive(handle: _Handle) -> Any:
    try:
        result: Any = handle.receiver.recv()
    except (EOFError, OSError):  # it ended before its result, or in the middle of it
        handle.process.join()
        result = Lost(_ending(handle.process.exitcode))
    finally:
        handle.receiver.close()
    handle.process.join()
    return result


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
    return f"exit code {code}"


def _send_result(sender: Connection, work: Callable[..., Any], call: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result = work(*call)
    except Exception as error:  # sent to the caller, as is the error of a result that cannot be pickled
        result = portable(error)
    try:
        sender.send(result)
    except BrokenPipeError:  # the caller was interrupted and reads no result
        return
    except Exception as error:
        sender.send(portable(error))


def _end_with_parent() -> None:
    # a parent that was killed cannot end its children, and nobody would read the result
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
