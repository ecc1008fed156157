"""How the winner among candidates is chosen."""

import re

import msgspec

from flyball.core import BadDeclaration

LIST_METRICS = ("ndcg", "recall", "precision", "map", "hit_rate")
RATING_METRICS = ("rmse", "mae")
_METRIC = re.compile(rf"({'|'.join(LIST_METRICS)})@[1-9][0-9]{{0,2}}|{'|'.join(RATING_METRICS)}")


class Choice(msgspec.Struct, frozen=True):
    """Choose by `metric`; with `cheapest`, the cheapest of those not significantly below the best.

    `weigh`: each target counts by the inverse of the chance that its user came upon it.
    Raises `BadDeclaration` for a metric that no report has.
    """

    metric: str
    cheapest: bool
    weigh: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not _METRIC.fullmatch(self.metric):
            known = ", ".join([f"{name}@k" for name in LIST_METRICS] + list(RATING_METRICS))
            raise BadDeclaration("metric to choose by", f"one of {known}, such as ndcg@20", self.metric)


def best(metric: str, weigh: bool = True) -> Choice:
    """The highest `metric` wins.

    `weigh`: count what was liked by the inverse of the chance that its user came upon it: what is popular, and what the
    service itself showed, is found more easily than the rest. Without, whoever shows what is found anyway wins.
    """
    return Choice(metric, cheapest=False, weigh=weigh)


def cheapest_within_noise(metric: str, weigh: bool = True) -> Choice:
    """The cheapest (microseconds per answer) among the candidates whose paired interval to the best includes zero.

    `weigh` as in `best`.
    """
    return Choice(metric, cheapest=True, weigh=weigh)
