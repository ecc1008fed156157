"""The schedule by which the governor removes what is older than the application keeps it.

A removal makes the governor stand aside, so its process outlives a round of governing: the schedule belongs to the
process of the governor, which also completes a removal by retention that was interrupted.
"""

from collections.abc import Callable, Mapping

import msgspec

from flyball.core import counted_units
from flyball.home import HomeLayout, interrupted_retention
from flyball.operations.process import ChildProcess, python_argv, start_child, tail
from flyball.operations.process_specs import ProcessSpec, log_path, read_report
from flyball.operations.single_process import SingleProcess
from flyball.operations.supervisor import Process

RETENTION = "retention"
"""The name of the process, of its log and of its report."""
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
FIRST_RETENTION_US = 600_000_000
"""How long after the start of a governor that has no report the first round begins."""

_UNITS = {"events": "event", "predictions": "answer", "quarantine": "refused line"}
"""{store: what is counted of it}."""


class RetentionReport(msgspec.Struct, frozen=True):
    """The last round of retention. `removed`: {store: how many records or lines}. `artifacts`: the versions whose files
    were deleted. `error`: why it failed."""

    at_us: int
    removed: dict[str, int] = {}
    artifacts: list[str] = []
    error: str = ""

    @property
    def words(self) -> str:
        """What was done, in a line."""
        if self.error:
            return f"retention failed: {self.error}"
        counts = [
            counted_units(count, _UNITS[name]) for name, count in self.removed.items() if count and name in _UNITS
        ]
        if self.artifacts:
            counts.append(f"the artifacts of {', '.join(self.artifacts)}")
        return f"retention removed {', '.join(counts)}" if counts else "retention had nothing to remove"


def retention_every_us(declared: Mapping[str, int]) -> int:
    """How often it is looked: a tenth of the shortest retention, at most once an hour and at least once a day.

    >>> retention_every_us({"watch": 400 * DAY_US}) / HOUR_US, retention_every_us({"watch": DAY_US}) / HOUR_US
    (24.0, 2.4)
    """
    return min(DAY_US, max(HOUR_US, min(declared.values(), default=DAY_US * 10) // 10))


class RetentionSchedule:
    """Starts `launch` when a round is due by the last report, one at a time; returns a line when there is news."""

    def __init__(self, layout: HomeLayout, every_us: int, launch: Callable[[], Process]) -> None:
        self._layout, self._every_us, self._round = layout, every_us, SingleProcess(launch)
        self._began_us: int | None = None

    def step(self, now_us: int, busy: bool = False) -> list[str]:
        """Start the process if it is due, or take in its end. `busy`: learning is under way, which is waited for."""
        if self._began_us is None or self._began_us > now_us:
            self._began_us = now_us
        if (code := self._round.ended()) is not None:
            return self._news(code)
        if self._round.process is None and not busy and self._is_due(now_us, self._began_us):
            self._round.start()
        return []

    def stop(self) -> None:
        """End the process, if there is one: what it has begun is completed after the next start."""
        self._round.kill()

    def _is_due(self, now_us: int, began_us: int) -> bool:
        last = read_report(self._layout.folder, RETENTION, RetentionReport)
        if interrupted_retention(self._layout):
            return last is None or not last.error or not last.at_us <= now_us < last.at_us + HOUR_US
        if last is None:
            return now_us >= began_us + FIRST_RETENTION_US
        pause_us = HOUR_US if last.error else self._every_us
        return not last.at_us - self._every_us <= now_us < last.at_us + pause_us  # or the clock was set back

    def _news(self, code: int) -> list[str]:
        report = read_report(self._layout.folder, RETENTION, RetentionReport)
        if code != 0 or report is None:
            return [f"retention failed: {tail(log_path(self._layout.folder, RETENTION)) or f'code {code}'}"]
        return [report.words] if report.error or report.artifacts or any(report.removed.values()) else []


def start_retention(spec: ProcessSpec) -> ChildProcess:
    """Start the process of a round of retention."""
    own = msgspec.structs.replace(spec, name=RETENTION, channel=-1)
    log = log_path(spec.settings.folder, RETENTION)
    return start_child(python_argv("flyball.removal.scheduled"), msgspec.json.encode(own), log)
