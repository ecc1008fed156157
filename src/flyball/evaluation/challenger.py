"""A challenger: one model in an evaluation, with its role and what it learned."""

from typing import Any

import msgspec

from flyball.evaluation.report import CANDIDATE
from flyball.models import Artifact, kind_of
from flyball.tasks import ReadFeatures


class Challenger(msgspec.Struct, frozen=True):
    """A fitted candidate, baseline or champion, or with `failed` the reason why there is none.

    `role`: "candidate", "baseline" or "champion". `as_of_us`: the time its training data was known at; it must lie
    before the test window, unless `saw_test_window`: then its metrics are reported but are no measure for others.
    `bytes`: of its artifact. `train_s`: seconds it took to fit. `features`: what it reads declared features from.
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
