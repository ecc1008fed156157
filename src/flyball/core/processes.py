"""Run independent calls in parallel processes of this machine."""

import math
import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from flyball.core.clock import SystemStopwatch

Result = TypeVar("Result")

_GRACE_S = 2.0


def run_parallel(
    work: Callable[..., Result],
    calls: Sequence[tuple[Any, ...]],
    workers: int,
    limit_s: float | None = None,
    imports: Sequence[str] = (),
    is_needed: Callable[[int], bool] = lambda index: True,
) -> Iterator[tuple[int, Result | Exception]]:
    """Run `work(*call)` for each call in up to `workers` fresh processes; yield (index, result) as each ends.

    A call that raises, or whose process dies, yields its exception instead; the others continue. `work` must be
    importable, and it and its arguments picklable, since they are sent to another process. Processes are forked from a
    fork server that this process starts once: it has imported the modules of the first `work` and of the first
    `imports`. With one worker everything runs in this process, in order. Closing the iterator ends the processes that
    still run. `limit_s`: a process that takes longer is ended and yields a `TimeoutError`; ignored with one worker, as
    a call in this process cannot be ended. A call that is not `is_needed` when its turn comes is skipped.
    """
    if workers <= 1:
        for index, call in enumerate(calls):
            if not is_needed(index):
                continue
            try:
                yield index, work(*call)
            except Exception as error:  # yielded, so that the caller decides
                yield index, error
        return
    # one process per call, not a pool: the death of one worker breaks every pending call of a ProcessPoolExecutor
    waiting = deque(enumerate(calls))
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    stopwatch, ends_s = SystemStopwatch(), dict[Connection, float]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                index, call = waiting.popleft()
                if not is_needed(index):
                    continue
                try:
                    receiver, process = _start(work, call, imports)
                except Exception as error:  # arguments that cannot be pickled are a failure of this call
                    yield index, error
                else:
                    running[receiver] = index, process
                    ends_s[receiver] = math.inf if limit_s is None else stopwatch.read_s() + limit_s
            if not running:
                continue
            left_s = min((ends_s[receiver] for receiver in running), default=math.inf) - stopwatch.read_s()
            ready = wait(list(running), None if math.isinf(left_s) else max(left_s, 0.0))
            for receiver in [receiver for receiver in ready if isinstance(receiver, Connection)]:
                index, process = running.pop(receiver)
                yield index, _receive(receiver, process)
            for receiver in [receiver for receiver in running if ends_s[receiver] <= stopwatch.read_s()]:
                index, process = running.pop(receiver)
                _end(receiver, process)
                yield index, TimeoutError(f"it must end within {limit_s:,.0f} s, and was ended then")
    finally:
        for receiver, (_, process) in running.items():
            _end(receiver, process)


def _end(receiver: Connection, process: BaseProcess) -> None:
    process.terminate()
    process.join(_GRACE_S)
    process.kill()  # for a process that ignores SIGTERM; does nothing to one that has ended
    process.join()
    receiver.close()


def _start(work: Callable[..., Any], call: tuple[Any, ...], imports: Sequence[str]) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__, *imports])  # has an effect until the fork server starts
    receiver, sender = context.Pipe(duplex=False)
    try:
        process = context.Process(target=_send_result, args=(sender, work, call))
        resource_tracker.ensure_running()  # left to `start`, it would let interrupts through again
        with _interrupts_held():
            process.start()
    except BaseException:
        receiver.close()
        raise
    finally:
        sender.close()
    return receiver, process


@contextmanager
def _interrupts_held() -> Iterator[None]:
    # a child inherits the signal mask: Ctrl-C reaches the whole process group, and only the parent should handle it
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _receive(receiver: Connection, process: BaseProcess) -> Any:
    try:
        result: Any = receiver.recv()
    except EOFError:
        process.join()
        result = RuntimeError(f"process must end with a result, got {_ending(process.exitcode)}")
    finally:
        receiver.close()
    process.join()
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
        result = _portable(error)
    try:
        sender.send(result)
    except BrokenPipeError:  # the caller was interrupted and reads no result
        return
    except Exception as error:
        sender.send(_portable(error))


def _end_with_parent() -> None:
    # a parent that was killed cannot end its children, and nobody would read the result
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _portable(error: Exception) -> Exception:
    # an exception whose __init__ takes other arguments than `args` cannot be unpickled
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
        portable = error
    except Exception:
        portable = RuntimeError(f"{type(error).__name__}: {error}")
    portable.add_note("".join(traceback.format_exception(error)))
    return portable
