"""Whose labels are late or missing, and whether the predictions that are evaluated came at other times than all others.

Predictions are evaluated once their label is final. Some groups' labels may never come (nothing is known of a declined
payment), or those of some hours; then a group is evaluated on a part of its predictions that is not like the rest. The
reweighted metrics count each evaluated prediction by how many predictions of its group and hours there are for it
(post-stratification: Holt and Smith, JRSS A 1979); where they differ from the plain ones, times matter.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles, SignedInts
from flyball.evaluation import Estimate, GroupComparison
from flyball.monitoring.fairness.live import compare_live, with_weights
from flyball.monitoring.performance.logged import Logged
from flyball.statistics import quantile_interval

HOURS = 3
"""The length of the parts of a day, in hours, whose shares are compared."""
AGES = (0.25, 0.5, 0.75)
"""Parts of the time that a label takes to be final."""
_FEWEST = 10
_DRAWS = 400


class GroupSampling(Struct, frozen=True):
    """The predictions of one group that are old enough for a final label, and those of them that have one.

    `answers`, `labeled`: their numbers; `share`: of the group among all answers and among all that are labeled, so
    `labeled_share` above `share` is a group that is evaluated more than it is asked. `arrives_us`: the median time from
    a prediction to the first event of its label, where it holds, with its 95 % interval; None with fewer than ten.
    `known_by`: the share of labels that hold which were known at a quarter, half and three quarters of the time that a
    label takes. `distance`: of the times of day of the labeled from those of all (total variation, 0 to 1); `p`: of so
    large a distance by chance. `uncovered`: the share of predictions at times of day without any labeled one.
    """

    group: str
    answers: int
    labeled: int
    share: float
    labeled_share: float
    arrives_us: Estimate | None
    known_by: tuple[float, ...]
    distance: float
    p: float
    uncovered: float


class SamplingTimes(Struct, frozen=True):
    """The sampling of each group of `by`, and the comparison with each prediction counted as often as predictions of
    its group and time of day were made."""

    by: str
    groups: tuple[GroupSampling, ...]
    reweighted: GroupComparison


def sampling_times(
    rows: Logged, by: str, hour_of: SignedInts, within_us: int, *, seed: int = 0, attributes: int = 1
) -> SamplingTimes:
    """Compare the labeled with all `rows` that are old enough. `hour_of`: int64 (rows,), the hour of the day of each.

    Raises `BadInput` where no prediction is old enough.
    """
    old = rows.mature
    if not old.any():
        raise BadInput("predictions to compare groups by", "so old that their labels are final", 0)
    mature, part_of = rows.only(old), hour_of[old] // HOURS
    names = np.unique(mature.slices[by]).tolist()
    factors = np.zeros(len(mature))
    groups, rng = [], np.random.default_rng(seed)
    for name in names:
        own = mature.slices[by] == name
        known = own & mature.labeled
        factors[known] = _factors(part_of[own], part_of[known])
        groups.append(_group(mature, name, own, known, part_of, within_us, len(names), rng))
    reweighted = compare_live(with_weights(mature, factors).only(mature.labeled), by, seed=seed, attributes=attributes)
    return SamplingTimes(by, tuple(sorted(groups, key=lambda group: -group.answers)), reweighted)


def _group(
    rows: Logged,
    name: str,
    own: NDArray[np.bool_],
    known: NDArray[np.bool_],
    part_of: SignedInts,
    within_us: int,
    groups: int,
    rng: np.random.Generator,
) -> GroupSampling:
    waits = np.zeros(0) if rows.known_after_us is None else rows.known_after_us[known & (rows.known_after_us >= 0)]
    counts = np.bincount(part_of[own], minlength=24 // HOURS), np.bincount(part_of[known], minlength=24 // HOURS)
    distance, p = _distance(*counts, rng)
    return GroupSampling(
        group=name,
        answers=int(own.sum()),
        labeled=int(known.sum()),
        share=float(own.sum() / len(rows)),
        labeled_share=float(known.sum() / max(int(rows.labeled.sum()), 1)),
        arrives_us=_median(waits, groups),
        known_by=tuple(float((waits <= age * within_us).mean()) for age in AGES) if len(waits) >= _FEWEST else (),
        distance=distance,
        p=p,
        uncovered=float(counts[0][counts[1] == 0].sum() / max(int(own.sum()), 1)),
    )


def _factors(all_parts: SignedInts, known_parts: SignedInts) -> Doubles:
    """How many predictions each known one stands for: those of its part of the day over the known ones of it."""
    made, known = (np.bincount(parts, minlength=24 // HOURS) for parts in (all_parts, known_parts))
    return np.asarray(made[known_parts] / known[known_parts])


def _distance(made: SignedInts, known: SignedInts, rng: np.random.Generator) -> tuple[float, float]:
    """(total variation of the known from all that were made, p): the known are drawn from the made without regard to
    times in the null hypothesis, so a multivariate hypergeometric distribution says what chance does."""
    if not known.sum():
        return 0.0, 1.0
    shares = made / made.sum()
    own = float(np.abs(known / known.sum() - shares).sum() / 2)
    drawn = rng.multivariate_hypergeometric(made, int(known.sum()), _DRAWS, method="marginals")
    distances = np.abs(drawn / known.sum() - shares).sum(axis=1) / 2
    return own, float((1 + (distances >= own - 1e-12).sum()) / (1 + _DRAWS))


def _median(waits: Sequence[int] | NDArray[np.generic], groups: int) -> Estimate | None:
    """The median with an interval that counts all groups."""
    if len(waits) < _FEWEST:
        return None
    value, low, high = quantile_interval(np.asarray(waits, np.float64), 0.5, 0.05 / groups)
    return Estimate(value, low if np.isfinite(low) else None, high if np.isfinite(high) else None)
