"""The reports of a run of learning: its progress, and the final report."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from flyball.core import format_second
from flyball.evaluation import Estimate
from flyball.registry import RunStatus
from flyball.tasks import Holdout

Stage = Literal["history", "snapshot", "examples", "fit", "served", "evaluate", "refit", "register", "release"]


class Progress(msgspec.Struct, frozen=True):
    """A finished step: its `stage`, the candidate ("" for all), the seconds, and a description."""

    stage: Stage
    candidate: str
    seconds: float
    words: str

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s  {self.stage:<8}  {self.candidate:<12}  {self.words}".rstrip()


ShowProgress = Callable[[Progress], object]


def failure_text(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]


class CandidateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report on one challenger.

    `role`: "candidate", "baseline" or "champion". `outcome`: "passed", "rejected", or "compared" for a challenger that
    only serves as a reference. `reason`: why it was rejected. `metrics`: {name: {"value", "low", "high"}}; `gates`:
    [{"name", "passed", "reason"}]. `note`: a remark beside the metrics. `version`: its id once registered. `window`:
    the training window it was fitted on and why, in words, "" where nothing but "all" is declared.
    """

    name: str
    role: Literal["candidate", "baseline", "champion"]
    outcome: Literal["passed", "rejected", "compared"]
    reason: str = ""
    version: str = ""
    metrics: dict[str, Any] = {}
    note: str = ""
    cost: dict[str, float] = {}
    gates: list[dict[str, Any]] = []
    window: str = ""


class TrainingReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the champion's `candidate` was trained, where the application declares that it continues.

    `sentence`: from what, or why on everything. `seconds`: of continuing; `fit_s`: of a fit on everything, in this run
    or the last one that had one; None for what was not measured yet. `difference`: of `metric`, the continued model's
    minus the fitted one's on the same requests; None where only one of them was evaluated.
    """

    candidate: str
    sentence: str
    seconds: float | None = None
    fit_s: float | None = None
    metric: str = ""
    difference: Estimate | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as long a fit on everything takes."""
        return self.fit_s / self.seconds if self.seconds and self.fit_s else None

    def __str__(self) -> str:
        words = f"{self.candidate} {self.sentence}" if self.candidate else self.sentence
        if self.ratio is not None:
            took = f"continuing took {self.seconds:.2f} s, a fit on everything {self.fit_s:.2f} s"
            words += f"; {took}: {self.ratio:.1f} times as long"
        if self.difference is not None:
            words += f"; {self.metric} of the continued minus that of the fitted: {self.difference.text()}"
        return words


class ServedComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate of the champion's recipe beside the champion as it serves.

    Fitted on what was known before `from_us`, evaluated on `requests`, as many as `size` says, from then on. `own` and
    `champion`: the values of `metric`; `difference`: the candidate's minus the champion's. `missing`: why there is no
    comparison, "" where there is one.
    """

    version: str
    candidate: str
    missing: str = ""
    metric: str = ""
    from_us: int = 0
    requests: int = 0
    size: str = ""
    own: Estimate | None = None
    champion: Estimate | None = None
    difference: Estimate | None = None

    def __str__(self) -> str:
        if self.missing or self.own is None or self.champion is None or self.difference is None:
            return f"{self.candidate} is not compared with {self.version} as it serves: {self.missing}"
        return (
            f"{self.candidate}, fitted on what was known before {format_second(self.from_us)}, beside {self.version} "
            f"as it serves, on {self.size} since then, which neither has seen: {self.metric} {self.own.value:.4f} and "
            f"{self.champion.value:.4f}, difference {self.difference.text()}"
        )


class LearnReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a run. `champion`: after the run; `released`: whether this run made it so; `reason`: why or why
    not.

    Candidates were evaluated on `requests` of `units` in the test window, the last at `last_request_us`. `metric`: the
    declared one to choose by; `decided_by`: the one whose values decided, such as an inverse-propensity-weighted one.
    `shown`: metrics to show first. `training`: None where all are fitted on everything. `served`: the comparison
    with the champion as it serves, where all others are with its recipe. `evaluation`: slices and other
    results.
    """

    run: str
    app: str
    status: RunStatus
    as_of_us: int
    seed: int
    snapshot: str = ""
    events: dict[str, int] = {}
    window: Holdout | None = None
    units: int = 0
    requests: int = 0
    last_request_us: int = 0
    metric: str = ""
    decided_by: str = ""
    shown: list[str] = []
    candidates: list[CandidateReport] = []
    evaluation: dict[str, Any] = {}
    training: TrainingReport | None = None
    served: ServedComparison | None = None
    chosen: str = ""
    reason: str = ""
    released: bool = False
    champion: str | None = None
    champion_before: str | None = None
    seconds: float = 0.0
    notes: list[str] = []
