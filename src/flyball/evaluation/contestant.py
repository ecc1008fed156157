"""Whom to judge, and by what."""

import re

import msgspec

from flyball.core import BadDeclaration
from flyball.evaluation.ranking_metrics import ACCURACY
from flyball.evaluation.report import CANDIDATE
from flyball.models import Artifact, Recommender, kind_of
from flyball.tasks import ReadFeatures

RATING_METRICS = ("rmse", "mae")
_METRIC = re.compile(r"([a-z_]+)@([1-9][0-9]{0,2})")


class Contestant(msgspec.Struct, frozen=True):
    """A fitted model, or with `failed` the reason why there is none.

    `role`: "candidate", "baseline" or "champion". `as_of_us`: the instant its training data was known at; it must lie
    before the split, unless `flattered`: then its figures are told but are no measure for others. `bytes`: of its
    artifact. `train_s`: seconds it took to fit. `features`: what it reads declared features from, if it does.
    """

    name: str
    role: str = CANDIDATE
    model: Recommender | None = None
    artifact: Artifact | None = None
    as_of_us: int = 0
    train_s: float = 0.0
    bytes: int = 0
    failed: str = ""
    features: ReadFeatures | None = None
    flattered: bool = False

    @property
    def kind(self) -> str:
        """The model's class, "" when unknown."""
        return "" if self.model is None else kind_of(self.model)


def parse_metric(text: str) -> tuple[str, int | None]:
    """What a report calls a figure that candidates can be chosen by; raises `BadDeclaration` listing what there is.

    >>> parse_metric("ndcg@20"), parse_metric("rmse")
    (('ndcg', 20), ('rmse', None))
    """
    if text in RATING_METRICS:
        return text, None
    match = _METRIC.fullmatch(text)
    if match is None or match[1] not in ACCURACY:
        known = ", ".join([f"{name}@k" for name in ACCURACY] + list(RATING_METRICS))
        raise BadDeclaration("metric", f"one of {known}", text)
    return match[1], int(match[2])
