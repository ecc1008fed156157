"""Made-up worlds of lists in which exposure feeds back on itself by a chosen strength."""

import numpy as np

from flyball.monitoring.exposure.lists import Consumed, ShownLists

DAY_US = 86_400_000_000


def loop_world(
    strength: float, seed: int, days: int = 30, daily: int = 200, items: int = 60, k: int = 5, share: float = 0.1
) -> tuple[ShownLists, Consumed]:
    """Lists of `days` days: each item's place is drawn by its appeal, and by how often it was shown in the week before.

    The weight of an item is appeal ** (1 - strength) * shown ** strength, so at strength 0 nothing that was shown
    matters, and at 1 nothing else does. A share of the lists is drawn uniformly; what is taken depends on appeal.
    """
    rng = np.random.default_rng(seed)
    appeal = 1.0 / np.arange(1, items + 1) ** 0.7
    counts = np.zeros((days, items))
    rows, at_us, flags = [], [], []
    for day in range(days):
        week = counts[max(0, day - 7) : day].sum(axis=0)
        past = week / week.sum() if week.sum() else appeal / appeal.sum()
        weight = (appeal / appeal.sum()) ** (1 - strength) * np.maximum(past, 1e-6) ** strength
        randomized = rng.random(daily) < share
        keys = np.log(np.where(randomized[:, None], 1.0, weight)) + rng.gumbel(size=(daily, items))
        chosen = np.argsort(-keys, axis=1)[:, :k]
        counts[day] = np.bincount(chosen.ravel(), minlength=items)
        rows.append(chosen)
        flags.append(randomized)
        at_us.append(day * DAY_US + np.sort(rng.integers(0, DAY_US, daily)))
    item = np.concatenate(rows).ravel()
    n = days * daily
    lists = ShownLists(
        at_us=np.concatenate(at_us),
        user=rng.integers(0, n // 4, n),
        version=np.full(n, "v1", object),
        randomized=np.concatenate(flags),
        row=np.repeat(np.arange(n), k),
        item=item,
        taken=rng.random(n * k) < 0.5 * appeal[item],
    )
    nothing = np.zeros(0, np.int64)
    consumption = Consumed(user=nothing, item=nothing, at_us=nothing, organic=np.zeros(0, bool), items=items)
    return lists, consumption
