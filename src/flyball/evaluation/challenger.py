"""A challenger: one model in an evaluation, with its role and what it learned."""

from typing import Any

import msgspec

from flyball.evaluation.report import CANDIDATE
from flyball.models import Artifact, kind_of
from flyball.tasks import ReadFeatures


class Challenger(msgspec.Struct, frozen=True):
    """A fitted candidate, baseline or champion. `failed`: the reason if there is no fitted model, else "".

    `role`: "candidate", "baseline" or "champion". `as_of_us`: its training data is what was known at this time, which
    must be before the test window. Otherwise `saw_test_window` must be set: its metrics are reported, but other models
    are not compared with them. `bytes`: size of its artifact. `train_s`: seconds the fit took. `features`: the source
    of the declared features that it reads.
    """

    name: str
    role: str = CANDIDATE
    model: Any = None
    artifact: Artifact | None = None
    as_of_us: int = 0
    train_s: float = 0.0
    bytes: int = 0
    failed: str = ""
    features: ReadFeatures | None = None
    saw_test_window: bool = False

    @property
    def kind(self) -> str:
        """The model's class, "" when unknown."""
        return "" if self.model is None else kind_of(self.model)
