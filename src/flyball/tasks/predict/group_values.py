"""The groups of requests: values of the attributes by which quality must be equal, as known at each request."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from flyball.core import Ints
from flyball.events import logged_types
from flyball.tasks.past import Past
from flyball.tasks.predict.columns import feature_frame, group_fields
from flyball.tasks.predict.decisions import group_of
from flyball.tasks.predict.declaration import Predict

if TYPE_CHECKING:
    from flyball.features import Group
    from flyball.tasks.predict.examples import RequestHistory

Groups = dict[str, list[str | None]]
"""{attribute: the group of each request, None where it is missing}."""


def group_values(task: Predict, history: "RequestHistory", rows: Ints) -> Groups:
    """The groups of some requests of a history."""
    if not task.groups:
        return {}
    chosen = history.table[rows.tolist()]
    return {name: [group_of(value) for value in chosen[name].to_list()] for name in task.groups}


def groups_of_requests(task: Predict, past: Past, requests: Sequence[Mapping[str, Any]], at_us: Ints) -> Groups:
    """The groups of requests that were answered: their fields, and features as known and applied at `at_us`."""
    fields = set(task.on.__struct_fields__)
    values = {name: [request.get(name) for request in requests] for name in task.groups if name in fields}
    names = [name for name in task.groups if name not in fields]
    if names and len(requests):
        values |= _features(task, past, requests, at_us, names)
    return {name: [group_of(value) for value in values.get(name, ())] for name in task.groups}


def _features(
    task: Predict, past: Past, requests: Sequence[Mapping[str, Any]], at_us: Ints, names: Sequence[str]
) -> dict[str, list[Any]]:
    groups = _needed(task, names)
    keys = dict.fromkeys(field for group in groups for field in group_fields(task.on, group))
    derived = any(name in task.feature_set.derived for name in names)
    read = [name for name in task.on.__struct_fields__ if name != "at"] if derived else list(keys)
    rows = pl.DataFrame(
        {"at": at_us, **{name: [request.get(name) for request in requests] for name in read}}, infer_schema_length=None
    )
    types = dict.fromkeys(event for group in groups for event in group.event_types)
    events = {
        event.__name__.lower(): past.events(event.__name__.lower()) for event in (*logged_types(tuple(types)), *types)
    }
    frame = feature_frame(task, rows, events, past.lag.features_us, groups)
    return {name: frame[name].to_list() for name in names}


def _needed(task: Predict, names: Sequence[str]) -> "list[Group]":
    """The groups of features with what `names` need; derived values may need any of them."""
    groups = list(task.feature_set.groups)
    if any(name in task.feature_set.derived for name in names):
        return groups
    parts = [
        msgspec.structs.replace(group, definitions=tuple(part for part in group.definitions if part.name in names))
        for group in groups
    ]
    return [group for group in parts if group.definitions]
