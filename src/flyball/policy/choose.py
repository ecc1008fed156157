"""How the winner among candidates is chosen."""

import msgspec

from flyball.policy.metrics import parse_metric


class Choice(msgspec.Struct, frozen=True):
    """Choose by `metric`; with `cheapest`, the cheapest of those not significantly below the best.

    `ips`: use inverse propensity weighting where the task has it. Raises `BadDeclaration` for what cannot be the name
    of a metric; which metrics there are, the task says.
    """

    metric: str
    cheapest: bool
    ips: bool = True

    def __post_init__(self) -> None:
        parse_metric(self.metric)


def best(metric: str, ips: bool = True) -> Choice:
    """The best `metric` wins: the highest, or the lowest of an error.

    `ips`: inverse propensity weighting: each positive counts by the inverse of the estimated probability that its user
    came upon the item. What is popular, and what the service itself showed, is found more easily than the rest;
    without the weights, whoever shows what is found anyway wins.
    """
    return Choice(metric, cheapest=False, ips=ips)


def cheapest_within_noise(metric: str, ips: bool = True) -> Choice:
    """The cheapest (microseconds per answer) among the candidates whose paired interval to the best includes zero.

    `ips` as in `best`.
    """
    return Choice(metric, cheapest=True, ips=ips)
