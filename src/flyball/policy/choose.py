"""How the winner among candidates is chosen."""

import msgspec


class Choice(msgspec.Struct, frozen=True):
    """Choose by `metric`; with `cheapest`, the cheapest of those not significantly below the best."""

    metric: str
    cheapest: bool


def best(metric: str) -> Choice:
    """The highest `metric` wins."""
    return Choice(metric, cheapest=False)


def cheapest_within_noise(metric: str) -> Choice:
    """The cheapest (microseconds per answer) among the candidates whose paired interval to the best includes zero."""
    return Choice(metric, cheapest=True)
