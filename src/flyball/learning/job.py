"""The state that all steps of a run share."""

from pathlib import Path

from flyball.core import Stopwatch
from flyball.learning.challengers import Challengers, challengers_of
from flyball.learning.cleanup import WORK
from flyball.learning.report import Progress, ShowProgress, Stage
from flyball.policy import TrainWindow
from flyball.registry import Run
from flyball.runtime import Runtime


class Job:
    """One run of learning. `work`: its temporary folder; `notes`: go into the report.

    `windows`: the training windows that candidates are fitted on, the usual one first. `without`: whom it leaves out of
    training besides those that are held, {account: the share that counts}.
    """

    def __init__(
        self, runtime: Runtime, run: Run, show: ShowProgress, workers: int, seed: int, by: str, stopwatch: Stopwatch
    ) -> None:
        self.runtime, self.run = runtime, run
        self.workers, self.seed, self.by, self.stopwatch = workers, seed, by, stopwatch
        self.challengers: Challengers = challengers_of(runtime.app)
        self.work: Path = runtime.home / WORK
        self.notes: list[str] = []
        self.without: dict[str, float] = {}
        self.windows: tuple[TrainWindow, ...] = runtime.app.train_windows
        self._show = show
        self._started_s = stopwatch.read_s()

    @property
    def seconds(self) -> float:
        """The seconds since the run began."""
        return self.stopwatch.read_s() - self._started_s

    def report(self, stage: Stage, words: str, candidate: str = "", seconds: float | None = None) -> None:
        """Report a finished step and the `seconds` it took (default: since the run began)."""
        self._show(Progress(stage, candidate, self.seconds if seconds is None else seconds, words))
