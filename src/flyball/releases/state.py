"""The release state, and the role of each version in it."""

from collections.abc import Sequence

import msgspec

from flyball.registry import Registry
from flyball.releases.release import UNDER_WAY, Release


class HoldoutGroup(msgspec.Struct, frozen=True):
    """The group that no release reaches: `share` of the units, hashed with `salt`, are answered by `version`.

    `unit` as in `Release`. `since_us`: when `version` was the champion for everybody; after `period_us` the group
    catches up with the champion of then, and the measurement starts again.
    """

    share: float
    salt: str
    version: str = ""
    unit: tuple[str, ...] = ()
    since_us: int = 0
    period_us: int = 0


class ReleaseState(msgspec.Struct, frozen=True):
    """The router's state.

    `champion`: the version that serves, None before the first release. `previous`: the champion before it, where
    `rollback` goes; `trail` lists all earlier ones, oldest first. `serial` rises by one with each change, so a poller
    compares one number. `releases`: the drafts, those under way and that of the champion; `trail_releases`: beside
    `trail`, the ids of theirs, "" for none; `numbered`: how many there ever were. `holdout`: see `HoldoutGroup`.

    `arrangement`: the revision that responses are made by, 0 for what the application's file says;
    `arrangement_trail`: those before it, oldest first. `trail_arrangements`: beside `trail`, the revision that each
    earlier champion left with, which comes back with it.
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
        """The releases that are neither drafts nor decided."""
        return tuple(release for release in self.releases if release.state in UNDER_WAY)

    @property
    def reigning(self) -> Release | None:
        """The release that made the champion what it is, None for one of before there were any."""
        return next((release for release in self.releases if release.state == "champion"), None)


def arrangement_id(revision: int) -> str:
    """How a person names a revision.

    >>> arrangement_id(2), arrangement_id(0)
    ('a2', 'that of the file')
    """
    return f"a{revision}" if revision else "that of the file"


NOTHING = ReleaseState()


def current(registry: Registry) -> ReleaseState:
    """The released state now; `ReleaseState()` before the first release. About 0.2 ms, imports no SQLAlchemy."""
    row = registry.released()
    if row is None:
        return NOTHING
    document = row.document | {"serial": row.serial, "changed_us": row.changed_us}
    return msgspec.convert(document, ReleaseState)


def versions_in_service(state: ReleaseState) -> list[str]:
    """The versions that may answer or be compared, best first: the champion, those under way, the holdout's, the
    previous champion."""
    return _versions(state, state.under_way)


def versions_to_serve(state: ReleaseState) -> list[str]:
    """Those of `versions_in_service` whose answers may reach users: those of a shadow do not, and what answers users
    does not load them."""
    return _versions(state, [release for release in state.under_way if release.acts_as != "shadow"])


def arrangements_of_arms(state: ReleaseState) -> list[tuple[str, int]]:
    """(version, revision) of the arms that answer by an arrangement of their own."""
    arms = (arm for release in state.under_way if release.acts_as != "shadow" for arm in release.arms)
    pairs = ((arm.version or state.champion or "", arm.arrangement) for arm in arms if arm.arrangement is not None)
    return list(dict.fromkeys((version, revision) for version, revision in pairs if revision is not None))


def versions_in_shadow(state: ReleaseState) -> list[str]:
    """The versions that shadows compare: the champion first; none while there is no shadow."""
    shadows = [release for release in state.under_way if release.acts_as == "shadow"]
    versions = (version for release in shadows for version in release.versions)
    return [state.champion, *dict.fromkeys(versions)] if shadows and state.champion is not None else []


def _versions(state: ReleaseState, releases: Sequence[Release]) -> list[str]:
    under_way = (version for release in releases for version in release.versions)
    held_out = state.holdout.version if state.holdout is not None else ""
    return list(dict.fromkeys(name for name in (state.champion, *under_way, held_out, state.previous) if name))


def role_of(state: ReleaseState, version: str) -> str:
    """What `version` is in service for: "champion", the name of its arm, "holdout", or "previous"."""
    if version == state.champion:
        return "champion"
    arms = (arm.name for release in state.under_way for arm in release.arms if arm.version == version)
    held_out = "holdout" if state.holdout is not None and version == state.holdout.version else "previous"
    return next(arms, held_out)


def level_of(state: ReleaseState, version: str) -> str:
    """The level of what `version` answers: "champion", "previous", or "chosen" for another under release."""
    if version == state.champion:
        return "champion"
    return "previous" if version == state.previous else "chosen"
