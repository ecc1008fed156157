"""Finds versions in service that learned from another declaration than the application's file has now.

They continue to answer by what they learned, since an edited target applies to the next version; but it should be
reported.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from flyball.events import Event, field_names_now
from flyball.models import edits_of_learning
from flyball.policy import differences
from flyball.registry import registry_exists
from flyball.releases import current, role_of, versions_in_service
from flyball.runtime import Runtime

_FOLLOWED = ("hashes", "definitions", "groups", "times", "types")
"""Keys of the declaration that opening a version checks or follows."""

_PAIRS = ("columns",)
"""Keys that list (name, kind)."""


class LearnedOtherwise(msgspec.Struct, frozen=True):
    """A version in service; `role`: champion, the name of an arm, or previous. `changes`: each key that differs."""

    version: str
    role: str
    changes: tuple[str, ...]

    def text(self) -> str:
        """The version, what differs, and what to do.

        >>> LearnedOtherwise("v2", "champion", ("target.within 6h, now 12h",)).text()
        'v2 (champion) learned with target.within 6h, now 12h; it answers by what it learned: run flyball learn for a \
version that follows the file'
        """
        return (
            f"{self.version} ({self.role}) learned with {'; '.join(self.changes)}; it answers by what it learned: run "
            "flyball learn for a version that follows the file"
        )


def learned_otherwise(runtime: Runtime, but: Collection[str] = ()) -> list[LearnedOtherwise]:
    """The released versions whose declaration the file has changed, best first; renames are no changes.

    `but`: versions that will not serve at all.
    """
    if not registry_exists(runtime.settings.registry):
        return []
    about = runtime.app.task.about
    release = current(runtime.registry)
    names = _names_now(about.event_types)
    declared = _plain(about.declaration, names)
    skipped = {*_FOLLOWED, *about.arrangement}
    older = []
    for version in versions_in_service(release):
        if version in but:
            continue
        described = runtime.registry.version(version)
        learned = _plain(described.declaration, names)
        keys = [key for key in learned if key in declared and key not in skipped]
        changes = [change for key in keys for change in differences(key, _named(key, learned), _named(key, declared))]
        changes += edits_of_learning(described.code, runtime.app.model_classes)
        if changes:
            older.append(LearnedOtherwise(version, role_of(release, version), tuple(changes)))
    return older


def _names_now(event_types: Sequence[type[Event]]) -> dict[str, str]:
    """{each name that a type or one of its fields had: its name now}."""
    names: dict[str, str] = {}
    for event in event_types:
        names |= dict.fromkeys(event.former_names, event.__name__)
        names |= {former: name for former, name in field_names_now(event).items() if former != name}
    return names


def _plain(value: Any, names: Mapping[str, str]) -> Any:
    """The value as from JSON, with present names."""
    if isinstance(value, Mapping):
        return {key: _plain(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _named(key: str, declaration: Mapping[str, Any]) -> Any:
    return dict(declaration[key]) if key in _PAIRS else declaration[key]
