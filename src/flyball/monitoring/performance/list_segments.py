"""What is expected of lists before their outcomes are known: the losses of groups of users, reweighted.

Lists have no probabilities from which a loss could be expected. If the users who come are others than before, what is
taken changes for that reason alone; so the losses of groups, known from final labels, are weighted by how often each
group comes now. Source: Holt and Smith, "Post Stratification", JRSS A 1979. It says nothing of lists
that became worse for the same users.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from flyball.core import Doubles
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.performance.compared import window_p
from flyball.monitoring.performance.logged import Logged
from flyball.monitoring.performance.loss_windows import joined
from flyball.monitoring.performance.measured import LOSS_NAMES, losses
from flyball.statistics import e_of_p

FEWEST_LISTS = 30
"""Lists with final labels, at least, by which the loss of a group is known."""
MOST_UNKNOWN = 0.1
"""The share of lists, at most, that may be of groups whose loss is not known."""
_FEWEST_WINDOWS = 5
_Z = float(stats.norm.ppf(0.975))


class GroupLosses(Struct, frozen=True):
    """{group: its mean loss}, {group: the variance of that}, by lists whose labels are final."""

    means: dict[str, float]
    variances: dict[str, float]


def group_losses(reference: Logged, by: Sequence[str]) -> GroupLosses:
    """The losses of the groups of `by` that have enough lists with final labels."""
    known = reference.only(reference.labeled)
    groups, lost = groups_of_lists(known, by), losses(known)
    means, variances = dict[str, float](), dict[str, float]()
    for group in np.unique(groups).tolist():
        own = lost[groups == group]
        if len(own) >= FEWEST_LISTS:
            means[group] = float(own.mean())
            variances[group] = float((own.var() * len(own) + 0.25) / (len(own) + 1) / len(own))  # never certain
    return GroupLosses(means, variances)


def groups_of_lists(rows: Logged, by: Sequence[str]) -> NDArray[np.str_]:
    """The group of each list, of all attributes together."""
    columns = [rows.slices[name].tolist() for name in by]
    return np.array(["/".join(values) for values in zip(*columns, strict=True)], dtype=np.str_)


def expected_list_loss(rows: Logged, by: Sequence[str], known: GroupLosses) -> tuple[float, float] | None:
    """(the mean loss that is expected of these lists, its standard error); None if too many are of groups whose loss is
    not known, whose lists are left out otherwise."""
    groups, counts = np.unique(groups_of_lists(rows, by), return_counts=True)
    able = np.array([group in known.means for group in groups.tolist()], bool)
    if not len(rows) or counts[~able].sum() > MOST_UNKNOWN * len(rows):
        return None
    shares = counts[able] / counts[able].sum()
    means, variances = (
        np.array([values[group] for group in groups[able].tolist()]) for values in (known.means, known.variances)
    )
    return float(shares @ means), float(np.sqrt(shares**2 @ variances))


def observe_list_estimates(
    before: Sequence[Logged], now: Logged, by: Sequence[str], worse_by: float
) -> Iterator[Observation]:
    """The loss that is expected of the lists of a window, beside that of windows before it; nothing without groups."""
    windows = [part for part in before if len(part)]
    if now.kind != "list" or not by or not len(now) or len(windows) < _FEWEST_WINDOWS:
        return
    known = group_losses(joined(windows), by)
    estimate = expected_list_loss(now, by, known)
    values = [value[0] for value in (expected_list_loss(part, by, known) for part in windows) if value is not None]
    if estimate is None or len(values) < _FEWEST_WINDOWS:
        return
    yield _observation(now, estimate, np.array(values), worse_by)


def _observation(now: Logged, estimate: tuple[float, float], before: Doubles, worse_by: float) -> Observation:
    (new, error), old = estimate, float(before.mean())
    p = window_p(new, before) / 2 if new > old else 1.0
    reach = float(np.hypot(2 * before.std(ddof=1), _Z * error))
    message = (
        f"{LOSS_NAMES[now.kind]} of {now.label} is expected to be {new:.4g} instead of {old:.4g}, by the groups of the "
        f"users of {now.text} whose labels are not known yet"
    )
    evidence = {"loss": LOSS_NAMES[now.kind], "now": new, "before": old, "p": p, "predictions": len(now)}
    evidence |= {"low": new - old - reach, "high": new - old + reach}
    e_value = float(e_of_p([min(max(p, 1e-300), 1.0)])[0])
    matters = new >= old * (1 + worse_by)
    return Observation(
        "expected_performance", now.label, e_value, matters, message, "low", evidence=evidence, of_quality=True
    )
