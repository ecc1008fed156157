"""Lets other machines see that a run or a search is still under way, while its process lives."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flyball.core import FlyballError
from flyball.registry import SIGN_OF_LIFE_US, Registry, give_sign

SIGNS_PER_PROMISE = 4
"""How many signs of life are given in the time that one counts."""


@contextmanager
def giving_signs(registry_url: str, subject: str, for_us: int = SIGN_OF_LIFE_US) -> Iterator[None]:
    """Give signs of life for `subject` meanwhile, in a thread with a connection of its own."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_give, args=(registry_url, subject, for_us, stop), name=f"signs of life, {subject}", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _give(registry_url: str, subject: str, for_us: int, stop: threading.Event) -> None:
    registry: Registry | None = None
    while not stop.wait(for_us / 1e6 / SIGNS_PER_PROMISE):
        try:
            registry = Registry(registry_url) if registry is None else registry
            give_sign(registry.database, subject, for_us)
        except FlyballError:  # the registry is away: the next sign comes in time, or others take it for interrupted
            continue
    if registry is not None:
        registry.database.close()
