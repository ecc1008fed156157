"""Measures of what lists show: how concentrated, how popular, how alike, each with a 95 % interval over users.

An interval comes from resampled users (Efron and Tibshirani 1993), because lists of a user are alike. A resample
repeats users, so its lists cover fewer items and are more concentrated than those of as many different users; the
resampled values are therefore shifted so that their mean is the value itself.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import sparse

from flyball.core import Doubles, SignedInts
from flyball.evaluation import Estimate, interval_of, resample_weights
from flyball.monitoring.exposure.lists import Consumed, ShownLists
from flyball.statistics import entropy_bits, gini_index, jaccard_matrix
from flyball.tasks import self_information

EXPOSURE_MEASURES: Mapping[str, str] = {
    "gini": "Gini index of how often each item of the catalog was shown: 0 all alike, 1 one item alone",
    "coverage": "share of the catalog that was shown at all",
    "entropy": "entropy of exposure in bits",
    "effective_items": "as many items, each shown as often, have the same entropy (2 ** entropy)",
    "popularity_shown": "mean number of users who had taken up a shown item before the period",
    "popularity_organic": "the same of what users took up without having been shown it",
    "popularity_lift": "(popularity_shown - popularity_organic) / popularity_organic",
    "novelty": "mean of -log2 of the share of users who had taken up a shown item before the period, in bits",
    "homogenization": "mean Jaccard index of lists that two users were shown on the same day",
}
"""{measure: what it is}; Gini, coverage and entropy depend on how many lists there are.

Sources: Gini index and entropy of exposure: Shani and Gunawardana, "Evaluating Recommendation Systems", 2011, 8.3.4.
Coverage: Ge, Delgado-Battenfeld and Jannach, RecSys 2010. Popularity lift: Abdollahpouri, Mansoury, Burke and
Mobasher, "The Connection Between Popularity Bias, Calibration, and Fairness in Recommendation", RecSys 2020. Novelty:
Zhou et al., PNAS 2010. Homogenization: Chaney, Stewart and Engelhardt, "How Algorithmic Confounding in Recommendation
Systems Increases Homogeneity and Decreases Utility", RecSys 2018.
"""

_RESAMPLES = 200
_LISTS_COMPARED = 600
_DAY_US = 86_400_000_000

Sample = Callable[[Doubles], Mapping[str, Doubles]]
"""Weights of users, (resamples, users) -> {measure: its value in each resample}."""


def measure_exposure(
    shown: ShownLists, consumption: Consumed, since_us: int, until_us: int, seed: int = 0
) -> dict[str, Estimate]:
    """The `EXPOSURE_MEASURES` of lists, with what was taken up in `[since_us, until_us)`; undefined ones are left out.

    The popularity of an item is the number of users who had it before `since_us`.
    """
    if not len(shown.item):
        return {}
    within = consumption.organic & (consumption.at_us >= since_us) & (consumption.at_us < until_us)
    users, codes = np.unique(np.concatenate([shown.user, consumption.user[within]]), return_inverse=True)
    of_list, of_consumption = codes[: len(shown)], codes[len(shown) :]
    items = 1 + max(int(shown.item.max()), int(consumption.item.max(initial=0)))
    popularity, all_users = consumption.popularity(since_us, items), consumption.users(since_us)
    samples = (
        _concentration(shown, of_list, len(users), consumption.items),
        _popularity(
            shown.item, of_list[shown.row], consumption.item[within], of_consumption, popularity, all_users, len(users)
        ),
        _likeness(shown, of_list, len(users), seed),
    )
    return _estimates(samples, len(users), seed)


def _estimates(samples: tuple[Sample, ...], users: int, seed: int) -> dict[str, Estimate]:
    drawn: dict[str, list[Doubles]] = {name: [] for name in EXPOSURE_MEASURES}
    values = {name: float(value[0]) for sample in samples for name, value in sample(np.ones((1, users))).items()}
    for weights in resample_weights(users, _RESAMPLES, seed):
        for sample in samples:
            for name, resampled in sample(weights).items():
                drawn[name].append(np.where(np.isfinite(resampled), resampled, np.nan))
    estimates = {}
    for name in EXPOSURE_MEASURES:
        if name in values and np.isfinite(values[name]):
            resampled = np.concatenate(drawn[name])
            known = resampled[~np.isnan(resampled)]
            centered = known - known.mean() + values[name] if len(known) else known
            estimates[name] = interval_of(values[name], centered, users)
    return estimates


def _concentration(shown: ShownLists, user: SignedInts, users: int, catalog: int) -> Sample:
    items, column = np.unique(shown.item, return_inverse=True)
    ones = np.ones(len(column))
    users_items = sparse.csr_matrix((ones, (user[shown.row], column)), (users, len(items)))
    n = max(catalog, len(items))

    def sample(weights: Doubles) -> dict[str, Doubles]:
        counts = np.asarray(weights @ users_items)
        entropy = entropy_bits(counts)
        return {
            "gini": gini_index(counts, n - len(items)),
            "coverage": np.asarray((counts > 0).sum(axis=1) / n),
            "entropy": entropy,
            "effective_items": np.asarray(2**entropy),
        }

    return sample


def _popularity(
    item: SignedInts,
    user: SignedInts,
    organic: SignedInts,
    organic_user: SignedInts,
    popularity: SignedInts,
    all_users: int,
    users: int,
) -> Sample:
    """`item`, `user`: of each item shown; `organic`, `organic_user`: of what was taken up without being shown."""
    sums = {
        "shown": np.bincount(user, minlength=users),
        "popularity_shown": np.bincount(user, popularity[item], users),
        "novelty": np.bincount(user, self_information(popularity, all_users)[item], users),
        "organic": np.bincount(organic_user, minlength=users),
        "popularity_organic": np.bincount(organic_user, popularity[organic], users),
    }
    table = np.stack([np.asarray(column, np.float64) for column in sums.values()], axis=1)

    def sample(weights: Doubles) -> dict[str, Doubles]:
        totals = dict(zip(sums, (weights @ table).T, strict=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            of_shown = totals["popularity_shown"] / totals["shown"]
            of_organic = totals["popularity_organic"] / totals["organic"]
            return {
                "popularity_shown": of_shown,
                "popularity_organic": of_organic,
                "popularity_lift": np.asarray(of_shown / of_organic - 1),
                "novelty": np.asarray(totals["novelty"] / totals["shown"]),
            }

    return sample


def _likeness(shown: ShownLists, user: SignedInts, users: int, seed: int) -> Sample:
    """Of the first list of a user on a day; of so many at most, drawn by `seed`."""
    day = shown.at_us // _DAY_US
    _, first = np.unique(np.stack([day, user]), axis=1, return_index=True)
    if len(first) > _LISTS_COMPARED:
        first = np.sort(np.random.default_rng(seed).choice(first, _LISTS_COMPARED, replace=False))
    chosen = np.zeros(len(shown), bool)
    chosen[first] = True
    kept, by, on = shown.only(chosen), user[chosen], day[chosen]
    shape = (len(kept), int(shown.item.max()) + 1)
    alike = jaccard_matrix(sparse.csr_matrix((np.ones(len(kept.item)), (kept.row, kept.item)), shape))
    pairs = ((on[:, None] == on[None, :]) & (by[:, None] != by[None, :])).astype(np.float64)

    def sample(weights: Doubles) -> dict[str, Doubles]:
        of_list = weights[:, by]
        with np.errstate(invalid="ignore", divide="ignore"):
            total = ((of_list @ (alike * pairs)) * of_list).sum(axis=1)
            return {"homogenization": np.asarray(total / ((of_list @ pairs) * of_list).sum(axis=1))}

    return sample
