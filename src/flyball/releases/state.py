"""The release state, and the role of each version in it."""

from collections.abc import Sequence

import msgspec

from flyball.registry import Registry
from flyball.releases.release import UNDER_WAY, Release


class HoldoutGroup(msgspec.Struct, frozen=True):
    """The group that no release reaches: `version` answers `share` of the units, chosen by a hash with `salt`.

    `unit`: as in `Release`. `since_us`: when `version` served all units. After `period_us` the group gets the champion
    of that time, and the measurement starts again.
    """

    share: float
    salt: str
    version: str = ""
    unit: tuple[str, ...] = ()
    since_us: int = 0
    period_us: int = 0


class ReleaseState(msgspec.Struct, frozen=True):
    """The router's state.

    `champion`: the version that serves, None before the first release. `previous`: the champion before it, to which
    `rollback` returns. `trail`: all earlier champions, oldest first; `trail_releases`: for each of them the id of its
    release, "" for none. `serial`: increases by one with each change, so that a poller compares one number.
    `releases`: the drafts, those under way and that of the champion; `numbered`: how many there ever were. `holdout`:
    see `HoldoutGroup`.

    `arrangement`: the revision that serves, 0 for the declaration in the application's file. `arrangement_trail`: the
    earlier revisions, oldest first. `trail_arrangements`: for each champion in `trail` its last revision, which a
    rollback restores.
    """

    champion: str | None = None
    previous: str | None = None
    changed_us: int = 0
    serial: int = 0
    trail: tuple[str, ...] = ()
    arrangement: int = 0
    arrangement_trail: tuple[int, ...] = ()
    trail_arrangements: tuple[int, ...] = ()
    releases: tuple[Release, ...] = ()
    trail_releases: tuple[str, ...] = ()
    numbered: int = 0
    holdout: HoldoutGroup | None = None

    @property
    def under_way(self) -> tuple[Release, ...]:
        """The releases that are neither drafts nor over."""
        return tuple(release for release in self.releases if release.state in UNDER_WAY)

    @property
    def reigning(self) -> Release | None:
        """The release that promoted the champion, None if it served before releases existed."""
        return next((release for release in self.releases if release.state == "champion"), None)


def arrangement_id(revision: int) -> str:
    """The text form of a revision.

    >>> arrangement_id(2), arrangement_id(0)
    ('a2', 'that of the file')
    """
    return f"a{revision}" if revision else "that of the file"


NOTHING = ReleaseState()


def current(registry: Registry) -> ReleaseState:
    """The present release state; `ReleaseState()` before the first release. Takes 0.2 ms and imports no SQLAlchemy."""
    row = registry.released()
    if row is None:
        return NOTHING
    document = row.document | {"serial": row.serial, "changed_us": row.changed_us}
    return msgspec.convert(document, ReleaseState)


def versions_in_service(state: ReleaseState) -> list[str]:
    """The versions that may answer or are compared, in this order: the champion, those under way, that of the holdout,
    the previous champion."""
    return _versions(state, state.under_way)


def versions_to_serve(state: ReleaseState) -> list[str]:
    """The `versions_in_service` whose responses may reach users. A server does not load versions in a shadow."""
    return _versions(state, [release for release in state.under_way if release.acts_as != "shadow"])


def arrangements_of_arms(state: ReleaseState) -> list[tuple[str, int]]:
    """(version, revision) of the arms that have their own arrangement."""
    arms = (arm for release in state.under_way if release.acts_as != "shadow" for arm in release.arms)
    pairs = ((arm.version or state.champion or "", arm.arrangement) for arm in arms if arm.arrangement is not None)
    return list(dict.fromkeys((version, revision) for version, revision in pairs if revision is not None))


def versions_in_shadow(state: ReleaseState) -> list[str]:
    """The versions that shadows compare, the champion first; empty if there is no shadow."""
    shadows = [release for release in state.under_way if release.acts_as == "shadow"]
    versions = (version for release in shadows for version in release.versions)
    return [state.champion, *dict.fromkeys(versions)] if shadows and state.champion is not None else []


def _versions(state: ReleaseState, releases: Sequence[Release]) -> list[str]:
    under_way = (version for release in releases for version in release.versions)
    held_out = state.holdout.version if state.holdout is not None else ""
    return list(dict.fromkeys(name for name in (state.champion, *under_way, held_out, state.previous) if name))


def role_of(state: ReleaseState, version: str) -> str:
    """The role of `version` in service: "champion", the name of its arm, "holdout" or "previous"."""
    if version == state.champion:
        return "champion"
    arms = (arm.name for release in state.under_way for arm in release.arms if arm.version == version)
    held_out = "holdout" if state.holdout is not None and version == state.holdout.version else "previous"
    return next(arms, held_out)


def level_of(state: ReleaseState, version: str) -> str:
    """The level of responses by `version`: "champion", "previous", or "chosen" for a version under release."""
    if version == state.champion:
        return "champion"
    return "previous" if version == state.previous else "chosen"
