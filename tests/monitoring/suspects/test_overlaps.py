"""Near-identical accounts: planted twins find each other, and what they have in common is counted by a loop."""

import numpy as np
import polars as pl

from flyball.monitoring import Actions, actions_of
from flyball.monitoring.suspects.overlaps import HOUR_US, lockstep_test, twin_test


def population(
    seed: int = 2, accounts: int = 80, twins: bool = True, apart_us: int = 0
) -> tuple[Actions, dict[str, set[str]]]:
    """Accounts of 10 of 300 targets at times of their own; `b` copies `a` but for one target, `apart_us` later."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"h{account}", f"t{target}", int(rng.integers(0, 500)) * HOUR_US + 1)
        for account in range(accounts)
        for target in rng.choice(300, 10, replace=False)
    ]
    own = [(f"t{target}", number * 3 * HOUR_US) for number, target in enumerate(rng.choice(300, 12, replace=False))]
    rows += [("a", target, at) for target, at in own]
    if twins:
        rows += [("b", target, at + apart_us) for target, at in own[:-1]]
    columns = {"account": pl.String, "target": pl.String, "at": pl.Int64}
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        kind=pl.lit("rate"), value=pl.lit(None, dtype=pl.Float64)
    )
    targets: dict[str, set[str]] = {}
    for account, target, _ in rows:
        targets.setdefault(account, set()).add(target)
    return actions_of(frame), targets


def oddest(actions: Actions, scores: np.ndarray) -> set[str]:
    return {actions.accounts[row] for row in np.argsort(-scores)[:2]}


def test_twins_score_most_and_say_what_they_have_in_common() -> None:
    actions, targets = population()
    test = twin_test(actions)
    assert oddest(actions, test.scores) == {"a", "b"}
    row = actions.accounts.index("b")
    common = len(targets["a"] & targets["b"])
    assert test.words(row).startswith(f"{common} of {len(targets['b'])} targets the same as of a (")


def test_without_twins_no_account_stands_out() -> None:
    actions, _ = population(twins=False)
    quiet = twin_test(actions).scores.max()
    planted, _ = population()
    assert twin_test(planted).scores.max() > 3 * max(quiet, 0.1)


def test_lockstep_needs_the_same_hours() -> None:
    together, _ = population()
    assert oddest(together, lockstep_test(together).scores) == {"a", "b"}
    apart, _ = population(apart_us=40 * HOUR_US)
    row = apart.accounts.index("b")
    assert lockstep_test(apart).scores[row] < lockstep_test(together).scores[together.accounts.index("b")] / 2
