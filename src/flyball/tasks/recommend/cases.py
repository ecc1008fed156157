"""Examples that a ranker learns from: users and their later positives, as known just before a split in time.

Candidates are evaluated on other examples: requests at the times at which users come, see `evaluation_set`."""

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from flyball.core import BadInput
from flyball.events import Schema
from flyball.tasks.past import Frames
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.interactions import pairs_at
from flyball.tasks.recommend.known import frames_at, groups_of, known_keys

if TYPE_CHECKING:
    import polars

    from flyball.tasks.recommend.state.user_history import UserHistory


class Cases(msgspec.Struct, frozen=True):
    """Users to answer at `split_us`, and the items that became positive in `[split_us, end_us)`.

    `histories`: of each user, as known and applied just before the split (`known_at + apply_delay < split_us`).
    `truth`: for each user, the items that became positive in the window and were new to the user, one or more.
    `groups`: the group of each user or None. `pool`: how many users there were before sampling.
    """

    split_us: int
    end_us: int
    users: list[str]
    histories: "list[UserHistory]"
    truth: list[list[str]]
    groups: list[str | None]
    pool: int = 0


def evaluation_cases(
    frames: Frames,
    task: Recommend,
    schema: Schema,
    split_us: int,
    end_us: int,
    limit: int | None = 5_000,
    seed: int = 0,
    apply_delay_us: int = 0,
) -> Cases:
    """The cases of a snapshot for the window `[split_us, end_us)`.

    Users without truth are left out; of more than `limit` users a sample is drawn by `seed`. The truth has no users and
    items that are not in a catalog at the end of the snapshot. `apply_delay_us`: the time from an event being known to
    its being visible in serving, so that histories are those that an answer would have used. An item that was touched
    in any event known before the split is not part of the truth.
    """
    if split_us >= end_us:
        raise BadInput("split_us", f"before end_us ({end_us})", split_us)
    if apply_delay_us < 0:
        raise BadInput("apply_delay_us", "0 or more", apply_delay_us)
    before = pairs_at(frames_at(frames, split_us - 1), task, schema, split_us - 1)
    seen_us = split_us - 1 - apply_delay_us
    applied = before if apply_delay_us == 0 else pairs_at(frames_at(frames, seen_us), task, schema, seen_us)
    truth = _truth(frames, task, schema, before, split_us, end_us)
    users = truth["user"].unique().sort().to_list()
    pool = len(users)
    if limit is not None and pool > limit:
        chosen = np.random.default_rng(seed).choice(pool, limit, replace=False)
        users = [users[number] for number in np.sort(chosen)]
    row = {user: number for number, user in enumerate(users)}
    targets: list[list[str]] = [[] for _ in users]
    for user, item in truth.sort("user", "item").select("user", "item").iter_rows():
        if user in row:
            targets[row[user]].append(item)
    group_of = groups_of(frames_at(frames, seen_us), task.user, schema)
    groups = [group_of.get(user) for user in users]
    histories = histories_from(applied, users, groups)
    return Cases(
        split_us=split_us,
        end_us=end_us,
        users=users,
        histories=histories,
        truth=targets,
        groups=groups,
        pool=pool,
    )


def histories_from(
    pairs: "polars.DataFrame", users: list[str], groups: list[str | None], names: Sequence[str] | None = None
) -> "list[UserHistory]":
    """The users' histories from a frame of pairs, as in the online store.

    `names`: the names of users if `users` are numbered questions, in ascending order.
    """
    import polars as pl

    from flyball.tasks.recommend.state.user_history import HISTORY_CAP, UserHistory

    own = pairs.filter(pl.col("user").is_in(users)).sort("user", "at_us", "item")
    items = own["item"].to_list()
    weights = own["weight"].cast(pl.Float32).to_numpy()
    ratings = own["rating"].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    at_us, last = own["at_us"].cast(pl.Int64).to_numpy(), own["last_at"].to_list()
    counts = dict(own.group_by("user").len().iter_rows())
    histories, start = [], 0
    for user, group, name in sorted(zip(users, groups, names or users, strict=True), key=itemgetter(0)):
        stop = start + counts.get(user, 0)
        kept = list(range(start, stop))
        if len(kept) > HISTORY_CAP:
            kept = sorted(sorted(kept, key=lambda row: (last[row], items[row]))[-HISTORY_CAP:])
        shown = [items[row] for row in kept]
        beyond = sorted(set(items[start:stop]) - set(shown))
        rows = np.array(kept, np.int64)
        histories.append(UserHistory(name, shown, weights[rows], ratings[rows], at_us[rows], shown + beyond, group))
        start = stop
    return histories


def _truth(
    frames: Frames, task: Recommend, schema: Schema, before: "polars.DataFrame", split_us: int, end_us: int
) -> "polars.DataFrame":
    import polars as pl

    until = {name: frame.filter(pl.col("at") < end_us) for name, frame in frames.items()}
    pairs = pairs_at(until, task, schema, _LATEST)
    liked = pairs.filter(pl.col("positive") & (pl.col("weight") > 0) & (pl.col("at_us") >= split_us))
    liked = known_only(liked.select("user", "item"), frames, task, schema)
    return liked.join(before.select("user", "item"), on=["user", "item"], how="anti")


def known_only(pairs: "polars.DataFrame", frames: Frames, task: Recommend, schema: Schema) -> "polars.DataFrame":
    import polars as pl

    for column, entity in (("user", task.user), ("item", task.item)):
        known = known_keys(frames, entity, schema)
        if known is not None:
            pairs = pairs.filter(pl.col(column).is_in(known))
    return pairs


_LATEST = 2**62
