"""How the winner among candidates is chosen."""

import msgspec


class Choice(msgspec.Struct, frozen=True):
    """Choose by `metric`; with `cheapest`, the cheapest of those not significantly below the best.

    `weigh`: each target counts by the inverse of the chance that its user came upon it.
    """

    metric: str
    cheapest: bool
    weigh: bool = True


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
