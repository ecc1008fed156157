"""Groups by target and week: their members by a loop, and a planted rush on one target is the oddest."""

import numpy as np
import polars as pl

from flyball.monitoring import Actions, actions_of
from flyball.monitoring.suspects.account_test import FEWEST
from flyball.monitoring.suspects.groups import WEEK_US, groups_of


def population(seed: int = 3) -> Actions:
    """Accounts that each choose 6 of 12 targets over 8 weeks; 20 more give target `pushed` a 5 in week 4."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"h{account}", f"t{target}", int(rng.integers(0, 8 * WEEK_US)), float(rng.integers(2, 5)))
        for account in range(300)
        for target in rng.choice(12, 6, replace=False)
    ]
    rows += [(f"h{account}", "pushed", int(rng.integers(0, 8 * WEEK_US)), 3.0) for account in range(40)]
    rows += [(f"a{account}", "pushed", 4 * WEEK_US + account * 1_000, 5.0) for account in range(20)]
    columns = {"account": pl.String, "target": pl.String, "at": pl.Int64, "value": pl.Float64}
    return actions_of(pl.DataFrame(rows, schema=columns, orient="row").with_columns(kind=pl.lit("rate"))).pairs


def test_groups_are_the_accounts_of_a_target_in_a_week() -> None:
    pairs = population()
    p = np.random.default_rng(1).uniform(0.01, 1, (1, len(pairs.accounts)))
    found = groups_of(pairs, p, 0)
    members: dict[tuple[int, int], set[int]] = {}
    for account, target, at_us in zip(pairs.account.tolist(), pairs.target.tolist(), pairs.at_us.tolist(), strict=True):
        members.setdefault((target, at_us // WEEK_US), set()).add(account)
    expected = {key: own for key, own in members.items() if len(own) >= FEWEST}
    got = {
        (target, since_us // WEEK_US): {int(pairs.account[row]) for row in np.flatnonzero(found.group_of == number)}
        for number, (target, since_us) in enumerate(zip(found.target.tolist(), found.since_us.tolist(), strict=True))
    }
    assert got == expected


def test_accounts_that_rush_on_a_target_and_agree_are_the_oddest_group() -> None:
    pairs = population()
    p = np.ones((1, len(pairs.accounts)))
    for row, account in enumerate(pairs.accounts):
        p[0, row] = 0.05 if account.startswith("a") else 0.1 + 0.9 * ((row * 37) % 100) / 100
    found = groups_of(pairs, p, 0)
    oddest = int(found.p.argmin())
    assert pairs.targets[int(found.target[oddest])] == "pushed"
    assert found.since_us[oddest] == 4 * WEEK_US


def test_without_weeks_a_target_is_one_group() -> None:
    pairs = population()
    found = groups_of(pairs, np.ones((1, len(pairs.accounts))), None)
    assert len(found.p) == len(pairs.targets)
    assert set(found.since_us.tolist()) == {-1}
    assert (found.group_of >= 0).all()
