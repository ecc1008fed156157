"""What a run of learning reports, while it runs and at its end."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from flyball.registry import RunStatus
from flyball.tasks import Holdout

Stage = Literal["history", "snapshot", "examples", "fit", "evaluate", "refit", "register", "release"]


class Progress(msgspec.Struct, frozen=True):
    """One step is done: `stage`, of which candidate ("" for all), after how many seconds, and a few words."""

    stage: Stage
    candidate: str
    seconds: float
    words: str

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s  {self.stage:<8}  {self.candidate:<12}  {self.words}".rstrip()


ShowProgress = Callable[[Progress], object]


def failure_text(error: Exception) -> str:
    """A failure in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]


class CandidateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one challenger.

    `role`: "candidate", "baseline" or "champion". `outcome`: "passed", "rejected", or "compared" for what is only
    there for comparison. `reason`: why it was rejected. `metrics`: {name: {"value", "low", "high"}}; `gates`:
    [{"name", "passed", "reason"}]. `note`: what the metrics do not show. `version`: its id once registered.
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
    """One run. `champion` serves after it; `released` tells whether this run put it there, `reason` why or why not.

    Candidates were evaluated on `requests` of `units` in the test window, the last at
    `last_request_us`. `metric`: the one to choose by, `decided_by`:
    the one whose values decided, such as an inverse-propensity-weighted one. `shown`: metrics to show first. Slices and
    whatever else the evaluation gave lie in `evaluation`.
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
