"""Exceptions of tasks, and how they are sent from one process to another."""

import traceback
from multiprocessing.reduction import ForkingPickler


class TaskLost(RuntimeError):
    """The process or machine of a task died as often as it may; other tasks are not concerned."""


def portable(error: Exception) -> Exception:
    """The exception, or if it cannot be unpickled elsewhere one that says the same; with its traceback as a note."""
    try:  # an exception whose __init__ takes other arguments than `args` cannot be unpickled
        ForkingPickler.loads(ForkingPickler.dumps(error))
        sent = error
    except Exception:
        sent = RuntimeError(f"{type(error).__name__}: {error}")
    sent.add_note("".join(traceback.format_exception(error)))
    return sent
