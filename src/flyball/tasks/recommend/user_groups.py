"""The groups of users by which quality must be equal: attributes of their profiles, as known at each request."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from flyball.core import BadDeclaration, SignedInts
from flyball.events import Profile, Schema, read_type
from flyball.tasks.labels import references
from flyball.tasks.past import Frames, Past
from flyball.tasks.recommend.known import name_of

if TYPE_CHECKING:
    from flyball.features import Entity

UserGroups = dict[str, list[str | None]]
"""{attribute: the group of each request, None where it is missing}."""


def check_user_groups(groups: Any, profile: type[Profile] | None) -> None:
    """Raise `BadDeclaration` for groups that are no attributes of the user's profile with limited values."""
    known = () if profile is None else group_attributes(profile)
    alike = isinstance(groups, tuple) and len(set(groups)) == len(groups)
    if not alike or any(name not in known for name in groups):
        must = "a tuple of attributes of the user's profile that are no real numbers, each once"
        raise BadDeclaration("groups of Recommend", f"{must}: {', '.join(known) or 'it has none'}", groups)


def group_attributes(profile: type[Profile]) -> tuple[str, ...]:
    """The attributes of a profile by which its users can be grouped."""
    keys = references(profile)
    usable = (field for field in read_type(profile).declared if field.kind not in (float, list, dict, bytes))
    return tuple(field.name for field in usable if field.name not in keys)


def user_groups(
    frames: Frames, user: "Entity", schema: Schema, names: Sequence[str], users: Sequence[str], before_us: SignedInts
) -> UserGroups:
    """The groups of the user of each request, by the latest profile known before its `before_us`."""
    import polars as pl

    nothing: UserGroups = {name: [None] * len(users) for name in names}
    profile = user.profile
    frame = None if profile is None else frames.get(name_of(profile, schema))
    if not names or profile is None or frame is None or frame.is_empty() or not len(users):
        return nothing
    field = next(iter(references(profile)))
    requests = pl.DataFrame({"row": np.arange(len(users)), "user": list(users), "before_us": before_us})
    order = [name for name in ("at", "offset", "partition") if name in frame.columns]
    known = frame.select(
        pl.col(field).cast(pl.String).alias("user"),
        *("known_at", *order),
        *(_text(frame, name).alias(f"group.{name}") for name in names),
    )
    latest = (
        requests.join(known, on="user", how="inner")
        .filter(pl.col("known_at") < pl.col("before_us"))
        .sort(order, maintain_order=True)
        .unique("row", keep="last", maintain_order=True)
    )
    by_row = requests.select("row").join(latest, on="row", how="left", maintain_order="left")
    return {name: by_row[f"group.{name}"].to_list() for name in names}


def groups_of_users(
    past: Past, user: "Entity", schema: Schema, names: Sequence[str], requests: Sequence[Mapping[str, Any]], at_us: Any
) -> UserGroups:
    """The groups of requests that were answered, as known and applied at `at_us`."""
    profile = user.profile
    frames = {} if profile is None else {name_of(profile, schema): past.events(name_of(profile, schema))}
    users = [str(request.get("user")) for request in requests]
    return user_groups(frames, user, schema, names, users, np.asarray(at_us, np.int64) - past.lag.state_us)


def _text(frame: Any, name: str) -> Any:
    """A column as texts; None for a missing value and for an empty one."""
    import polars as pl

    if name not in frame.columns:
        return pl.lit(None, dtype=pl.String)
    text = pl.col(name).cast(pl.String)
    return pl.when(text != "").then(text)
