"""Promotes versions and rolls back: each is one compare-and-set, with an entry in the audit trail."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import Refused, sha256_file
from flyball.files import FileStore
from flyball.models import artifact_folder
from flyball.policy import ReleasePlan, immediate
from flyball.registry import AuditEntry, Registry, ReleaseStep, Version, VersionState, replace_release
from flyball.releases.opening import draft
from flyball.releases.release import OVER, Release, Transition, move, shown_state
from flyball.releases.state import ReleaseState, arrangement_id, current
from flyball.tasks import About, check_hashes

Opens = Callable[[Mapping[str, Any]], object]
"""Opens the task by a version's declaration; raises `Refused` if the present application cannot do that."""


class Change(msgspec.Struct, frozen=True):
    """The result of a command: the release state, whether it changed, and a message."""

    state: ReleaseState
    changed: bool
    message: str


def promote(
    registry: Registry,
    version_id: str,
    reason: str,
    by: str,
    now_us: int,
    *,
    artifacts: Path | FileStore,
    serial: int | None = None,
    about: About | None = None,
    arrangement: int | None = None,
    opens: Opens | None = None,
    plan: ReleasePlan | None = None,
    constants: Mapping[str, float] | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Change:
    """Make `version_id` the champion. `artifacts`: where artifacts are.

    If a release of the version is under way, that release is promoted, on `evidence`. Otherwise a new release goes to
    all users at once and is watched by `plan` (default: `immediate()`); `constants`: further constants to fix now.

    `serial`: the release serial on which the decision was made (default: the present one). `arrangement`: the revision
    to serve from now on (default: the present one). `about`: the task as declared now. `opens`: see
    `check_opens`. Raises `NotFound`. Raises `Refused` for a rejected version, for a missing or altered artifact, for a
    version that learned from other definitions of features or cannot be opened, while a release of another version is
    under way, and after a concurrent change.
    """
    before = current(registry)
    version = registry.version(version_id)
    if before.champion == version_id and (serial is None or serial == before.serial):
        return Change(before, False, f"{version_id} is the champion already; nothing changed")
    check_servable(version, artifacts, about)
    check_opens(registry, version, before.arrangement if arrangement is None else arrangement, opens)
    trail = before.trail if before.champion is None else (*before.trail, before.champion)
    left = before.trail_arrangements if before.champion is None else (*before.trail_arrangements, before.arrangement)
    revision = before.arrangement if arrangement is None else arrangement
    changed = revision != before.arrangement and before.champion is not None
    entry = AuditEntry(at_us=now_us, by=by, action="promote", subject=version_id, reason=reason)
    steps = _promotion(before, version_id, plan or immediate(), entry, constants or {}, evidence or {})
    after = ReleaseState(
        champion=version_id,
        previous=trail[-1] if trail else None,
        trail=trail,
        arrangement=revision,
        arrangement_trail=(*before.arrangement_trail, before.arrangement) if changed else before.arrangement_trail,
        trail_arrangements=left,
        releases=releases_after(before, steps),
        trail_releases=_trail_releases(before)
        if before.champion is None
        else (*_trail_releases(before), _reign(before)),
        numbered=max(before.numbered, *(number_of(release) for release, _ in steps)),
        holdout=before.holdout,
    )
    expected = before.serial if serial is None else serial
    state = replace_state(
        registry,
        expected,
        before,
        after,
        entry,
        steps,
    )
    earlier = f"before it {before.champion}" if before.champion else "the first one"
    return Change(state, True, f"{version_id} ({version.candidate}) is the champion now, {earlier}")


def rollback(
    registry: Registry,
    reason: str,
    by: str,
    now_us: int,
    *,
    artifacts: Path | FileStore,
    about: About | None = None,
    opens: Opens | None = None,
    serial: int | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Change:
    """Return to the previous champion and its arrangement; each further call goes back one more.

    Releases under way are aborted, because the champion that they were compared with no longer serves. Raises `Refused`
    if there is no previous champion, for what `promote` refuses, and after a concurrent change.
    """
    before = current(registry)
    if before.champion is None:
        raise Refused("rollback must have a champion to leave, got no release yet: run flyball learn")
    if before.previous is None:
        raise Refused(
            f"rollback must have an earlier champion to go to, got none before {before.champion}: flyball versions "
            "release puts another version into service"
        )
    version = registry.version(before.previous)
    check_servable(version, artifacts, about)
    revision = before.trail_arrangements[-1] if before.trail_arrangements else before.arrangement
    check_opens(registry, version, revision, opens)
    trail = before.trail[:-1]
    steps = _retreat(registry, before, reason, now_us, evidence or {})
    after = ReleaseState(
        champion=version.id,
        previous=trail[-1] if trail else None,
        trail=trail,
        arrangement=revision,
        arrangement_trail=before.arrangement_trail,
        trail_arrangements=before.trail_arrangements[:-1],
        releases=releases_after(before, steps),
        trail_releases=_trail_releases(before)[:-1],
        numbered=before.numbered,
        holdout=before.holdout,
    )
    state = replace_state(
        registry,
        before.serial if serial is None else serial,
        before,
        after,
        AuditEntry(at_us=now_us, by=by, action="rollback", subject=version.id, reason=reason),
        steps,
    )
    return Change(
        state, True, f"{version.id} ({version.candidate}) is the champion again, {before.champion} is retired"
    )


Step = tuple[Release, Transition]
"""(a release after a change, the change)."""


def _promotion(
    before: ReleaseState,
    version_id: str,
    plan: ReleasePlan,
    entry: AuditEntry,
    constants: Mapping[str, float],
    evidence: Mapping[str, Any],
) -> list[Step]:
    """The changes of releases that make `version_id` the champion."""
    now_us, reason = entry.at_us, entry.reason
    release = next((release for release in before.under_way if version_id in release.versions), None)
    other = next((other for other in before.under_way if other is not release), None)
    if other is not None:
        raise Refused(
            f"{version_id} must wait for {other.id}, which compares {', '.join(other.versions)} with {before.champion} "
            f"({shown_state(other)}): promote or abort that first"
        )
    steps = []
    reigning = before.reigning
    if reigning is not None:
        steps.append(move(reigning, "retire", now_us, reason=f"{version_id} took over"))
    if release is not None:
        changes = _watched(release, before, now_us)
        return [*steps, move(release, "promote", now_us, reason=reason, evidence=evidence, **changes)]
    drafted = draft(
        before, msgspec.structs.replace(plan, kind="immediate", weights={}), [version_id], entry.by, reason, now_us
    )
    drafted = msgspec.structs.replace(drafted, constants={**drafted.constants, **constants})
    changes = {"started_us": now_us, **_watched(drafted, before, now_us)}
    started = move(drafted, "start", now_us, reason=reason, to="champion", evidence=evidence, **changes)
    return [*steps, drafted_step(drafted), started]


def _watched(release: Release, before: ReleaseState, now_us: int) -> dict[str, Any]:
    watch_us = int(release.constants.get("watch_us", 0.0)) if before.champion is not None else 0
    return {"watch_until_us": now_us + watch_us, "over": before.champion or ""}


def _retreat(
    registry: Registry, before: ReleaseState, reason: str, now_us: int, evidence: Mapping[str, Any]
) -> list[Step]:
    """The changes of releases that follow from a rollback of the champion."""
    rolled_back = f"{before.champion}, with which it was compared, was rolled back"
    steps = [move(release, "abort", now_us, reason=rolled_back) for release in before.under_way]
    reigning = before.reigning
    if reigning is not None:
        steps.append(move(reigning, "rollback", now_us, reason=reason, evidence=evidence))
    earlier = _trail_releases(before)[-1]
    for document in registry.release_objects() if earlier else ():
        if document["id"] == earlier:
            release = msgspec.convert(document, Release)
            if release.state == "retired":
                steps.append(move(release, "restore", now_us, reason=f"{before.champion} was rolled back"))
    return steps


def drafted_step(release: Release) -> Step:
    """The first change of a release: its creation."""
    noted = Transition(command="draft", before="draft", after="draft", step=release.step, reason=release.reason)
    return release, noted


def releases_after(before: ReleaseState, steps: Sequence[Step]) -> tuple[Release, ...]:
    """The releases of the state after `steps`, without those that ended, which are in the registry only."""
    releases = {release.id: release for release in before.releases}
    releases |= {release.id: release for release, _ in steps}
    return tuple(release for release in releases.values() if release.state not in OVER)


def number_of(release: Release) -> int:
    """The number in its id."""
    return int(release.id.removeprefix("rel"))


def _reign(state: ReleaseState) -> str:
    return state.reigning.id if state.reigning is not None else ""


def _trail_releases(state: ReleaseState) -> tuple[str, ...]:
    """The release of each earlier champion; "" for champions from before releases existed."""
    pairs = zip_longest(state.trail, state.trail_releases[: len(state.trail)], fillvalue="")
    return tuple(release for _, release in pairs)


_RESTORE = "restore it from a backup, or learn again"


def check_servable(version: Version, artifacts: Path | FileStore, about: About | None = None) -> None:
    """Raise `Refused` with the reason if `version` may not serve.

    Reasons: it was rejected, its files differ from the registered ones, or it learned from definitions of features that
    are not those of `about`, the task as declared now (None: not checked).
    """
    if version.state == "rejected":
        raise Refused(f"{version.id} must have passed its gates to serve, got rejected: {version.reason}")
    if not version.artifact or not version.artifact_files:
        raise Refused(f"{version.id} must have an artifact to serve, got none: run flyball learn")
    if about is not None:
        check_version_features(about, version)
    folder = artifact_folder(artifacts, version.artifact, version.artifact_files)
    if not folder.is_dir():
        raise Refused(
            f"{version.id} must still have its artifact {folder} to serve, got no such folder: the artifacts of "
            "versions that never served are removed some runs later, those of versions long out of service too (see "
            "the audit trail); learn again"
        )
    for name, expected in sorted(version.artifact_files.items()):
        path = folder / name
        if not path.is_file():
            raise Refused(f"{version.id} must have its artifact file {path} to serve, got no such file: {_RESTORE}")
        got = sha256_file(path)
        if got != expected:
            raise Refused(
                f"{version.id} must have artifact file {path} with sha256 {expected} to serve, got {got}: {_RESTORE}"
            )


def check_version_features(about: About, version: Version) -> None:
    """Raise `Refused` where a feature that the version reads is declared otherwise now, with what differs."""
    definitions = version.declaration.get("definitions", {}), about.definitions
    check_hashes(about.feature_hashes, version.features, version.id, definitions)


def check_opens(registry: Registry, version: Version, revision: int, opens: Opens | None) -> None:
    """Raise `Refused` with the reason if the present application cannot open `version` with arrangement `revision`.

    `opens`: a function of the version's declaration and the arrangement's value, such as `App.task_of` (None: not
    checked).
    """
    if opens is None:
        return
    rule = registry.arrangement(arrangement_id(revision)).value if revision else {}
    try:
        opens({**version.declaration, **rule} if version.declaration else {})
    except Refused as error:
        rule_text = f" with arrangement {arrangement_id(revision)}" if revision else ""
        raise Refused(f"{version.id}{rule_text} must open in today's application to serve, got: {error}") from None


def replace_state(
    registry: Registry,
    expected: int,
    before: ReleaseState,
    after: ReleaseState,
    entry: AuditEntry,
    steps: Sequence[Step] = (),
) -> ReleaseState:
    """Replace the state by `after`, with its entry in the audit trail and the changes of releases, all or nothing.

    Raises `Refused` after a concurrent change.
    """
    states: dict[str, VersionState] = {}
    if before.champion is not None:
        states[before.champion] = "retired"
    if after.champion is not None:
        states[after.champion] = "champion"
    entry = msgspec.structs.replace(entry, before=_shown(before), after=_shown(after))
    noted = [
        ReleaseStep(
            release=number_of(release),
            kind=release.kind,
            command=change.command,
            before=change.before,
            after=change.after,
            step=change.step,
            reason=change.reason,
            evidence=change.evidence,
            document=msgspec.to_builtins(release),
        )
        for release, change in steps
    ]
    row = replace_release(registry, expected, msgspec.to_builtins(after), states, entry, noted)
    return msgspec.structs.replace(after, serial=row.serial, changed_us=row.changed_us)


def _shown(state: ReleaseState) -> dict[str, str | int | None]:
    return {"champion": state.champion, "previous": state.previous, "arrangement": state.arrangement}
