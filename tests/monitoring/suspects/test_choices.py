"""What accounts choose and how they value it, against loops over all pairs, with one planted odd account each."""

import numpy as np
import polars as pl

from flyball.monitoring import Actions, actions_of
from flyball.monitoring.suspects.account_test import FEWEST
from flyball.monitoring.suspects.choices import deviation_test, rare_test, values_test

Row = tuple[str, str, float]


def population(seed: int = 1, accounts: int = 60, odd: list[Row] | None = None) -> tuple[Actions, list[Row]]:
    """Each honest account rates 8 of 20 targets at about 3; `odd`: the rows of one more."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"h{account}", f"t{target}", float(np.clip(np.round(rng.normal(3, 0.8)), 1, 5)))
        for account in range(accounts)
        for target in rng.choice(20, 8, replace=False)
    ]
    rows += odd or []
    columns = {"account": pl.String, "target": pl.String, "value": pl.Float64}
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        kind=pl.lit("rate"), at=pl.int_range(pl.len(), dtype=pl.Int64)
    )
    return actions_of(frame), rows


def test_the_mean_popularity_of_targets_is_that_of_a_loop_and_rare_choices_score_most() -> None:
    odd = [("odd", f"rare{number}", 3.0) for number in range(6)]
    actions, rows = population(odd=odd)
    chosen_by = {target: {account for account, other, _ in rows if other == target} for _, target, _ in rows}
    test = rare_test(actions)
    for row, account in enumerate(actions.accounts):
        own = {target for other, target, _ in rows if other == account}
        mean = np.mean([np.log(max(len(chosen_by[target]) - 1, 0.5)) for target in own])
        assert np.isclose(-test.scores[row], mean), account
        assert test.tested[row] == (len(own) >= FEWEST)
    best = int(test.scores.argmax())
    assert actions.accounts[best] == "odd"
    assert test.words(best).startswith("its 6 targets were chosen by 0.5 others in the mean")


def test_values_that_nobody_else_gives_score_most() -> None:
    odd = [("odd", f"t{number}", 1.0 if number % 2 else 5.0) for number in range(12)]
    actions, _ = population(odd=odd)
    test = values_test(actions)
    best = int(test.scores.argmax())
    assert actions.accounts[best] == "odd"
    assert test.words(best).startswith("6 of 12 values are ")


def test_how_far_values_are_from_those_of_others_is_that_of_a_loop() -> None:
    odd = [("odd", f"t{number}", 1.0) for number in range(10)]
    actions, rows = population(odd=odd)
    test = deviation_test(actions)
    for row, account in enumerate(actions.accounts):
        away = []
        for _, target, value in [one for one in rows if one[0] == account]:
            others = [other for who, what, other in rows if what == target and who != account]
            if others:
                away.append(abs(value - np.mean(others)))
        assert np.isclose(np.exp(test.scores[row]), max(np.mean(away), 1e-3)), account
    assert actions.accounts[int(test.scores.argmax())] == "odd"


def test_without_values_nobody_is_tested_by_them() -> None:
    actions, _ = population(odd=[])
    silent = Actions(
        actions.accounts,
        actions.targets,
        actions.kinds,
        actions.account,
        actions.target,
        actions.kind,
        actions.at_us,
        np.full(len(actions.value), np.nan),
    )
    assert not deviation_test(silent).tested.any()
    assert not values_test(silent).tested.any()
