"""Pick the winner among those who passed."""

from collections.abc import Sequence

from flyball.core import Refused
from flyball.evaluation.report import LOWER_IS_BETTER, Report
from flyball.policy import Choice

SAME_TIME = 1.25


def choose(choice: Choice, report: Report, names: Sequence[str]) -> tuple[str, str]:
    """The winner among `names` and why, in words.

    The best has the highest mean (lowest for RMSE and MAE), of weighed targets where the report weighs them. With
    `choice.cheapest` the winner is the quickest of those whose paired interval to the best includes 0; times within a
    quarter of the quickest count as the same, as they are measured once, and the better one is taken. Ties: quicker,
    then by name. Raises `Refused` when none of `names` has the metric.
    """
    metric = choice.metric
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    able = [name for name in names if not report.of(name).failed and metric in report.of(name).figures]
    if not able:
        raise Refused(f"choosing by {metric} must have a candidate with that figure, got {', '.join(names) or 'none'}")
    value = {name: report.fair_value(metric, name) for name in able}
    cost = {name: report.of(name).cost.answer_us for name in able}
    best = min(able, key=lambda name: (-sign * value[name], cost[name], name))
    weighed = " weighed by the chance of finding" if report.weighs(metric) else ""
    told = f"{metric} {value[best]:.4f}{weighed}"
    if not choice.cheapest:
        return best, f"{best} has the best {told} of {len(able)}"
    near = [name for name in able if name == best or _includes_zero(report, metric, best, name)]
    quickest = min(cost[name] for name in near)
    quick = [name for name in near if cost[name] <= SAME_TIME * quickest]
    winner = min(quick, key=lambda name: (-sign * value[name], cost[name], name))
    if winner == best:
        others = "nothing else" if len(near) == 1 else f"of {len(near)} within noise of it none"
        return best, f"{best} has the best {told}; {others} is as good and quicker"
    gap = report.fair_difference(metric, best, winner)
    words = "" if gap is None else f" by {gap.text()}"
    return winner, (
        f"{winner} answers in {cost[winner]:.0f} us, {best} in {cost[best]:.0f} us, and {best} ({told}) is better only "
        f"within noise{words}"
    )


def _includes_zero(report: Report, metric: str, best: str, name: str) -> bool:
    gap = report.fair_difference(metric, best, name)
    return gap is not None and (gap.low is None or gap.high is None or gap.low <= 0 <= gap.high)
