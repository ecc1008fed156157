"""Which machine leads and which follow the log: leases that a thread keeps while a process lives.

Where the registry is a file, all processes are of one machine, and locks of files keep others out.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

from flyball.core import FlyballError, LeaseLost, SystemStopwatch, parse_duration
from flyball.operations.machine import is_shared
from flyball.registry import (
    Lease,
    LeasedDatabase,
    Registry,
    give_back,
    is_claimed_by_another,
    keep_lease,
    take_lease,
)
from flyball.runtime import Runtime

EXPOSURES = "exposures"
"""The consumer that the releases of this machine's governor need."""
GOVERNOR, ONLINE = "governor", "online"
"""The lease of what learns, releases and watches; that of the consumers that write what is served, whose token goes
into the online stores."""
PARTITIONS = "partitions"
"""Stands for the leases of single partitions: workers that share the log hold some of them each."""
CONSUMER_SETS = {
    PARTITIONS: ("state", "history"),
    ONLINE: ("state_rebuild", "features"),
    "history": ("prediction_history",),
    EXPOSURES: ("exposures",),
}
"""{lease: the consumers of the log that its holder runs}; all others are of the lease `OTHERS`."""
OTHERS = "outcomes"
_WRITES = {ONLINE: "state", "history": "history", OTHERS: "outcomes"}
"""{lease: the store that its consumers write}; exposures are counted in a file of each machine that needs them."""
RENEWED_PER_LEASE, TRIED_PER_LEASE = 4, 10
"""How often a lease is renewed, and how often one that another holds is tried, in the time that it lasts."""

GIVE_BACK_S = 2.0
"""How long a process that ends waits until its leases are given back."""

lease_logger = logging.getLogger("flyball.leases")


def worker_leases(runtime: Runtime) -> list[str]:
    """The leases that the log worker of this machine needs: of the sets of consumers that write to shared stores."""
    of_sets = [name for name, store in _WRITES.items() if is_shared(runtime.settings, "registry", "events", store)]
    return [PARTITIONS, *of_sets] if shared_consumers(runtime) else of_sets


def shared_consumers(runtime: Runtime) -> list[str]:
    """The consumers that workers of several machines run at the same time, each for its partitions of the log."""
    return [name for name in CONSUMER_SETS[PARTITIONS] if is_shared(runtime.settings, "registry", "events", name)]


def lease_of(consumer: str) -> str:
    """The lease that a consumer of the log needs."""
    return next((name for name, consumers in CONSUMER_SETS.items() if consumer in consumers), OTHERS)


def holder_name(runtime: Runtime) -> str:
    """This process among all, such as "host-1:/srv/shop/home:4711"."""
    return f"{socket.gethostname()}:{runtime.home}:{os.getpid()}"


class LeaseRenewer:
    """Takes the lease `name` when it is free, and keeps it. `step` does either; `keeping` does so in a thread.

    `yields`: gives it back while another process has the lease of the whole log.

    While the registry is away the lease counts as held: nobody else can take it, and what is written is checked.
    """

    def __init__(self, runtime: Runtime, name: str, yields: bool = False) -> None:
        self._yields = yields
        self._url, self._name, self._holder = runtime.settings.registry, name, holder_name(runtime)
        self._for_us = parse_duration(runtime.settings.lease)
        self._lease: Lease | None = None
        self._trouble = ""
        self._stop = threading.Event()
        self._changed = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"lease {name}", daemon=True)

    @cached_property
    def _registry(self) -> Registry:
        return Registry(self._url)

    @property
    def lease(self) -> Lease | None:
        """The lease; None while another holds it."""
        return self._lease

    def start(self) -> None:
        """Take and keep it in a thread, until `ask_to_stop`."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the thread give the lease back and end."""
        self._stop.set()

    def join(self, within_s: float) -> None:
        """Wait for the end of the thread, at most so long: of a registry that does not answer, the lease expires."""
        if self._thread.is_alive():
            self._thread.join(within_s)

    def release(self) -> None:
        """Let others take it at once."""
        with self._changed:
            lease, self._lease = self._lease, None
            if lease is not None:
                try:
                    give_back(self._registry, lease)
                except Exception as error:  # it expires by itself
                    lease_logger.warning("lease %s could not be given back, and expires: %s", self._name, error)

    def lose(self) -> None:
        """Note that a write with its token was refused."""
        with self._changed:
            self._lease = None

    def step(self) -> float:
        """Take it or keep it; returns after how many seconds to do so again."""
        with self._changed:
            try:
                if self._yields and is_claimed_by_another(self._registry, self._holder):
                    if self._lease is not None:
                        give_back(self._registry, self._lease)
                    self._lease = None
                elif self._lease is None:
                    self._lease = take_lease(self._registry, self._name, self._holder, self._for_us)
                    if self._lease is not None:
                        lease_logger.warning("lease %s taken, token %d", self._name, self._lease.token)
                else:
                    self._lease = keep_lease(self._registry, self._lease, self._for_us)
                self._trouble = ""
            except LeaseLost as error:
                self._lease = None
                lease_logger.warning("%s", error)
            except Exception as error:  # the registry is away; whatever it is, the thread goes on and says so once
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    words = self._trouble if isinstance(error, FlyballError) else f"{type(error).__name__}: {error}"
                    lease_logger.warning("lease %s: %s", self._name, words)
            parts = TRIED_PER_LEASE if self._lease is None else RENEWED_PER_LEASE
        return self._for_us / 1e6 / parts

    def _run(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(self.step())
        self.release()
        self._registry.database.close()


@contextmanager
def keeping(renewers: Sequence[LeaseRenewer]) -> Iterator[None]:
    """Take and keep these leases meanwhile, then give all of them back at once, within `GIVE_BACK_S` seconds."""
    try:
        for renewer in renewers:
            renewer.start()
        yield
    finally:
        for renewer in renewers:
            renewer.ask_to_stop()
        watch = SystemStopwatch()
        began_s = watch.read_s()
        for renewer in renewers:
            renewer.join(max(0.0, GIVE_BACK_S - (watch.read_s() - began_s)))


def write_with(runtime: Runtime, lease: Lease | None) -> None:
    """Let the registry of a runtime write only while the lease is held; None: without one."""
    database = runtime.registry.database
    plain = database.unleased if isinstance(database, LeasedDatabase) else database
    runtime.registry.database = plain if lease is None else LeasedDatabase(plain, lease)


class WhileHeld:
    """What the loop of a leader waits for: `stop`, the end of its lease, or a removal (`paused`); `renewer` None: there
    are no leases."""

    def __init__(
        self, stop: threading.Event, renewer: LeaseRenewer | None, paused: Callable[[], bool] = lambda: False
    ) -> None:
        self._stop, self._renewer, self._paused = stop, renewer, paused
        lease = None if renewer is None else renewer.lease
        self._token = 0 if lease is None else lease.token

    def is_set(self) -> bool:
        """Whether the loop must end."""
        if self._stop.is_set() or self._renewer is None or self._paused():
            return self._stop.is_set() or self._paused()
        lease = self._renewer.lease
        return lease is None or lease.token != self._token

    def wait(self, seconds: float) -> bool:
        """Wait for `stop` at most so long; whether the loop must end."""
        self._stop.wait(seconds)
        return self.is_set()
