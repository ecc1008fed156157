"""Honest accounts with tastes and sessions, and the attacks of the shilling literature.

Attacks: Lam and Riedl, "Shilling recommender systems for fun and profit", WWW 2004; Mobasher et al., "Toward
trustworthy recommender systems", ACM TOIT 2007.
"""

from typing import Literal

import numpy as np
import polars as pl

from flyball.monitoring import Actions, actions_of

DAY_US, MINUTE_US = 86_400_000_000, 60_000_000
START_US = 1_767_571_200_000_000
Attack = Literal["random", "average", "bandwagon", "copies"]
_TARGETS, _DAYS = 400, 21
_COLUMNS = {"account": pl.String, "target": pl.String, "kind": pl.String, "at": pl.Int64, "value": pl.Float64}


def honest(seed: int, accounts: int = 600) -> pl.DataFrame:
    """Accounts of very different activity, with a taste for one part of the targets, in sessions on some evenings."""
    rng = np.random.default_rng([seed, 1])
    popularity = 1 / np.arange(1, _TARGETS + 1) ** 0.9
    quality, part = rng.normal(3.4, 0.6, _TARGETS), rng.integers(4, size=_TARGETS)
    rows = []
    for account in range(accounts):
        count = int(np.clip(rng.lognormal(2.9, 0.8), 3, 250))
        chances = popularity * np.where(part == account % 4, 4.0, 1.0)
        targets = rng.choice(_TARGETS, count, replace=False, p=chances / chances.sum())
        bias, evenings = rng.normal(0, 0.4), rng.choice(_DAYS, rng.integers(2, 12), replace=False)
        days = rng.choice(evenings, count)
        at_us = START_US + days * DAY_US + 18 * 60 * MINUTE_US + rng.integers(0, 300, count) * MINUTE_US
        values = np.clip(np.round(quality[targets] + bias + rng.normal(0, 0.9, count)), 1, 5)
        rows += [
            (f"h{account}", f"t{target}", "rate", int(at), float(value))
            for target, at, value in zip(targets, at_us, values, strict=True)
        ]
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def attackers(kind: Attack, count: int, seed: int, *, nuke: bool = False, minutes: int = 6) -> pl.DataFrame:
    """Accounts `a0`, `a1`, ... that give the target `t300` (`t5` for a nuke) the most (least) and hide it among others.

    Each acts within `minutes`, all within two days.
    """
    rng = np.random.default_rng([seed, 2])
    pushed, campaign = 5 if nuke else 300, START_US + int(rng.integers(8, 16)) * DAY_US
    copied = rng.choice(_TARGETS, 40, replace=False)
    rows = []
    for number in range(count):
        if kind == "copies":
            filler = copied.copy()
            filler[:2] = rng.integers(_TARGETS, size=2)
        elif kind == "bandwagon":
            filler = np.r_[np.arange(15), rng.choice(_TARGETS, 15, replace=False)]
        else:
            filler = rng.choice(_TARGETS, 30, replace=False)
        filler = np.setdiff1d(filler, [pushed])
        values = np.clip(np.round(rng.normal(3.4, 0.6 if kind == "average" else 1.1, len(filler))), 1, 5)
        targets, values = np.r_[filler, pushed], np.r_[values, 1 if nuke else 5]
        begin_us = campaign + int(rng.integers(0, 2 * DAY_US))
        at_us = begin_us + rng.integers(0, minutes * MINUTE_US, len(targets))
        rows += [
            (f"a{number}", f"t{target}", "rate", int(at), float(value))
            for target, at, value in zip(targets, at_us, values, strict=True)
        ]
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def actions(*parts: pl.DataFrame) -> Actions:
    return actions_of(pl.concat(parts))


def seldom_active(seed: int, accounts: int = 450) -> pl.DataFrame:
    """Accounts without tastes or sessions: five or a few more targets by popularity, at any time of three weeks."""
    rng = np.random.default_rng([seed, 3])
    popularity = 1 / (np.arange(200) + 5.0)
    rows = []
    for account in range(accounts):
        count = 5 if rng.random() < 0.5 else int(rng.integers(5, 25))
        targets = rng.choice(200, count, replace=False, p=popularity / popularity.sum())
        at_us = START_US + rng.integers(0, _DAYS * 24 * 60, count) * MINUTE_US
        rows += [
            (f"h{account}", f"t{target}", "rate", int(at), None) for target, at in zip(targets, at_us, strict=True)
        ]
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")
