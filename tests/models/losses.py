"""The losses that solvers minimize, computed over all pairs."""

import numpy as np

from flyball.models import ImplicitALS, Interactions, positives
from flyball.models.data import histories_of


def _dense(data: Interactions) -> np.ndarray:
    liked = positives(data)
    users_items = np.zeros((len(data.users), len(data.items)))
    users_items[liked.user_index, liked.item_index] = liked.weights
    return users_items


def als_loss(model: ImplicitALS, data: Interactions) -> float:
    """The objective over all pairs, the users solved exactly for the items found."""
    learned = model.fit(data, 1)
    liked = positives(data)
    histories = histories_of(liked, np.arange(len(data.users)))
    x = model.folded(learned, histories).astype(np.float64)
    y = learned["item_factors"].astype(np.float64)
    known, alpha, reg = learned["settings"].tolist()
    wanted = _dense(data)
    fit = (1 + alpha * wanted) * ((wanted > 0) - x @ y.T) ** 2
    active, touched = (wanted > 0).sum(axis=1) > 0, (wanted > 0).sum(axis=0) > 0
    by_user = reg * (alpha * wanted.sum(axis=1) + known) ** model.nu
    by_item = reg * (alpha * wanted.sum(axis=0) + active.sum()) ** model.nu
    ridge = (by_user * (x**2).sum(axis=1)).sum() + (by_item * (y**2).sum(axis=1)).sum()
    return float(fit[np.ix_(active, touched)].sum() + ridge)
