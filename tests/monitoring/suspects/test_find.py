"""Planted attacks are found, and few honest accounts with them: none because it is active, none in real data."""

import numpy as np
import polars as pl
import pytest
from tests.data import real
from tests.monitoring.suspects.population import Attack, actions, attackers, honest, seldom_active

from flyball.monitoring import actions_of, find_suspects


@pytest.mark.parametrize("nuke", [False, True])
@pytest.mark.parametrize("kind", ["random", "average", "bandwagon", "copies"])
def test_one_or_two_percent_of_attackers_are_found(kind: Attack, nuke: bool) -> None:
    found = find_suspects(actions(honest(1), attackers(kind, 12, 1, nuke=nuke)))
    names = {suspect.account for suspect in found.suspects}
    assert len({name for name in names if name.startswith("a")}) >= 11
    assert len({name for name in names if name.startswith("h")}) <= 1


def test_honest_accounts_are_suspects_in_few_worlds_or_none() -> None:
    with_any = sum(bool(find_suspects(actions(honest(seed, 300))).suspects) for seed in range(2, 10))
    assert with_any <= 2, "the stated rate is one world in twenty: more than 2 of 8 have a chance of 1 in 170"


def test_what_accounts_of_five_events_have_in_common_by_chance_makes_no_suspects() -> None:
    with_any = sum(bool(find_suspects(actions(seldom_active(seed))).suspects) for seed in range(12))
    assert with_any <= 2, "the stated rate is one world in twenty: more than 2 of 12 have a chance of 1 in 50"


def test_the_most_active_are_no_suspects_for_being_so() -> None:
    rows = honest(3)
    found = find_suspects(actions(rows))
    active = rows["account"].value_counts().sort("count", descending=True)["account"].head(30).to_list()
    assert not {suspect.account for suspect in found.suspects} & set(active)


def test_evidence_can_be_checked_against_the_log() -> None:
    found = find_suspects(actions(honest(1), attackers("copies", 12, 1)))
    suspect = next(each for each in found.suspects if each.account == "a0")
    own = attackers("copies", 12, 1).filter(account="a0")
    assert suspect.events == own.height
    assert f"{own.height} events within 10 minutes" in suspect.evidence
    others = {name: set(part["target"]) for (name,), part in attackers("copies", 12, 1).group_by("account")}
    common = {
        f"{len(others['a0'] & targets)} of {own.height} targets the same as of {name}"
        for name, targets in others.items()
    }
    assert any(sentence.partition(" (")[0] in common for sentence in suspect.evidence)
    assert suspect.tests == dict(sorted(suspect.tests.items(), key=lambda test: test[1]))


def test_copies_of_each_other_are_one_group_and_nobody_else_is_in_it() -> None:
    found = find_suspects(actions(honest(2), attackers("copies", 12, 2)))
    assert {suspect.account for suspect in found.suspects} == {f"a{number}" for number in range(12)}
    pushed = set(attackers("copies", 12, 2)["target"])
    assert all(suspect.target in pushed for suspect in found.suspects)
    assert found.p < 1e-4


def test_too_few_accounts_are_not_tested() -> None:
    found = find_suspects(actions(honest(1, 60)))
    assert (found.suspects, found.p) == ((), 1.0)
    assert find_suspects(actions(honest(1, 2).clear())).suspects == ()


@pytest.mark.data
@pytest.mark.parametrize("name", ["ml-100k", "ml-latest-small"])
def test_real_accounts_are_no_suspects_and_planted_ones_among_them_are(name: str) -> None:
    rows = movielens(name)
    clean = find_suspects(actions_of(rows))
    assert clean.tested > 600
    assert len(clean.suspects) <= 2
    if name == "ml-100k":
        found = find_suspects(actions_of(pl.concat([rows, planted(rows, 28)])))
        names = [suspect.account for suspect in found.suspects]
        assert sum(name.startswith("z") for name in names) >= 25
        assert sum(not name.startswith("z") for name in names) <= 2


def movielens(name: str) -> pl.DataFrame:
    if name == "ml-100k":
        columns = ["user", "film", "stars", "seconds"]
        raw = pl.read_csv(real(name, "u.data"), separator="\t", has_header=False, new_columns=columns)
    else:
        raw = pl.read_csv(real(name, "ratings.csv")).rename(
            {"userId": "user", "movieId": "film", "rating": "stars", "timestamp": "seconds"}
        )
    return raw.select(
        account=pl.col("user").cast(pl.String),
        target=pl.col("film").cast(pl.String),
        kind=pl.lit("rate"),
        at=pl.col("seconds") * 1_000_000,
        value=pl.col("stars").cast(pl.Float64),
    )


def planted(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """A random attack on a target of few accounts, in three days, each account within six minutes."""
    rng = np.random.default_rng(5)
    targets = rows["target"].unique().sort().to_numpy()
    campaign = int(rows["at"].quantile(0.7) or 0)
    parts = []
    for number in range(count):
        begin = campaign + int(rng.integers(0, 3 * 86_400_000_000))
        own = np.unique([*rng.choice(targets, 64, replace=False), "1200"])
        values = np.where(own == "1200", 5.0, np.clip(np.round(rng.normal(3.5, 1.1, len(own))), 1, 5))
        at = begin + rng.integers(0, 360_000_000, len(own))
        parts.append(pl.DataFrame({"account": f"z{number}", "target": own, "kind": "rate", "at": at, "value": values}))
    return pl.concat(parts)
