"""Makes a release from a plan, and finds its units among the releases under way."""

from collections.abc import Sequence

import msgspec

from flyball.core import Refused
from flyball.policy import ReleasePlan
from flyball.releases.error_budget import drafted_constants
from flyball.releases.release import CANDIDATE, CONTROL, WHOLE, Override, Release, ReleaseArm, ReleaseKind
from flyball.releases.state import HoldoutGroup, ReleaseState


def draft(
    state: ReleaseState, plan: ReleasePlan, versions: Sequence[str], by: str, reason: str, now_us: int
) -> Release:
    """A release of `versions` by `plan`, not started yet, with the next number of `state`.

    `versions`: one for each arm besides control, see `arm_of`. Raises `Refused` if their number differs from that of
    the arms.
    """
    arms = _arms(plan, versions)
    kind: ReleaseKind = msgspec.convert(plan.kind, ReleaseKind)
    name = f"rel{state.numbered + 1}"
    constants = {"watch_us": float(plan.watch_us), "traffic": plan.traffic / WHOLE}
    if plan.holdout:
        constants |= {"holdout": plan.holdout, "holdout_us": float(plan.holdout_us)}
    drafted = Release(
        id=name,
        kind=kind,
        state="draft",
        arms=arms,
        salt=name,
        steps=plan.steps,
        unit=plan.unit,
        layer=plan.layer,
        targets=plan.targets,
        overrides=tuple(Override(where, arm) for arm, where in plan.overrides.items()),
        constants={**plan.constants, **constants},
        guardrails=plan.guardrails,
        success=plan.success,
        harmful=plan.harmful,
        sampled=plan.sampled,
        group=plan.group,
        slices=plan.slices,
        shadow_first=plan.shadow_first,
        created_us=now_us,
        since_us=now_us,
        by=by,
        reason=reason,
    )
    return msgspec.structs.replace(drafted, constants={**drafted.constants, **drafted_constants(drafted, plan)})


def _arms(plan: ReleasePlan, versions: Sequence[str]) -> tuple[ReleaseArm, ...]:
    """Control, and an arm for each of `versions`."""
    names = list(plan.weights)[1:] or [CANDIDATE]
    if len(names) != len(versions):
        raise Refused(
            f"versions of {plan.kind}(...) must be {len(names)}, one for each arm beside control: "
            f"{', '.join(names)}; got {', '.join(versions) or 'none'}"
        )
    weights = plan.weights or {CONTROL: 1.0, CANDIDATE: 1.0}
    return (
        ReleaseArm(CONTROL, weight=weights[CONTROL]),
        *(arm_of(name, version, weights[name]) for name, version in zip(names, versions, strict=True)),
    )


def arm_of(name: str, answered_by: str, weight: float = 1.0) -> ReleaseArm:
    """An arm from its text form: "v3"; "v3@a2", with its own arrangement; or "@a2", the champion with another one.

    Raises `Refused` for any other form.

    >>> arm_of("candidate", "v3@a2")
    ReleaseArm(name='candidate', version='v3', arrangement=2, weight=1.0)
    """
    version, at, revision = answered_by.partition("@")
    if at and not (revision.startswith("a") and revision[1:].isdecimal()):
        raise Refused(f"an arm must be a version and an arrangement such as v3@a2 or @a2, got {answered_by}")
    return ReleaseArm(name, version, int(revision[1:]) if at else None, weight)


def placed(state: ReleaseState, release: Release) -> Release:
    """The release in the first free slots of its layer; raises `Refused` if it does not fit."""
    beside = [other for other in state.under_way if other.layer == release.layer and other.kind != "shadow"]
    if release.kind == "shadow":
        return release
    others = [other for other in state.under_way if other.layer != release.layer and other.kind != "shadow"]
    if others and _varies_versions(release) and any(map(_varies_versions, others)):
        raise Refused(
            f"{release.id} must be in layer {others[0].layer!r}, where {others[0].id} is: a request is "
            "answered by one version, so only releases of one layer may choose it"
        )
    different = next((other for other in beside if other.unit != release.unit or other.kind == "switchback"), None)
    if different is not None:
        raise Refused(
            f"{release.id} must divide the same units as {different.id}, which is in layer "
            f"{release.layer!r}, too: wait for its end, or declare the same unit"
        )
    size, first = round(release.constants["traffic"] * WHOLE), 0
    for other in sorted(beside, key=lambda other: other.first):
        if other.first - first >= size:
            break
        first = max(first, other.end)
    if first + size > WHOLE:
        taken_text = ", ".join(f"{other.id} takes {(other.end - other.first) / 100:g} %" for other in beside)
        raise Refused(
            f"layer {release.layer!r} must have {size / 100:g} % of its units free for {release.id}, but "
            f"{taken_text}: wait for its end, abort it, or declare less traffic for both"
        )
    return msgspec.structs.replace(release, first=first, end=first + size)


def _varies_versions(release: Release) -> bool:
    return bool(release.versions)


def holdout_for(state: ReleaseState, release: Release, now_us: int) -> HoldoutGroup | None:
    """The holdout once `release` has started: the one there is, or a new one where the release declares one."""
    share = release.constants.get("holdout", 0.0)
    if state.holdout is not None or not share or state.champion is None:
        return state.holdout
    period_us = int(release.constants["holdout_us"])
    return HoldoutGroup(share, f"holdout {release.id}", state.champion, release.unit, now_us, period_us)


def renewed(state: ReleaseState, now_us: int) -> HoldoutGroup | None:
    """The holdout: with the present champion if its time is over, else unchanged."""
    holdout = state.holdout
    if holdout is None or state.champion is None or now_us - holdout.since_us < holdout.period_us:
        return holdout
    return msgspec.structs.replace(holdout, version=state.champion, since_us=now_us)
