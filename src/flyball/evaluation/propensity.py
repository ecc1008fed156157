"""Comparing recommenders fairly on likes that were easier to come by for some items than for others.

What was liked in a log is what was *found* and liked. Users find what everybody talks about, and what the service
shows them, far more often than the rest: likes are missing, and not at random. Whoever shows what is found anyway, and
whoever is like the version that served, looks better than they are.

So each target counts by the inverse of the chance that its user came upon it (inverse propensities, normalised by
their sum). Chances are told in units of users who had touched an item before:

- Unaided, a user comes upon an item in proportion to how many had touched it.
- Showing it at some place adds to that. How much is seen in the window itself: shown items were liked `s` times as
  often, per showing, as a unit of touched users made others liked; what exceeds their own touched users is the lift of
  that place. Places are taken together as 1, 2-3, 4-7, 8-15 and beyond, each drawn towards the mean of all. Where lists
  changed nothing the lift is 0.

Both say too much: an item is touched, and shown, also because it is liked. So a quarter of the lift counts, and chances
are taken to the power 3/4. These two were set on four simulated movie worlds (seeds 1, 2, 3, 5), so that on average
neither the champion nor others gain; the full values favoured whatever is unlike the champion by half. They are no law:
where users find things by popularity alone, they err towards the champion.

Small chances make large weights, and few targets decide: chances below a floor count as the floor, which is raised
until the weights are worth enough targets (Kish's effective number, (sum w)^2 / sum w^2).

Sources: Schnabel, Swaminathan, Singh, Chandak, Joachims: "Recommendations as Treatments", ICML 2016 (inverse
propensities); Swaminathan, Joachims: "The Self-Normalized Estimator for Counterfactual Learning", NIPS 2015; Yang, Cui,
Xuan, Wang, Belongie, Estrin: "Unbiased Offline Recommender Evaluation for Missing-Not-At-Random Implicit Feedback",
RecSys 2018 (popularity as propensity); Joachims, Swaminathan, Schnabel: "Unbiased Learning-to-Rank with Biased
Feedback", WSDM 2017 (propensities by place).
"""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.evaluation.bench import Bench
from flyball.evaluation.estimates import bootstrap_means, interval_of
from flyball.evaluation.report import Figures, Weighed

LIFT_SHARE, POWER = 0.25, 0.75
LEAST_SHARE = 0.25
"""The floor is raised until the weights are worth this share of the targets."""

_PLACES = (1, 3, 7, 15)
_DRAWN = 5.0  # how many likes the mean of all places counts for in each group of places

Shown = Mapping[str, Mapping[str, int]]
"""{user: {item: the best place, from 0, at which a list held it}}."""


def weigh(
    bench: Bench, lists: Mapping[str, NDArray[np.int32]], shown: Shown, *, least: int, seed: int, resamples: int
) -> Weighed:
    """The figures of all who made `lists`, {contestant: places (users, k)}, with each target counted by its weight.

    They decide when the weights are worth `least` targets or more. `metric@k` of one target at rank r <= k (from 1) is
    1/log2(r + 1) for ndcg, 1/r for map, 1 for the others; a figure is the weighted mean over targets.
    """
    owners, items = bench.targets()
    place = np.array(
        [
            shown.get(user, {}).get(item, -1)
            for user, wanted in zip(bench.cases.users, bench.cases.truth, strict=True)
            for item in wanted
        ],
        np.int64,
    )
    touched = bench.touched().astype(np.float64)
    lifts = _lifts(bench, shown, touched, place)
    chance = (touched[items] + 1.0 + np.where(place >= 0, LIFT_SHARE * lifts[_group(place)], 0.0)) ** POWER
    weights, floor = _weights(chance, least)
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    told = Weighed(
        targets=len(items),
        targets_shown=int((place >= 0).sum()),
        users_shown=sum(bool(shown.get(user)) for user in bench.cases.users),
        lifts=[float(lift) for lift in lifts],
        floor=floor,
        effective=effective,
        decides=effective >= least,
    )
    return _figures(told, bench, lists, owners, items, weights, seed, resamples) if told.decides else told


def _figures(
    told: Weighed,
    bench: Bench,
    lists: Mapping[str, NDArray[np.int32]],
    owners: NDArray[np.int64],
    items: NDArray[np.int64],
    weights: NDArray[np.float64],
    seed: int,
    resamples: int,
) -> Weighed:
    users = len(bench.cases.users)
    columns, names = [np.bincount(owners, weights, users)], list[tuple[str, str]]()
    for name, places in lists.items():
        found = places[owners] == items[:, None]
        rank = np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0)
        for k in bench.cutoffs:
            for metric, gain in _gains(rank, k).items():
                names.append((name, f"{metric}@{k}"))
                columns.append(np.bincount(owners, weights * gain, users))
    table = np.stack(columns, axis=1)
    sums = bootstrap_means(table, seed, resamples)
    value = table[:, 1:].sum(axis=0) / table[:, 0].sum()
    drawn = sums[:, 1:] / np.maximum(sums[:, :1], 1e-300)
    figures: dict[str, Figures] = {name: {} for name in lists}
    differences: dict[str, dict[str, Figures]] = {}
    for at, (name, metric) in enumerate(names):
        figures[name][metric] = interval_of(float(value[at]), drawn[:, at], users)
        for other_at in range(at + 1, len(names)):
            other, same = names[other_at]
            if same == metric:
                gap = interval_of(float(value[at] - value[other_at]), drawn[:, at] - drawn[:, other_at], users)
                differences.setdefault(metric, {}).setdefault(name, {})[other] = gap
    return msgspec.structs.replace(told, figures=figures, differences=differences)


def _gains(rank: NDArray[np.int64], k: int) -> dict[str, NDArray[np.float64]]:
    hit = ((rank >= 1) & (rank <= k)).astype(np.float64)
    safe = np.maximum(rank, 1)
    return {
        "ndcg": hit / np.log2(safe + 1), "map": hit / safe, "recall": hit, "precision": hit, "hit_rate": hit,
    }  # fmt: skip


def _lifts(bench: Bench, shown: Shown, touched: NDArray[np.float64], place: NDArray[np.int64]) -> NDArray[np.float64]:
    """What showing adds to the chance, by group of places, in touched users."""
    groups = len(_PLACES) + 1
    showings, own = np.zeros(groups), np.zeros(groups)
    for user, history in zip(bench.cases.users, bench.cases.histories, strict=True):
        fresh = [(at, bench.number_of(item)) for item, at in shown.get(user, {}).items() if item not in history.seen]
        for at, number in fresh:
            group = int(_group(np.array([at]))[0])
            showings[group] += 1
            own[group] += touched[number] + 1.0 if 0 <= number < len(touched) else 1.0
    liked = np.bincount(_group(place[place >= 0]), minlength=groups)[:groups].astype(np.float64)
    unaided = float((place < 0).sum()) + 1.0
    a_unit = unaided / (len(bench.cases.users) * (touched.sum() + len(touched)))
    if not showings.sum():
        return np.zeros(groups)
    mean = max(liked.sum(), 1.0) / showings.sum()
    rate = (liked + _DRAWN) / (showings + _DRAWN / mean)
    lifts: NDArray[np.float64] = np.maximum(rate / a_unit - own / np.maximum(showings, 1.0), 0.0)
    return lifts


def _group(place: NDArray[np.int64]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.searchsorted(np.array(_PLACES), place, side="right")
    return found


def _weights(chance: NDArray[np.float64], least: int) -> tuple[NDArray[np.float64], float]:
    floor = 1.0
    while True:
        weights = 1.0 / np.maximum(chance, floor)
        effective = weights.sum() ** 2 / (weights**2).sum()
        if effective >= max(min(least, len(chance)), LEAST_SHARE * len(chance)) or floor >= chance.max():
            return weights / weights.mean(), floor
        floor *= 1.25
