"""What a serving process tells other machines by the registry, and learns from them: limits, and who was erased.

A thread of its own does it, since neither answers nor the keys may wait for it. While the registry is away each machine
goes on alone: by its own buckets, and with whom it knows to be erased.
"""

import threading

from flyball.runtime import Runtime
from flyball.serving.metrics import ServingMetrics
from flyball.serving.request_limits import RequestLimits

EVERY_S = 0.5


class OtherMachines:
    """`step` exchanges once; `start` runs it again and again, where the registry is on a server."""

    def __init__(self, runtime: Runtime, limits: RequestLimits, metrics: ServingMetrics) -> None:
        self._runtime, self._limits, self._metrics = runtime, limits, metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="machines", daemon=True)

    def start(self) -> None:
        if self._runtime.shares_registry:
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def step(self) -> None:
        """Exchange what there is; a failure is counted."""
        try:
            self._runtime.learn_erasures()
            self._limits.step()
            self._metrics.healed("poll", "machines")
        except Exception as error:  # the registry is away
            self._metrics.note("poll", "machines", error)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.step()
