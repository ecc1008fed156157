"""Events of an application become actions: one row an event, and one for each account and what it acted on."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from tests.monitoring.watch.shops import DAY_US, START_US, shop

from flyball.core import BadInput
from flyball.monitoring import account_entity, actions_of, read_actions


def test_pairs_have_the_first_time_and_the_latest_value() -> None:
    rows = [("b", "x", 30, 2.0), ("b", "x", 10, 5.0), ("b", "y", 20, None), ("a", "x", 5, None), ("a", None, 6, 1.0)]
    frame = pl.DataFrame(
        [(account, target, "rate", at, value) for account, target, at, value in rows],
        schema={"account": pl.String, "target": pl.String, "kind": pl.String, "at": pl.Int64, "value": pl.Float64},
        orient="row",
    )
    actions = actions_of(frame)
    assert (actions.accounts, actions.targets, actions.counts.tolist()) == (["a", "b"], ["x", "y"], [2, 3])
    pairs = actions.pairs
    named = [
        (actions.accounts[account], actions.targets[target], at)
        for account, target, at in zip(pairs.account.tolist(), pairs.target.tolist(), pairs.at_us.tolist(), strict=True)
    ]
    assert named == [("a", "x", 5), ("b", "x", 10), ("b", "y", 20)]
    np.testing.assert_array_equal(pairs.value, [np.nan, 2.0, np.nan])
    assert actions.popularity.tolist() == [2, 1]


def test_the_history_gives_the_events_of_the_period(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 3)
    about = runtime.app.task.about
    assert account_entity(about) == "visitor"
    assert account_entity(about, "item") == "item"
    with pytest.raises(BadInput, match=r"entity of the accounts must be one of the task \(visitor, item\), got 'card'"):
        account_entity(about, "card")
    day = read_actions(runtime, "visitor", START_US + DAY_US, START_US + 2 * DAY_US)
    buys = runtime.history.events("buy", START_US + DAY_US, until_us=START_US + 2 * DAY_US)
    assert len(day.account) == buys.height
    assert day.accounts == sorted(buys["visitor"].unique().to_list())
    left = read_actions(runtime, "visitor", START_US + DAY_US, START_US + 2 * DAY_US, without=day.accounts[:3])
    assert left.accounts == day.accounts[3:]


def test_a_task_without_entities_has_no_accounts() -> None:
    with pytest.raises(BadInput, match="must be one with entities, got .none: declare fb.Entity"):
        account_entity(SimpleNamespace(entities=(), unit=""))  # type: ignore[arg-type]
