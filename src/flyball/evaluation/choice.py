"""Chooses the winner among the candidates that passed their gates."""

from collections.abc import Sequence

from flyball.core import Refused
from flyball.evaluation.report import Report
from flyball.policy import Choice

SAME_TIME = 1.25


def choose(choice: Choice, report: Report, names: Sequence[str]) -> tuple[str, str]:
    """(the winner among `names`, the reason as text).

    The winner has the best value of the deciding metric (`Report.deciding`). With `choice.cheapest` it is the fastest
    of those whose paired interval to the best includes 0. Times up to 25 % above the fastest count as equal, because
    each is measured once; among these the one with the better value wins. Ties: the faster, then by name. Raises
    `Refused` when none of `names` has the metric.
    """
    metric = report.deciding(choice.metric)
    value = {
        name: estimate.value
        for name in names
        if not report.of(name).failed and (estimate := report.estimate(metric, name)) is not None
    }
    if not value:
        raise Refused(
            f"choosing by {metric} must have a candidate with that metric, got {', '.join(names) or 'none'}: "
            "choose by another one, such as choose=fb.best(...) with a metric that flyball report shows"
        )
    cost = {name: report.of(name).cost.answer_us for name in value}

    def rank(name: str) -> tuple[float, float, str]:
        return -report.goodness(metric, value[name]), cost[name], name

    best = min(value, key=rank)
    words = f"{metric_words(report, choice.metric)} {value[best]:.4f}"
    if not choice.cheapest:
        return best, f"{best} has the best {words} of {len(value)}"
    near = [name for name in value if name == best or _includes_zero(report, metric, best, name)]
    quickest = min(cost[name] for name in near)
    winner = min([name for name in near if cost[name] <= SAME_TIME * quickest], key=rank)
    if winner == best:
        others = "no other candidate" if len(near) == 1 else f"none of the {len(near)} within noise of it"
        return best, f"{best} has the best {words}; {others} is as good and quicker"
    gap = report.difference(metric, best, winner)
    by = "" if gap is None else f" by {gap.text()}"
    return winner, (
        f"{winner} ({value[winner]:.4f}) answers in {cost[winner]:.0f} us, {best} in {cost[best]:.0f} us, and {best} "
        f"({words}) is better only within noise{by}"
    )


def metric_words(report: Report, metric: str) -> str:
    """The title of the deciding column: "ndcg@20", or "ndcg@20 (IPS)" with inverse propensity weighting."""
    return f"{metric} (IPS)" if report.deciding(metric).startswith("ips_") else metric


def _includes_zero(report: Report, metric: str, best: str, name: str) -> bool:
    gap = report.difference(metric, best, name)
    return gap is not None and (gap.low is None or gap.high is None or gap.low <= 0 <= gap.high)
