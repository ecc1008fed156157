"""How the winner among candidates is chosen."""

import msgspec

from flyball.policy.metrics import parse_metric


class Choice(msgspec.Struct, frozen=True):
    """Choose by `metric`; with `cheapest`, the cheapest of those that are not significantly worse than the best.

    `ips`: use inverse propensity weighting if the task supports it. Raises `BadDeclaration` for a text that cannot be
    the name of a metric. The task defines which metrics exist.
    """

    metric: str
    cheapest: bool
    ips: bool = True

    def __post_init__(self) -> None:
        parse_metric(self.metric)


def best(metric: str, ips: bool = True) -> Choice:
    """The candidate with the best `metric` wins: the highest value, or the lowest of an error.

    `ips`: inverse propensity weighting. Each positive is weighted by the inverse of the estimated probability that its
    user came across the item. Users come across popular items, and items that the service shows, more often than
    others. Without the weights, a model that recommends what users find anyway would win.
    """
    return Choice(metric, cheapest=False, ips=ips)


def cheapest_within_noise(metric: str, ips: bool = True) -> Choice:
    """The fastest candidate wins, among those whose paired interval to the best includes zero.

    Speed: median microseconds of a response. `ips`: as in `best`.
    """
    return Choice(metric, cheapest=True, ips=ips)
