"""The splits of the published protocols: the training data, the test users, and what is withheld."""

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput
from flyball.models import Histories, Indexes, Interactions, histories_of, row_pointers, select_rows, take

TEST_SHARE, FOLD_IN_SHARE, HELD_OUT_USERS, TEMPORAL_SHARE = 0.25, 0.8, 0.2, 0.8
MAX_HELD_OUT = 10_000
_POSITIVE_SHARE = 0.8  # of the highest rating: 4 of 5 stars


class ListCases(msgspec.Struct, frozen=True):
    """Test users of ranked lists. `histories`: what may be known of each; `truth`: the withheld items, at least one."""

    train: Interactions
    histories: Histories
    truth: list[Indexes]


class RatingCases(msgspec.Struct, frozen=True):
    """Ratings to predict: row `rows[n]` of `histories` gave `items[n]` the rating `ratings[n]`."""

    train: Interactions
    histories: Histories
    rows: NDArray[np.int64]
    items: Indexes
    ratings: NDArray[np.float32]


ListSplit = Callable[[Interactions, int], list[ListCases]]
RatingSplit = Callable[[Interactions, int], list[RatingCases]]


def random_folds(data: Interactions, seed: int, folds: int = 5) -> list[RatingCases]:
    """`folds`-fold cross-validation over ratings.

    The folds equal those of `KFold(random_state=seed)` in Surprise and scikit-learn: the rows of the file are shuffled
    by NumPy's legacy generator, used for that reason, and cut in order.
    """
    data = _rated_rows(data)
    if len(data.user_index) < folds:
        raise BadInput("ratings for cross-validation", f"at least {folds}", len(data.user_index))
    order = np.random.RandomState(seed).permutation(len(data.user_index))
    cases = []
    for part in np.array_split(order, folds):
        withheld = np.zeros(len(order), dtype=bool)
        withheld[part] = True
        cases.append(rating_cases(select_rows(data, ~withheld), select_rows(data, withheld)))
    return cases


def rating_cases(train: Interactions, test: Interactions) -> RatingCases:
    """The rows of `test` as ratings to predict, with each user's history from `train`."""
    users, rows = np.unique(test.user_index, return_inverse=True)
    return RatingCases(train, histories_of(train, users), rows.astype(np.int64), test.item_index, test.ratings)


def stratified(data: Interactions, seed: int) -> list[ListCases]:
    """Each user's rows in random order: 75 % are training data, 25 % are withheld."""
    chance = np.random.default_rng(seed).random(len(data.user_index))
    order = np.lexsort((chance, data.user_index))
    indptr = row_pointers(data.user_index[order], len(data.users))
    sizes = np.diff(indptr)
    position = np.arange(len(order)) - np.repeat(indptr[:-1], sizes)
    kept = np.round((1 - TEST_SHARE) * sizes).astype(np.int64)
    withheld = np.zeros(len(order), dtype=bool)
    withheld[order] = position >= np.repeat(kept, sizes)
    return [_cases_of(select_rows(data, ~withheld), select_rows(data, withheld))]


def strong(data: Interactions, seed: int) -> list[ListCases]:
    """Strong generalization: test users are not in the training data; 80 % of their items are folded in, 20 % withheld.

    Ratings of at least 4/5 of the scale count; users need 5 of them. As in Liang et al., "Variational Autoencoders for
    Collaborative Filtering", WWW 2018, with the same draws (permutation and choice of NumPy's legacy generator; theirs
    have seed 98765). With at least 100,000 users, 10,000 are validation users (not used here) and 10,000 are test
    users. Smaller data sets would have too few test users, so all users are tested, in five folds.
    """
    liked = _with_enough(positive_rows(data), 5)
    users = np.unique(liked.user_index)
    if len(users) < 10:
        raise BadInput("users with 5 positive items", "at least 10", len(users))
    mixed = users[np.random.RandomState(seed).permutation(len(users))]
    if len(users) >= 10 * MAX_HELD_OUT:
        return [_folded(liked, mixed[: -2 * MAX_HELD_OUT], mixed[-MAX_HELD_OUT:], seed)]
    folds = np.array_split(mixed, round(1 / HELD_OUT_USERS))
    return [_folded(liked, np.setdiff1d(mixed, fold), fold, seed) for fold in folds]


def _folded(liked: Interactions, learners: Indexes, test_users: Indexes, seed: int) -> ListCases:
    train = select_rows(liked, np.isin(liked.user_index, learners))
    known = np.zeros(len(liked.items), dtype=bool)
    known[train.item_index] = True
    test_rows = select_rows(liked, np.isin(liked.user_index, test_users) & known[liked.item_index])
    withheld = np.zeros(len(test_rows.user_index), dtype=bool)
    draw = np.random.RandomState(seed)
    order = np.argsort(test_rows.user_index, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(test_rows.user_index[order])) + 1):
        if len(rows) >= 5:
            withheld[rows[draw.choice(len(rows), size=int((1 - FOLD_IN_SHARE) * len(rows) + 1e-9), replace=False)]] = (
                True
            )
    return _cases_of(select_rows(test_rows, ~withheld), select_rows(test_rows, withheld), train)


def leave_last_out(data: Interactions, seed: int) -> list[ListCases]:
    """Each user's last item is withheld; with equal times, the higher item number is the later. Users need 3 items."""
    order = np.lexsort((data.item_index, data.at_us, data.user_index))
    indptr = row_pointers(data.user_index[order], len(data.users))
    able = np.flatnonzero(np.diff(indptr) >= 3)
    withheld = np.zeros(len(order), dtype=bool)
    withheld[order[indptr[able + 1] - 1]] = True
    return [_cases_of(select_rows(data, ~withheld), select_rows(data, withheld))]


def temporal(data: Interactions, seed: int) -> list[ListCases]:
    """One split in time for all users: the first 80 % of the rows are training data.

    Test users are all, including new ones, who liked an item later that they had not rated before. Ratings of at least
    4/5 of the scale are positive; items with lower ratings only count as seen.
    """
    split_us = _timestamp(data)
    before = data.at_us < split_us
    train = select_rows(_unliked(data), before)
    later = positive_rows(select_rows(data, ~before))
    return [_cases_of(msgspec.structs.replace(train, as_of_us=split_us), later)]


def temporal_ratings(data: Interactions, seed: int) -> list[RatingCases]:
    """Ratings after the split of `temporal`, including those of new users, predicted from the ratings before it."""
    data = _rated_rows(data)
    before = data.at_us < _timestamp(data)
    return [rating_cases(select_rows(data, before), select_rows(data, ~before))]


def positive_rows(data: Interactions) -> Interactions:
    """The rows with at least 4/5 of the highest rating; all rows if there are no ratings."""
    if not len(data.ratings) or np.isnan(data.ratings).all():
        return data
    return select_rows(data, data.ratings >= _POSITIVE_SHARE * np.nanmax(data.ratings))


def _rated_rows(data: Interactions) -> Interactions:
    return select_rows(data, ~np.isnan(data.ratings))


def _unliked(data: Interactions) -> Interactions:
    """The same rows, with weight 0 (only seen) for those that are not positive."""
    if not len(data.ratings) or np.isnan(data.ratings).all():
        return data
    liked = data.ratings >= _POSITIVE_SHARE * np.nanmax(data.ratings)
    return msgspec.structs.replace(data, weights=np.where(liked, data.weights, 0.0).astype(np.float32))


def _timestamp(data: Interactions) -> int:
    if len(data.at_us) < 2:
        raise BadInput("rows for a split by time", "at least 2", len(data.at_us))
    return int(np.sort(data.at_us)[int(TEMPORAL_SHARE * len(data.at_us))])


def _with_enough(data: Interactions, rows: int) -> Interactions:
    return select_rows(data, np.bincount(data.user_index, minlength=len(data.users))[data.user_index] >= rows)


def _cases_of(known: Interactions, withheld: Interactions, train: Interactions | None = None) -> ListCases:
    """Test all users with withheld rows, with the rows of `known` as history. `train`: by default `known`."""
    users = np.unique(withheld.user_index)
    by_user = np.argsort(withheld.user_index, kind="stable")
    indptr = row_pointers(withheld.user_index[by_user], len(withheld.users))
    truth = [withheld.item_index[by_user[indptr[user] : indptr[user + 1]]] for user in users]
    return ListCases(known if train is None else train, histories_of(known, users), truth)


def some_users(cases: ListCases, count: int, seed: int) -> ListCases:
    """The same with `count` random test users, or with all if there are not more."""
    if len(cases.truth) <= count:
        return cases
    rows = np.sort(np.random.default_rng([seed, count]).permutation(len(cases.truth))[:count])
    return ListCases(cases.train, take(cases.histories, rows), [cases.truth[row] for row in rows.tolist()])


def sampled(cases: ListCases, count: int, by_popularity: bool, seed: int) -> NDArray[np.int32]:
    """For each test user, `count` distinct items that are neither in the history nor withheld: int32 (users, count).

    They are drawn uniformly or in proportion to popularity. If a user has too few such items, the row ends with -1.
    """
    items = len(cases.train.items)
    counts = np.bincount(cases.train.item_index, minlength=items).astype(np.float64)
    cumulative = np.cumsum(counts / counts.sum()) if by_popularity else None
    draw = np.random.default_rng([seed, int(by_popularity)])
    negatives = np.full((len(cases.truth), count), -1, dtype=np.int32)
    is_taken = np.zeros(items, dtype=bool)
    for row, truth in enumerate(cases.truth):
        own = cases.histories.items[cases.histories.indptr[row] : cases.histories.indptr[row + 1]]
        is_taken[own], is_taken[truth], size = True, True, 0
        for _ in range(20):  # rejection sampling: one round is enough except for users with very long histories
            more = draw.random(2 * count)
            drawn = (
                np.searchsorted(cumulative, more, side="right")
                if cumulative is not None
                else (more * items).astype(int)
            )
            drawn = np.minimum(drawn, items - 1)
            _, first = np.unique(drawn, return_index=True)
            fresh = drawn[np.sort(first)]
            fresh = fresh[~is_taken[fresh]][: count - size]
            negatives[row, size : size + len(fresh)], is_taken[fresh] = fresh, True
            size += len(fresh)
            if size == count:
                break
        is_taken[own], is_taken[truth], is_taken[negatives[row, :size]] = False, False, False
    return negatives
