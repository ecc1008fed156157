"""Incidents in the governor: escalation, the end of their clocks, the summary of a week, and sending notifications."""

import threading
from collections import deque

from flyball.core import BadSetting, FlyballError
from flyball.monitoring import NamedSink, deliver, escalate, open_sinks, send_digest
from flyball.runtime import Runtime

_DELIVER_S = 1.0


class IncidentControl:
    """Brings the incidents of a home up to date with the time; returns a line for each change, and for each new reason
    why it cannot."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._trouble = runtime, ""

    def step(self, now_us: int) -> list[str]:
        """Look at every incident once."""
        registry, plan = self._runtime.registry, self._runtime.app.alerts
        try:
            lines = escalate(registry, plan, now_us)
            summary = send_digest(registry, self._runtime.app.name, plan.digest_us, now_us)
        except FlyballError as error:  # the registry is unavailable: the next step tries again
            trouble, self._trouble = self._trouble, str(error)
            return [] if trouble == self._trouble else [f"incidents could not be looked at: {error}"]
        self._trouble = ""
        return [*lines, *([summary] if summary else [])]


class Delivery:
    """Sends notifications in a thread of its own, so that a slow sink delays nothing else.

    A crash or a stop in the middle loses none: what was not delivered is sent after the next start.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._stop = runtime, threading.Event()
        self._lines: deque[str] = deque(maxlen=100)
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the message under way, or leave it to the next start where that takes long."""
        self._stop.set()
        self._thread.join(timeout=2)

    def news(self) -> list[str]:
        """A line for each sink that began to fail, or works again, since the last call."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines

    def _run(self) -> None:
        try:
            sinks = open_sinks(self._runtime.settings.sinks)
        except BadSetting as error:
            self._lines.append(f"notifications go to the log alone: {error}")
            sinks = open_sinks(())
        while not self._stop.is_set():
            self._deliver(sinks)
            self._stop.wait(_DELIVER_S)

    def _deliver(self, sinks: list[NamedSink]) -> None:
        try:
            self._lines.extend(deliver(self._runtime.registry, sinks, self._runtime.clock.now_us()))
        except FlyballError as error:  # the registry is unavailable: the next round tries again
            trouble, self._trouble = self._trouble, str(error)
            if trouble != self._trouble:
                self._lines.append(f"notifications could not be read: {error}")
        else:
            self._trouble = ""
