"""Releases arrangements: rules that change responses without training, such as re-ranking and costs of decisions.

The application's file declares the arrangement. A changed declaration becomes a new revision and serves at once; a
revision that a person released or rolled back to serves until the declaration in the file changes.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.core import Refused
from flyball.registry import AuditEntry, Registry, add_arrangement
from flyball.releases.change import Change, Opens, check_opens, replace_state
from flyball.releases.state import ReleaseState, arrangement_id, current


def declared_arrangement(registry: Registry, app: str, value: Mapping[str, Any], by: str, now_us: int) -> int:
    """The revision to serve when the application declares `value`.

    It is a new revision if the declaration differs from the newest revision, else the released one.
    """
    known = _known_revision(registry, value)
    return (
        known or add_arrangement(registry, app, dict(value), by, "declared in the application's file", now_us).revision
    )


def arrangement_to_serve(registry: Registry, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The value of the revision that `declared_arrangement` would return for `value`, without adding a revision."""
    return arrangement_value(registry, _known_revision(registry, value), value)


def arrangement_in_service(registry: Registry, declared: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """(revision, value) of the arrangement of a service whose application declares `declared`, even without a version.

    The revision is 0 for a declaration that is not in the registry yet.
    """
    revision = current(registry).arrangement or _known_revision(registry, declared)
    return revision, arrangement_value(registry, revision, declared)


def _known_revision(registry: Registry, value: Mapping[str, Any]) -> int:
    """The revision to serve if the declaration equals the newest revision; 0 if it is new."""
    newest = registry.arrangements()[-1:]
    if newest and newest[0].value == value:
        return current(registry).arrangement or newest[0].revision
    return 0


def declare_arrangement(registry: Registry, app: str, value: Mapping[str, Any], by: str, now_us: int) -> Change:
    """Release the arrangement that the application's file declares, if it is new.

    Before the first release of a version it is only added to the registry, so that responses without a version can name
    its revision.
    """
    state = current(registry)
    revision = declared_arrangement(registry, app, value, by, now_us)
    if state.champion is None:
        return Change(state, False, "nothing is released yet")
    if revision == state.arrangement:
        return Change(state, False, f"arrangement {arrangement_id(revision)} serves already; nothing changed")
    return release_arrangement(registry, arrangement_id(revision), "declared in the application's file", by, now_us)


def release_arrangement(
    registry: Registry, revision: str, reason: str, by: str, now_us: int, opens: Opens | None = None
) -> Change:
    """Serve the arrangement `revision` ("a2") from now on, with the present version.

    `opens`: see `check_opens`. Raises `NotFound` for an unknown revision. Raises `Refused` before the first release of
    a version, for a revision with which the champion cannot be opened, and after a concurrent change.
    """
    before, arrangement = _released(registry), registry.arrangement(revision)
    if before.arrangement == arrangement.revision:
        return Change(before, False, f"arrangement {revision} serves already; nothing changed")
    _check_champion_opens(registry, before, arrangement.revision, opens)
    after = msgspec.structs.replace(
        before,
        arrangement=arrangement.revision,
        arrangement_trail=(*before.arrangement_trail, before.arrangement),
    )
    state = _changed(registry, before, after, "arrange", reason, by, now_us)
    return Change(state, True, f"arrangement {revision} serves now, before it {arrangement_id(before.arrangement)}")


def rollback_arrangement(registry: Registry, reason: str, by: str, now_us: int, opens: Opens | None = None) -> Change:
    """Return to the previous revision; each further call goes back one more. The version does not change.

    `opens`: see `check_opens`. Raises `Refused` if there is no previous revision, for one with which the champion
    cannot be opened, and after a concurrent change.
    """
    before = _released(registry)
    if not before.arrangement_trail:
        raise Refused(
            "rollback must have an earlier arrangement to go to, got none before "
            f"{arrangement_id(before.arrangement)}: flyball arrangements release puts one into service"
        )
    _check_champion_opens(registry, before, before.arrangement_trail[-1], opens)
    after = msgspec.structs.replace(
        before, arrangement=before.arrangement_trail[-1], arrangement_trail=before.arrangement_trail[:-1]
    )
    state = _changed(registry, before, after, "arrange", reason, by, now_us)
    return Change(
        state,
        True,
        f"arrangement {arrangement_id(after.arrangement)} serves again, {arrangement_id(before.arrangement)} does not",
    )


def arrangement_value(registry: Registry, revision: int, declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """The value of a revision; `declared` for revision 0. Raises `NotFound` for an unknown revision."""
    return registry.arrangement(arrangement_id(revision)).value if revision else declared


def _released(registry: Registry) -> ReleaseState:
    state = current(registry)
    if state.champion is None:
        raise Refused("an arrangement must have a version that serves by it, got no release yet: run flyball learn")
    return state


def _check_champion_opens(registry: Registry, state: ReleaseState, revision: int, opens: Opens | None) -> None:
    if state.champion is not None:
        check_opens(registry, registry.version(state.champion), revision, opens)


def _changed(
    registry: Registry, before: ReleaseState, after: ReleaseState, action: str, reason: str, by: str, now_us: int
) -> ReleaseState:
    entry = AuditEntry(at_us=now_us, by=by, action=action, subject=arrangement_id(after.arrangement), reason=reason)
    return replace_state(registry, before.serial, before, after, entry)
