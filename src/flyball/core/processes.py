"""Independent work in parallel processes, the embedded default of compute."""

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

    A call that raises, or whose process dies, yields its exception instead: the others go on. `work` and its arguments
    must be importable and picklable (they cross to another process; nothing is stored). Processes are forked off a
    server of this one's own, which runs nothing and has imported the modules of the first `work` and the first
    `imports`; it lives as long as this process. With one worker everything runs in this process, in order. Processes
    still running when the iterator is closed are ended. `limit_s`: a process that takes longer is ended too, its result
    a `TimeoutError`; a call in this process cannot be ended, so there it is not heeded. A call not `is_needed` when its
    turn comes is left out.
    """
    if workers <= 1:
        for index, call in enumerate(calls):
            if not is_needed(index):
                continue
            try:
                yield index, work(*call)
            except Exception as error:  # the caller decides; it gets the error itself
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
                except Exception as error:  # what cannot cross is that call's failure
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
    process.kill()  # for one that does not heed the first; nothing happens to one that has ended
    process.join()
    receiver.close()


def _start(work: Callable[..., Any], call: tuple[Any, ...], imports: Sequence[str]) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__, *imports])  # heeded by a server that is to start
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
    # a child inherits the mask: Ctrl-C, which reaches the whole group, is the parent's affair from its first import on
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
    except Exception as error:  # goes to the caller, like a result that cannot cross
        result = _portable(error)
    try:
        sender.send(result)
    except BrokenPipeError:  # the caller was interrupted and takes no result: nothing to tell, and nobody to tell it
        return
    except Exception as error:
        sender.send(_portable(error))


def _end_with_parent() -> None:
    # a parent that was killed cannot end us, and nobody would take the result
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _portable(error: Exception) -> Exception:
    # an exception whose __init__ takes other arguments than its args cannot be rebuilt on the other side
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
        portable = error
    except Exception:
        portable = RuntimeError(f"{type(error).__name__}: {error}")
    portable.add_note("".join(traceback.format_exception(error)))
    return portable
