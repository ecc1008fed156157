"""Users and items known at a time, with their profiles and groups."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.events import Schema
from flyball.policy import Expression, compile_python
from flyball.tasks.labels import references
from flyball.tasks.past import Frames
from flyball.tasks.recommend.declaration import attributes_of

if TYPE_CHECKING:
    import polars

    from flyball.features import Entity


def frames_at(frames: Frames, as_of_us: int) -> "dict[str, polars.DataFrame]":
    """The rows known at `as_of_us` (inclusive)."""
    import polars as pl

    return {name: frame.filter(pl.col("known_at") <= as_of_us) for name, frame in frames.items()}


def known_keys(frames: Frames, entity: "Entity", schema: Schema) -> list[str] | None:
    """The keys of `entity` in any profile or `known_by` event, sorted; None if there is no catalog."""
    import polars as pl

    declared = (*(() if entity.profile is None else (entity.profile,)), *entity.known_by)
    columns = []
    for event in declared:
        frame = frames.get(name_of(event, schema))
        if frame is not None:
            field = next(field for field, kind in references(event).items() if kind == entity.name)
            columns.append(frame[field].cast(pl.String).drop_nulls())
    keys = pl.concat(columns).unique().sort().to_list() if columns else []
    return keys or None


def latest_profiles(frames: Frames, entity: "Entity", schema: Schema) -> "polars.DataFrame | None":
    """The latest profile of each entity, by `at`, then offset, with the key as text in the column `_key`."""
    import polars as pl

    if entity.profile is None:
        return None
    frame = frames.get(name_of(entity.profile, schema))
    if frame is None or frame.is_empty():
        return None
    field = next(iter(references(entity.profile)))
    order = [name for name in ("at", "offset", "partition") if name in frame.columns]
    return (
        frame.with_columns(pl.col(field).cast(pl.String).alias("_key"))
        .sort(order, maintain_order=True)
        .unique("_key", keep="last", maintain_order=True)
    )


def groups_of(frames: Frames, entity: "Entity", schema: Schema) -> dict[str, str]:
    """{key: group} of the entities whose latest profile has a group; None and "" are no group."""
    profiles = latest_profiles(frames, entity, schema)
    if profiles is None or entity.group is None or entity.profile is None:
        return {}
    group = _function(entity.group)
    fields = [name for name in entity.profile.__struct_fields__ if name in profiles.columns]
    rows = profiles.select(fields).iter_rows(named=True)
    group_of = {}
    for key, row in zip(profiles["_key"].to_list(), rows, strict=True):
        value = group(entity.profile(**row))
        if value is not None and str(value) != "":
            group_of[key] = str(value)
    return group_of


def groups_at(frames: Frames, entity: "Entity", schema: Schema, questions: "polars.DataFrame") -> list[str | None]:
    """The group of the user of each question, as known before its `before_us`: `groups_of` for many times at once.

    `questions`: `question` (text, ascending), `user`, `before_us`.
    """
    import polars as pl

    frame = None if entity.profile is None else frames.get(name_of(entity.profile, schema))
    if entity.profile is None or entity.group is None or frame is None or frame.is_empty():
        return [None] * questions.height
    field = next(iter(references(entity.profile)))
    own = frame.with_columns(pl.col(field).cast(pl.String).alias("user")).join(
        questions.select(pl.col("user").unique()), on="user", how="semi"
    )
    group = _function(entity.group)
    fields = [name for name in entity.profile.__struct_fields__ if name in own.columns]
    values = [group(entity.profile(**row)) for row in own.select(fields).iter_rows(named=True)]
    texts = [None if value is None or str(value) == "" else str(value) for value in values]
    order = [name for name in ("at", "offset", "partition") if name in own.columns]
    changes = own.select("user", "known_at", *order).with_columns(pl.Series("group", texts, dtype=pl.String))
    latest = (
        questions.join(changes, on="user", how="inner")
        .filter(pl.col("known_at") < pl.col("before_us"))
        .sort(order, maintain_order=True)
        .unique("question", keep="last", maintain_order=True)
        .select("question", "group")
    )
    return questions.join(latest, on="question", how="left", maintain_order="left")["group"].to_list()


class FrameCatalog(msgspec.Struct, frozen=True):
    """The items of a snapshot with the attributes of their latest profiles."""

    ids: list[str]
    columns: dict[str, list[Any]]

    def attributes(self, field: str) -> list[Any]:
        """The field of the profile of each item, in the order of `ids`; None without a profile."""
        return self.columns[field]


def catalog_at(frames: Frames, entity: "Entity", schema: Schema, as_of_us: int) -> FrameCatalog | None:
    """The catalog as known at `as_of_us`; None if there is none."""
    known = frames_at(frames, as_of_us)
    ids = known_keys(known, entity, schema)
    if ids is None:
        return None
    profiles = latest_profiles(known, entity, schema)
    fields = attributes_of(entity)
    if profiles is None:
        return FrameCatalog(ids, {field: [None] * len(ids) for field in fields})
    import polars as pl

    rows = pl.DataFrame({"_key": ids}).join(
        profiles.select("_key", *(pl.col(field).alias(f"field {field}") for field in fields)),
        on="_key",
        how="left",
        maintain_order="left",
    )
    return FrameCatalog(ids, {field: rows[f"field {field}"].to_list() for field in fields})


def catalogs_at(frames: Frames, entity: "Entity", schema: Schema, times_us: Sequence[int]) -> list[FrameCatalog | None]:
    """The catalog as known at each of the ascending times; the same object if it did not change in between."""
    import polars as pl

    declared = (*(() if entity.profile is None else (entity.profile,)), *entity.known_by)
    names = {name_of(event, schema) for event in declared}
    own = {name: frame for name, frame in frames.items() if name in names}
    known_at = pl.concat([frame["known_at"] for frame in own.values()]).sort() if own else pl.Series([], dtype=pl.Int64)
    catalogs: list[FrameCatalog | None] = []
    before = -1
    for at_us in times_us:
        rows = int(known_at.search_sorted(at_us, side="right"))
        catalogs.append(catalogs[-1] if rows == before else catalog_at(own, entity, schema, at_us))
        before = rows
    return catalogs


def _function(group: Any) -> Callable[[Any], Any]:
    return compile_python(group) if isinstance(group, Expression) else group


def name_of(event: type, schema: Schema) -> str:
    return next(name for name, declared in schema.types.items() if declared.cls is event)
