"""What every step of one run needs."""

from pathlib import Path

from flyball.core import Stopwatch
from flyball.learning.challengers import Challengers, challengers_of
from flyball.learning.cleanup import WORK
from flyball.learning.report import Progress, ShowProgress, Stage
from flyball.registry import Run
from flyball.runtime import Runtime


class Job:
    """One run of learning. `work`: a folder for what is needed only meanwhile; `notes` end up in the report."""

    def __init__(
        self, runtime: Runtime, run: Run, show: ShowProgress, workers: int, seed: int, by: str, stopwatch: Stopwatch
    ) -> None:
        self.runtime, self.run = runtime, run
        self.workers, self.seed, self.by, self.stopwatch = workers, seed, by, stopwatch
        self.challengers: Challengers = challengers_of(runtime.app)
        self.work: Path = runtime.home / WORK
        self.notes: list[str] = []
        self._show = show
        self._started_s = stopwatch.read_s()

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self.stopwatch.read_s() - self._started_s

    def report(self, stage: Stage, words: str, candidate: str = "", seconds: float | None = None) -> None:
        """Report that a step is done; `seconds` it took (default: since the run began)."""
        self._show(Progress(stage, candidate, self.seconds if seconds is None else seconds, words))
