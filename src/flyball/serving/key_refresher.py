"""Keeps the keys of a serving process up to date, in a thread of its own: loading a version must not delay a
revocation.

Keys are read twice a second. When the registry cannot be read those known stay in force until their end. The last use
of a key is written once a minute at most.
"""

import threading

from flyball.access import Authenticator
from flyball.core import Clock
from flyball.registry import access_keys, note_key_uses
from flyball.runtime import Runtime
from flyball.serving.metrics import ServingMetrics

READ_S = 0.5
USES_US = 60_000_000


class KeyRefresher:
    """`step` reads the keys once; `start` runs it again and again."""

    def __init__(self, runtime: Runtime, authenticator: Authenticator, metrics: ServingMetrics, clock: Clock) -> None:
        self._runtime, self._authenticator, self._metrics, self._clock = runtime, authenticator, metrics, clock
        self._used: dict[str, int] = {}
        self._write_us = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and write the last uses."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._write_us = 0
        self._note_uses(self._clock.now_us())

    def step(self) -> None:
        """Read the keys, and note what was used."""
        now_us = self._clock.now_us()
        try:
            keys = access_keys(self._runtime.registry)
            self._metrics.healed("poll", "keys")
        except Exception as error:  # the registry is away: the keys known stay, each until its end
            self._metrics.note("poll", "keys", error)
            known = self._authenticator.keys
            if known is None:
                return
            keys = list(known.values())
        self._authenticator.refresh(keys, now_us)
        self._note_uses(now_us)

    def _note_uses(self, now_us: int) -> None:
        self._used |= self._authenticator.uses(now_us)
        if not self._used or now_us < self._write_us:
            return
        self._write_us = now_us + USES_US
        try:
            note_key_uses(self._runtime.registry, self._used)
            self._used = {}
        except Exception as error:  # tried again in a minute
            self._metrics.note("poll", "keys", error)

    def _run(self) -> None:
        while not self._stop.wait(READ_S):
            self.step()
