"""Training data: the interactions of users and items, as known at a time."""

from typing import TYPE_CHECKING

import numpy as np

from flyball.events import Schema
from flyball.models import Interactions, attributes_of
from flyball.tasks.past import Frames
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.known import catalog_at, frames_at, groups_of, known_keys

if TYPE_CHECKING:
    import polars


def pairs_at(frames: Frames, task: Recommend, schema: Schema, as_of_us: int) -> "polars.DataFrame":
    """The state of each (user, item) as known at `as_of_us`, with ids as text, in a catalog or not."""
    from flyball.tasks.recommend.state.interactions import interactions_frame

    return interactions_frame(frames, task.signals(schema), as_of_us)


def build_interactions(
    frames: Frames, task: Recommend, schema: Schema, as_of_us: int, attributes: bool = True
) -> Interactions:
    """The training data of `task` from a snapshot's frames, with what was known at `as_of_us` (inclusive).

    Events of users or items that were not in a catalog by then are left out; an entity without a catalog is not
    checked. `items` contains every known item, also without interactions; users without interactions are left out. Both
    are ordered by their text, and rows by (user, item). Of a user with more than `task.influence_cap` the latest are
    kept. `attributes`: whether to add those of the items.
    """
    import polars as pl

    known = frames_at(frames, as_of_us)
    pairs = pairs_at(known, task, schema, as_of_us)
    users, items = known_keys(known, task.user, schema), known_keys(known, task.item, schema)
    if users is not None:
        pairs = pairs.filter(pl.col("user").is_in(users))
    if items is not None:
        pairs = pairs.filter(pl.col("item").is_in(items))
    pairs = latest_of_each(pairs, task.influence_cap).sort("user", "item")
    present = pairs["user"].unique().sort().to_list()
    listed = pairs["item"].unique().sort().to_list() if items is None else items
    group_of = groups_of(known, task.user, schema)
    groups = sorted({group_of[user] for user in present if user in group_of})
    catalog = catalog_at(known, task.item, schema, as_of_us) if attributes else None
    number = {group: index for index, group in enumerate(groups)}
    return Interactions(
        users=present,
        items=listed,
        user_index=_index(pairs["user"], present),
        item_index=_index(pairs["item"], listed),
        weights=pairs["weight"].cast(pl.Float32).to_numpy(),
        ratings=pairs["rating"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        at_us=pairs["at_us"].cast(pl.Int64).to_numpy(),
        user_group=np.array([number.get(group_of.get(user, ""), -1) for user in present], np.int32),
        groups=groups,
        as_of_us=as_of_us,
        attributes=attributes_of(len(listed), catalog.columns) if catalog is not None and catalog.columns else None,
    )


def latest_of_each(pairs: "polars.DataFrame", most: int) -> "polars.DataFrame":
    """The latest `most` rows of each user, by `at_us`, then item: no user counts for more, however much it does."""
    import polars as pl

    if pairs.is_empty() or int(pairs.group_by("user").len()["len"].max() or 0) <= most:  # type: ignore[arg-type]
        return pairs
    newest_first = pairs.sort("at_us", "item", descending=True)
    return newest_first.filter(pl.int_range(pl.len()).over("user") < most)


def _index(keys: "polars.Series", ordered: list[str]) -> "np.typing.NDArray[np.int32]":
    """The index of each key in `ordered`, which contains all keys."""
    import polars as pl

    index_of_key = pl.DataFrame(
        {"key": ordered, "place": np.arange(len(ordered), dtype=np.int32)}, schema_overrides={"key": pl.String}
    )
    joined = pl.DataFrame({"key": keys}).join(index_of_key, on="key", how="left", maintain_order="left")
    return joined["place"].to_numpy().astype(np.int32)
