"""The requests that candidates are evaluated on: at the times at which users came, with what was known then."""

from bisect import bisect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from flyball.core import BadInput
from flyball.events import Schema
from flyball.models import Interactions
from flyball.tasks.evaluation import EvaluationSet
from flyball.tasks.past import Frames
from flyball.tasks.recommend.cases import histories_from, known_only
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.interactions import pairs_at
from flyball.tasks.recommend.known import FrameCatalog, catalogs_at, groups_at
from flyball.tasks.recommend.metrics.predicted_ratings import with_references
from flyball.tasks.recommend.metrics.propensity import IpsWeights, Positions, propensity_weights
from flyball.tasks.recommend.metrics.ratings import global_mean
from flyball.tasks.recommend.plan import HISTORY_LENGTHS
from flyball.tasks.recommend.request_times import logged_times, sampled, visit_times
from flyball.tasks.recommend.state.signals import POSITIVE, Signals
from flyball.tasks.recommend.truth import RatedItems, RecommendTruth, number_items, users_by_item
from flyball.tasks.recommend.user_groups import UserGroups, user_groups

if TYPE_CHECKING:
    import polars

    from flyball.tasks.recommend.state.user_history import UserHistory

MAX_USERS, MAX_REQUESTS, MAX_PER_USER, MAX_CATALOGS = 5_000, 8_000, 4, 8
_LATEST = 2**62

ItemExposure = tuple[Positions, Mapping[str, Sequence[int]]]
ReadExposure = Callable[[Collection[str]], ItemExposure]
"""Returns the items that the service showed some users in and just before the window, with the times of answers."""


def evaluation_set(
    frames: Frames,
    task: Recommend,
    schema: Schema,
    train: Interactions,
    window_us: tuple[int, int],
    *,
    seed: int = 0,
    apply_delay_us: int = 0,
    min_examples: int = 30,
    ips: bool = False,
    exposure: ReadExposure | None = None,
    cutoff: int = 0,
    max_users: int = MAX_USERS,
) -> EvaluationSet:
    """The evaluation set of the window `[start, end)`.

    The times of requests are those at which users come (`request_times`): logged requests if the service answered the
    user in the window, otherwise visits in the events. The context of a request is the history as known and applied
    before it (`known_at + apply_delay_us < at`). Its targets are the items that became positive after it, within the
    window of the label, that were new to the user and that are in a catalog at the end. Requests without a target are
    left out; of the others at most `MAX_PER_USER` of a user and `MAX_REQUESTS` of `max_users` users in all are drawn by
    `seed`. Catalogs are those known at eight times spread over the requests, never later than the request. Ratings are
    the first ones that sampled users gave an item, predicted with the history before each.

    `train`: the training data, which numbers the items. `ips`: whether targets are weighted by inverse propensities,
    from the shown items that `exposure` returns. `cutoff`: the length of lists if more than `task.k`.
    """
    start_us, end_us = window_us
    if start_us >= end_us:
        raise BadInput("start of the window", f"before its end ({end_us})", start_us)
    if apply_delay_us < 0:
        raise BadInput("apply_delay_us", "0 or more", apply_delay_us)
    past = _Past(frames, task, schema, start_us, end_us)
    users, pool = past.users(2 * max_users, seed)
    shown, request_times = exposure(users) if exposure is not None else ({}, {})
    requests, targets = past.requests(users, request_times)
    able = set(requests["user"].to_list())
    kept = [user for user in users if user in able][:max_users]
    requests = sampled(requests.filter(_among("user", kept)), MAX_REQUESTS, MAX_PER_USER, seed)
    builder = _Builder(past, requests, apply_delay_us)
    contexts = builder.contexts(requests["user"].to_list(), requests["at_us"].to_list())
    rated = with_references(builder.rated(seed), train)
    catalogs = builder.catalogs()
    targets = requests.with_row_index("request").join(targets, on=["user", "at_us"]).sort("request", "item")
    numbers, catalog_size = number_items(
        train, [catalog.ids for _, catalog in catalogs if catalog is not None], targets["item"].to_list()
    )
    truth = _truth(train, targets, numbers, catalog_size, rated)
    if ips:
        truth = msgspec.structs.replace(truth, ips=_ips(truth, builder, contexts, shown, numbers, min_examples))
    k = max(cutoff, task.k)
    return EvaluationSet(
        window_us=window_us,
        at_us=requests["at_us"].to_numpy(),
        fields=[{"user": user, "k": k} for user in requests["user"].to_list()],
        contexts=contexts,
        units=builder.units,
        unit_of=builder.unit_of,
        truth=truth,
        catalogs=[(first, {} if catalog is None else {task.item.name: catalog}) for first, catalog in catalogs],
        slices={
            "history_length": [history_length(len(context.seen)) for context in contexts],
            "group": [context.group for context in contexts],
            **builder.groups(requests["user"].to_list(), requests["at_us"].to_list()),
        },
        pool=min(pool, len(able)) if pool <= 2 * max_users else pool,
        notes=_notes(truth),
    )


def _truth(
    train: Interactions, targets: "polars.DataFrame", numbers: Mapping[str, int], catalog_size: int, rated: RatedItems
) -> RecommendTruth:
    """The targets of each request. `numbers`: {item: number}, items of the catalogs first."""
    return RecommendTruth(
        request_of=targets["request"].to_numpy().astype(np.int64),
        item_of=np.array([numbers[item] for item in targets["item"].to_list()], np.int64),
        items=list(numbers),
        catalog_size=catalog_size,
        users_of=users_by_item(train, numbers),
        train_users=len(train.users),
        global_mean=float("nan") if np.isnan(train.ratings).all() else global_mean(train),
        rated=rated if len(rated.values) else None,
    )


def history_length(items: int) -> str:
    """The slice of a request by the number of items in the user's history.

    >>> [history_length(items) for items in (0, 1, 4, 5, 19, 20)]
    ['0', '1-4', '1-4', '5-19', '5-19', '20+']
    """
    return HISTORY_LENGTHS[bisect((1, 5, 20), items)]


def _notes(truth: RecommendTruth) -> tuple[str, ...]:
    ips = truth.ips
    return (ips.summary(),) if ips is not None and (ips.pairs_shown or not ips.sufficient) else ()


class _Past:
    """The events that the set is made from: the items that users touched, and the positives in the window."""

    def __init__(self, frames: Frames, task: Recommend, schema: Schema, start_us: int, end_us: int) -> None:
        from flyball.tasks.recommend.state.interactions import observed_frame

        self.frames, self.task, self.schema = frames, task, schema
        self.start_us, self.end_us = start_us, end_us
        self.signals: Signals = task.signals(schema)
        self.observed = observed_frame(frames, self.signals)
        self.positives = self._positives()

    @property
    def horizon_us(self) -> int:
        """The time after a request within which a positive counts: the longest window of its labels."""
        return max(self.signals.outcomes[slot].within_us for slot in self.signals.slots_of[POSITIVE])

    def _positives(self) -> "polars.DataFrame":
        """(user, item, positive_us, first_known_us) of the pairs that became positive in the window."""
        import polars as pl

        until = {name: frame.filter(pl.col("at") < self.end_us) for name, frame in self.frames.items()}
        pairs = pairs_at(until, self.task, self.schema, _LATEST)
        liked = pairs.filter(
            pl.col("positive") & (pl.col("weight") > 0) & pl.col("positive_at").is_between(self.start_us, self.end_us)
        ).select("user", "item", pl.col("positive_at").cast(pl.Int64).alias("positive_us"))
        liked = known_only(liked, self.frames, self.task, self.schema)
        if self.observed is None:
            return liked.with_columns(pl.lit(0, pl.Int64).alias("first_known_us"))
        first = self.observed.group_by("user", "item").agg(pl.col("known_at").min().alias("first_known_us"))
        return liked.join(first, on=["user", "item"], how="left")

    def users(self, most: int, seed: int) -> tuple[list[str], int]:
        """(at most `most` users with a new positive in the window, in random order; the number of all such users)."""
        import polars as pl

        new = self.positives.filter(pl.col("first_known_us") >= self.start_us)
        everyone = new["user"].unique().sort().to_list()
        order = np.random.default_rng(seed).permutation(len(everyone))[:most]
        return [everyone[row] for row in order.tolist()], len(everyone)

    def requests(
        self, users: Sequence[str], request_times: Mapping[str, Sequence[int]]
    ) -> "tuple[polars.DataFrame, polars.DataFrame]":
        """((user, at_us) of requests with targets, (user, at_us, item) of their targets)."""
        import polars as pl

        logged = logged_times(request_times, self.start_us, self.end_us)
        without = set(users) - set(logged["user"].to_list())
        times = logged
        if self.observed is not None and without:
            touches = self.observed.filter(_among("user", without) & (pl.col("at") < self.end_us))
            times = pl.concat([logged, visit_times(touches, self.start_us, self.end_us)])
        targets = (
            times.join(self.positives.filter(_among("user", users)), on="user")
            .filter(
                (pl.col("positive_us") >= pl.col("at_us"))
                & (pl.col("positive_us") - pl.col("at_us") <= self.horizon_us)
                & (pl.col("first_known_us") >= pl.col("at_us"))
            )
            .select("user", "at_us", "item")
        )
        return targets.select("user", "at_us").unique().sort("user", "at_us"), targets


class _Builder:
    """The data known at each of the sampled `requests` (`user`, `at_us`, ordered by time)."""

    def __init__(self, past: _Past, requests: "polars.DataFrame", apply_delay_us: int) -> None:
        self._past, self._requests, self._delay_us = past, requests, apply_delay_us
        self.units: list[str] = requests["user"].unique().sort().to_list()
        number = {user: unit for unit, user in enumerate(self.units)}
        self.unit_of = np.array([number[user] for user in requests["user"].to_list()], np.int64)
        self._number = number

    def contexts(self, users: Sequence[str], at_us: Sequence[int]) -> "list[UserHistory]":
        """The history of the user of each request, as known and applied before its time."""
        import polars as pl

        from flyball.tasks.recommend.state.interactions import interactions_at

        past = self._past
        questions = pl.DataFrame(
            {
                "question": [f"{row:09d}" for row in range(len(users))],
                "user": users,
                "before_us": np.array(at_us, np.int64) - self._delay_us,
            },
            schema_overrides={"question": pl.String, "user": pl.String},
        )
        if past.observed is None or not len(users):
            return []
        pairs = interactions_at(past.observed, past.signals, questions)
        groups = groups_at(past.frames, past.task.user, past.schema, questions)
        return histories_from(pairs, questions["question"].to_list(), groups, users)

    def groups(self, users: Sequence[str], at_us: Sequence[int]) -> UserGroups:
        """The groups of the user of each request that the task declares, as known and applied before its time."""
        past, before_us = self._past, np.array(at_us, np.int64) - self._delay_us
        return user_groups(past.frames, past.task.user, past.schema, past.task.groups, users, before_us)

    def rated(self, seed: int) -> RatedItems:
        """First ratings in the window by users of the requests."""
        import polars as pl

        past, nothing = self._past, np.zeros(0, np.int64)
        if past.observed is None:
            return RatedItems(nothing, [], nothing, [], np.zeros(0))
        number = pl.col("number")
        first = (
            past.observed.filter(_among("user", self.units) & number.is_not_null() & number.is_not_nan())
            .sort("at", "offset", "partition")
            .unique(["user", "item"], keep="first", maintain_order=True)
            .filter(pl.col("at").is_between(past.start_us, past.end_us - 1))
            .select("user", "item", pl.col("at").alias("at_us"), number.cast(pl.Float32).cast(pl.Float64))
        )
        known = known_only(first, past.frames, past.task, past.schema).sort("user", "at_us", "item")
        known = known.with_columns(pl.Series("drawn", np.random.default_rng(seed).random(known.height)))
        drawn = (
            known.with_columns(pl.col("drawn").rank("ordinal").over("user").alias("turn"))
            .filter(pl.col("turn") <= MAX_PER_USER)
            .sort("turn", "drawn")
            .head(MAX_REQUESTS)
            .sort("user", "at_us", "item")
        )
        users = drawn["user"].to_list()
        return RatedItems(
            at_us=drawn["at_us"].to_numpy(),
            contexts=self.contexts(users, drawn["at_us"].to_list()),
            unit_of=np.array([self._number[user] for user in users], np.int64),
            items=drawn["item"].to_list(),
            values=drawn["number"].to_numpy(),
        )

    def catalogs(self) -> "list[tuple[int, FrameCatalog | None]]":
        """(first request, the catalog known just before it), once for each different catalog."""
        past, rows = self._past, self._requests.height
        at_us = self._requests["at_us"].to_list()
        parts: list[tuple[int, FrameCatalog | None]] = []
        starts = sorted({rows * part // MAX_CATALOGS for part in range(MAX_CATALOGS)} if rows else ())
        times_us = [at_us[first] - self._delay_us - 1 for first in starts]
        known = catalogs_at(past.frames, past.task.item, past.schema, times_us)
        for first, catalog in zip(starts, known, strict=True):
            if not parts or (catalog is not parts[-1][1] and catalog != parts[-1][1]):
                parts.append((first, catalog))
        return parts


def _ips(
    truth: RecommendTruth,
    builder: _Builder,
    contexts: "Sequence[UserHistory]",
    shown: Positions,
    numbers: Mapping[str, int],
    min_pairs: int,
) -> IpsWeights:
    """The weights of the targets, from the items shown to the users of the set."""
    users = builder.unit_of[truth.request_of]
    positions = np.array(
        [
            shown.get(builder.units[user], {}).get(truth.items[item], -1)
            for user, item in zip(users.tolist(), truth.item_of.tolist(), strict=True)
        ],
        np.int64,
    )
    earliest: dict[int, UserHistory] = {}
    for user, context in zip(builder.unit_of.tolist(), contexts, strict=True):
        earliest.setdefault(user, context)
    fresh: list[tuple[int, int]] = []
    for user, context in earliest.items():
        touched = set(context.seen)
        for item, position in shown.get(builder.units[user], {}).items():
            if item not in touched:
                fresh.append((numbers.get(item, -1), position))
    items, ranks = np.array(fresh, np.int64).reshape(-1, 2).T
    users_shown = sum(bool(shown.get(user)) for user in builder.units)
    return propensity_weights(users, truth.item_of, truth.users_of, positions, (items, ranks), users_shown, min_pairs)


def _among(column: str, values: Collection[str]) -> "polars.Expr":
    import polars as pl

    return pl.col(column).is_in(pl.Series(sorted(values), dtype=pl.String).implode())
