"""Incidents in the governor: escalation, the end of their clocks, and the summary of a week."""

from flyball.core import FlyballError
from flyball.monitoring import escalate, send_digest
from flyball.runtime import Runtime


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
