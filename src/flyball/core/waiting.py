"""Waiting for an open file, pipe or socket, whatever number the system gave it."""

import math
import select


def is_readable(number: int, wait_s: float = 0.0) -> bool:
    """Whether something is to be read from a file descriptor, its end or an error among it, after at most `wait_s`.

    `select.select` refuses descriptors of 1,024 and more (FD_SETSIZE), which a process with many connections has.
    """
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(math.ceil(wait_s * 1_000)))
