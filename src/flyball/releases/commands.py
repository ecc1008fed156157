"""Commands on a release, by people or the controller. Each is one compare-and-set of everything that it changes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import NotFound, Refused
from flyball.files import FileStore
from flyball.policy import ReleasePlan
from flyball.registry import AuditEntry, Registry, ReleaseStep
from flyball.releases.change import (
    Change,
    Opens,
    Step,
    check_opens,
    check_servable,
    drafted_step,
    number_of,
    promote,
    releases_after,
    replace_state,
    rollback,
)
from flyball.releases.opening import arm_of, draft, holdout_for, placed, renewed
from flyball.releases.release import (
    CANDIDATE,
    SET_BACK_US,
    UNDER_WAY,
    WHOLE,
    Command,
    Release,
    StateName,
    move,
    redate,
    shown_state,
)
from flyball.releases.state import ReleaseState, arrangement_id, current
from flyball.tasks import About


class Actor(msgspec.Struct, frozen=True):
    """Who changes a release, when and why, and what is checked first.

    `artifacts`, `about` and `opens` as in `promote`.
    """

    by: str
    now_us: int
    reason: str
    artifacts: Path | FileStore
    about: About | None = None
    opens: Opens | None = None


def start_release(
    registry: Registry,
    plan: ReleasePlan,
    versions: Sequence[str],
    actor: Actor,
    *,
    constants: Mapping[str, float] | None = None,
    serial: int | None = None,
    arrangement: int | None = None,
) -> Change:
    """Start a release of `versions` by `plan`.

    It goes to all users at once if the plan is immediate or there is no champion to compare with. `constants`: further
    constants to fix now. `serial`, `arrangement`: as in `promote`. Raises `NotFound`. Raises `Refused` for what
    `promote` refuses, for the champion itself, for a version in another running release, and for a release that does
    not fit into its layer.
    """
    before = current(registry)
    if plan.kind == "immediate" or before.champion is None:
        if len(versions) != 1:
            raise Refused(
                f"a release to all units must be of one version, got {', '.join(versions) or 'none'}: name one"
            )
        return promote(
            registry,
            versions[0],
            actor.reason,
            actor.by,
            actor.now_us,
            artifacts=actor.artifacts,
            serial=serial,
            about=actor.about,
            arrangement=arrangement,
            opens=actor.opens,
            plan=plan,
            constants=constants,
        )
    for version in versions:
        _check_candidate(registry, before, version, actor)
    release = draft(before, plan, versions, actor.by, actor.reason, actor.now_us)
    release = placed(before, msgspec.structs.replace(release, constants={**release.constants, **(constants or {})}))
    state: StateName = "shadow" if plan.shadow_first else msgspec.convert(plan.kind, StateName)
    started, noted = move(
        release, "start", actor.now_us, reason=actor.reason, to=state, started_us=actor.now_us, over=before.champion
    )
    holdout = holdout_for(before, release, actor.now_us)
    after = _changed(before, [drafted_step(release), (started, noted)], numbered=number_of(release), holdout=holdout)
    entry = AuditEntry(at_us=actor.now_us, by=actor.by, action="start release", subject=release.id, reason=actor.reason)
    expected = before.serial if serial is None else serial
    done = replace_state(registry, expected, before, after, entry, [drafted_step(release), (started, noted)])
    return Change(
        done, True, f"{release.id} started: {', '.join(versions)} against {before.champion}, {shown_state(started)}"
    )


def renew_holdout(registry: Registry, actor: Actor) -> Change:
    """Renew the holdout with the present champion once its time is over; before that nothing changes.

    Raises `Refused` after a concurrent change.
    """
    before = current(registry)
    holdout = renewed(before, actor.now_us)
    if holdout is None or holdout == before.holdout:
        return Change(before, False, "the holdout stays as it is")
    entry = AuditEntry(
        at_us=actor.now_us, by=actor.by, action="renew holdout", subject=holdout.version, reason=actor.reason
    )
    after = msgspec.structs.replace(before, holdout=holdout)
    state = replace_state(registry, before.serial, before, after, entry)
    return Change(state, True, f"the holdout of {holdout.share:.2%} goes on from {holdout.version}")


def redate_releases(registry: Registry, actor: Actor) -> Change:
    """Redate what began after `actor.now_us`, because the clock was set back; while nothing did, nothing changes.

    Raises `Refused` after a concurrent change.
    """
    before, now_us = current(registry), actor.now_us
    steps = [step for release in before.releases if (step := redate(release, now_us)) is not None]
    holdout = before.holdout
    if holdout is not None and holdout.since_us - now_us > SET_BACK_US:
        holdout = msgspec.structs.replace(holdout, since_us=now_us)
    if not steps and holdout == before.holdout:
        return Change(before, False, "no time is ahead of the clock")
    names = ", ".join(release.id for release, _ in steps) or "holdout"
    entry = AuditEntry(at_us=now_us, by=actor.by, action="redate", subject=names, reason=actor.reason)
    after = _changed(before, steps, holdout=holdout)
    state = replace_state(registry, before.serial, before, after, entry, steps)
    return Change(state, True, f"the clock was set back: the times of {names} count from now")


def change_release(
    registry: Registry,
    release_id: str,
    command: Command,
    actor: Actor,
    *,
    serial: int | None = None,
    step: int | None = None,
    version: str = "",
    evidence: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Change:
    """Apply `command` to a release: advance, hold, pause, resume, promote, abort, finish or rollback.

    `serial`: the release serial on which the decision was made (default: the present one). `evidence`: the evidence for
    it. `version`: which version of its arms to promote (default: that of the last arm). Raises `NotFound`. Raises
    `Refused` for a command that the state does not allow, and after a concurrent change.
    """
    before = current(registry)
    release = find_release(registry, before, release_id)
    if command == "rollback":
        return _rolled_back(registry, release, actor, serial, evidence)
    if command == "promote":
        return _promoted(registry, release, version, actor, serial, evidence)
    if command not in COMMANDS:
        raise Refused(f"command must be one of {', '.join(COMMANDS)}, got {command}")
    if command == "advance":
        step, widened = _advanced(before, release, step)
        changes = {**changes, **widened}
    changed = move(release, command, actor.now_us, reason=actor.reason, step=step, evidence=evidence, **changes)
    entry = AuditEntry(
        at_us=actor.now_us, by=actor.by, action=f"{command} release", subject=release.id, reason=actor.reason
    )
    expected = before.serial if serial is None else serial
    state = replace_state(registry, expected, before, _changed(before, [changed]), entry, [changed])
    return Change(state, True, f"{release.id}: {shown_state(release)} before, now {shown_state(changed[0])}")


_LIST = "flyball releases list shows the state of each"


def _rolled_back(
    registry: Registry, release: Release, actor: Actor, serial: int | None, evidence: Mapping[str, Any] | None
) -> Change:
    if release.state != "champion":
        raise Refused(
            f"{release.id} must be that of the champion to be rolled back, got {shown_state(release)}: {_LIST}"
        )
    return rollback(
        registry,
        actor.reason,
        actor.by,
        actor.now_us,
        artifacts=actor.artifacts,
        about=actor.about,
        opens=actor.opens,
        serial=serial,
        evidence=evidence,
    )


def _promoted(
    registry: Registry,
    release: Release,
    version: str,
    actor: Actor,
    serial: int | None,
    evidence: Mapping[str, Any] | None,
) -> Change:
    if release.state not in UNDER_WAY:
        raise Refused(f"{release.id} must be under way to be promoted, got {shown_state(release)}: {_LIST}")
    if version and version not in release.versions:
        raise Refused(f"version must be one of {release.id}: {', '.join(release.versions)}; got {version}")
    arm = next((arm for arm in release.arms if version and arm.version == version), release.arms[-1])
    if not arm.version:
        revision = arrangement_id(arm.arrangement or 0)
        raise Refused(
            f"{release.id} must be of another version to be promoted, got arrangement {revision} of the champion: "
            f"finish it, then run flyball arrangements release {revision}"
        )
    return promote(
        registry,
        arm.version,
        actor.reason,
        actor.by,
        actor.now_us,
        artifacts=actor.artifacts,
        serial=serial,
        about=actor.about,
        opens=actor.opens,
        arrangement=arm.arrangement,
        evidence=evidence,
    )


def _advanced(before: ReleaseState, release: Release, step: int | None) -> tuple[int, dict[str, Any]]:
    """(the step to advance to, by default the next one; other fields that change).

    A release that advances from its shadow gets its units in the layer now.
    """
    if release.state != "shadow":
        step = release.step + 1 if step is None else step
        if release.state == "canary" and step < len(release.steps) and release.steps[step] == WHOLE:
            raise Refused(
                f"{release.id} must be promoted to get 100 % of the units, got advance: "
                f"run flyball releases promote {release.id}"
            )
        return step, {}
    if release.kind != "shadow":  # a canary that began as a shadow has its units already
        return step or 0, {}
    widened = placed(before, msgspec.structs.replace(release, kind="canary"))
    return step or 0, {"kind": "canary", "first": widened.first, "end": widened.end}


COMMANDS: tuple[Command, ...] = (
    "advance",
    "reweight",
    "hold",
    "pause",
    "resume",
    "promote",
    "abort",
    "finish",
    "rollback",
)


def find_release(registry: Registry, state: ReleaseState, release_id: str) -> Release:
    """The release with this id; raises `NotFound`, which lists all ids."""
    for release in state.releases:
        if release.id == release_id:
            return release
    releases = all_releases(registry)
    for release in releases:
        if release.id == release_id:
            return release
    raise NotFound("release", release_id, [release.id for release in releases[-12:]], "flyball releases list shows all")


def all_releases(registry: Registry) -> list[Release]:
    """All releases, in their present states, oldest first."""
    return [msgspec.convert(document, Release) for document in registry.release_objects()]


def last_step(registry: Registry, release: Release) -> ReleaseStep:
    """The last change of a release: who made it, and why."""
    return registry.release_steps(number_of(release))[-1]


def _check_candidate(registry: Registry, before: ReleaseState, answered_by: str, actor: Actor) -> None:
    arm = arm_of(CANDIDATE, answered_by)
    version_id, revision = arm.version or before.champion or "", before.arrangement
    if arm.arrangement is not None:
        revision = registry.arrangement(arrangement_id(arm.arrangement)).revision
    if version_id == before.champion and revision != before.arrangement:
        check_opens(registry, registry.version(version_id), revision, actor.opens)
        return
    if version_id == before.champion:
        raise Refused(
            f"{version_id} must be another version than the champion to be compared with it, got itself: "
            "name another (flyball versions list)"
        )
    for release in before.under_way:
        if version_id in release.versions:
            raise Refused(
                f"{version_id} must be in one release at a time, got {release.id}, {shown_state(release)}: "
                "end that first"
            )
    version = registry.version(version_id)
    check_servable(version, actor.artifacts, actor.about)
    check_opens(registry, version, revision, actor.opens)


def _changed(before: ReleaseState, steps: Sequence[Step], **changes: Any) -> ReleaseState:
    return msgspec.structs.replace(before, releases=releases_after(before, steps), **changes)
