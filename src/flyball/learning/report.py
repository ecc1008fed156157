"""The reports of a run of learning: its progress, and the final report."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from flyball.registry import RunStatus
from flyball.tasks import Holdout

Stage = Literal["history", "snapshot", "examples", "fit", "evaluate", "refit", "register", "release"]


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
    [{"name", "passed", "reason"}]. `note`: a remark beside the metrics. `version`: its id once registered.
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


class LearnReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a run. `champion`: after the run; `released`: whether this run made it so; `reason`: why or why
    not.

    Candidates were evaluated on `requests` of `units` in the test window, the last at `last_request_us`. `metric`: the
    declared one to choose by; `decided_by`: the one whose values decided, such as an inverse-propensity-weighted one.
    `shown`: metrics to show first. `evaluation`: slices and other results.
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
    chosen: str = ""
    reason: str = ""
    released: bool = False
    champion: str | None = None
    champion_before: str | None = None
    seconds: float = 0.0
    notes: list[str] = []
