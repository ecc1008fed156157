"""The release object: its versions, arms and traffic, and its state."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from flyball.core import Refused, format_duration

ReleaseKind = Literal["immediate", "canary", "ab", "shadow", "interleave", "bandit", "switchback"]
StateName = Literal[
    "draft",
    "shadow",
    "canary",
    "ab",
    "interleave",
    "bandit",
    "switchback",
    "held",
    "champion",
    "retired",
    "ended",
    "aborted",
    "rolled_back",
]
Command = Literal[
    "draft",
    "start",
    "advance",
    "reweight",
    "hold",
    "pause",
    "resume",
    "promote",
    "abort",
    "finish",
    "retire",
    "restore",
    "rollback",
    "redate",
]

RUNNING: tuple[StateName, ...] = ("shadow", "canary", "ab", "interleave", "bandit", "switchback")
"""The states in which a release is under way."""
UNDER_WAY: tuple[StateName, ...] = (*RUNNING, "held")
OVER: tuple[StateName, ...] = ("retired", "ended", "aborted", "rolled_back")
"""The final states of a release, except that a rollback may restore a champion."""
CONTROL, CANDIDATE = "control", "candidate"
INTERLEAVED = "interleaved"
"""The arm of responses that were drafted from all arms of a release."""
WHOLE = 10_000
"""The number of slots of a layer. Every share is an integer number of slots."""

SET_BACK_US = 60_000_000
"""A time that is further ahead than this was noted before the clock was set back."""
AUTOMATIC: frozenset[Command] = frozenset(("hold", "reweight", "retire", "restore", "redate"))
"""The commands that nobody gives: they follow from evidence, or from a command on another release."""
TRANSITIONS: dict[tuple[Command, StateName], tuple[StateName, ...]] = {
    ("start", "draft"): (*RUNNING, "champion"),
    ("abort", "draft"): ("aborted",),
    ("advance", "shadow"): ("canary",),
    ("advance", "canary"): ("canary",),
    ("reweight", "bandit"): ("bandit",),
    **{("hold", state): ("held",) for state in RUNNING},
    **{("pause", state): ("held",) for state in UNDER_WAY},
    ("resume", "held"): RUNNING,
    **{("promote", state): ("champion",) for state in UNDER_WAY},
    **{("abort", state): ("aborted",) for state in UNDER_WAY},
    **{("finish", state): ("ended",) for state in UNDER_WAY},
    ("retire", "champion"): ("retired",),
    ("restore", "retired"): ("champion",),
    ("rollback", "champion"): ("rolled_back",),
    **{("redate", state): (state,) for state in (*UNDER_WAY, "champion")},
}
"""{(command, state): the states that may follow}. A pair that is not in this table is refused."""


class ReleaseArm(msgspec.Struct, frozen=True):
    """One arm. `version`: the version that answers, "" for the present champion. `arrangement`: its revision, None for
    the released one. `weight`: its share relative to other arms; in a canary, the steps determine the shares."""

    name: str
    version: str = ""
    arrangement: int | None = None
    weight: float = 1.0


class Override(msgspec.Struct, frozen=True):
    """Requests whose fields match `where`, {field: values}, get `arm` and are left out of comparisons."""

    where: dict[str, tuple[str, ...]]
    arm: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One release, from its draft to its end; every change of it is a transition of `TRANSITIONS`.

    `arms`: control first. `steps`: for a canary, the candidate's shares in ten-thousandths; `step`: the present step.
    `unit`: fields of the request, whose first present value is hashed; () for the request's key. `layer`, `first`,
    `end`: it takes the units whose slot in the layer is in `[first, end)`; releases of one layer share no unit.
    `targets`: {field: values}, the requests that take part. `salt`: of the hash that assigns units to arms. `sampled`:
    the share of requests that a shadow answers; `slices`: fields of the request by which a shadow is also counted.
    `constants`, `guardrails` ({name: margin}) and `success` ({metric: margin}): all numbers behind decisions, fixed at
    the start. `paused`: a person held it, so only a person resumes it; else `held_for`: why it is held, and `held_us`:
    since when. `resumes`: the state to which a resume leads. `since_us`: when the present state or step began.
    `watch_until_us`: until when a champion may be rolled back automatically. `set_back_us`: by how much the clock was
    set back while it ran, in all, see `redate`. `over`: the champion that it was compared with. `group`: for a
    bandit, the field whose values have their own shares; `weights`: {value: {arm: share}}.
    """

    id: str
    kind: ReleaseKind
    state: StateName
    arms: tuple[ReleaseArm, ...]
    salt: str
    steps: tuple[int, ...] = ()
    step: int = 0
    unit: tuple[str, ...] = ()
    layer: str = "version"
    first: int = 0
    end: int = WHOLE
    targets: dict[str, tuple[str, ...]] = {}
    overrides: tuple[Override, ...] = ()
    constants: dict[str, float] = {}
    guardrails: dict[str, float] = {}
    success: dict[str, float] = {}
    harmful: dict[str, float] = {}
    sampled: float = 1.0
    slices: tuple[str, ...] = ()
    shadow_first: bool = False
    paused: bool = False
    resumes: StateName | None = None
    held_for: str = ""
    held_us: int = 0
    created_us: int = 0
    started_us: int = 0
    since_us: int = 0
    ended_us: int = 0
    watch_until_us: int = 0
    set_back_us: int = 0
    over: str = ""
    group: str = ""
    weights: dict[str, dict[str, float]] = {}
    by: str = ""
    reason: str = ""

    @property
    def candidate(self) -> str:
        """The version of its last arm."""
        return self.arms[-1].version

    @property
    def acts_as(self) -> StateName:
        """The state that determines how units are split; a held release keeps the split from before."""
        return self.resumes if self.state == "held" and self.resumes is not None else self.state

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that its arms name."""
        return tuple(dict.fromkeys(arm.version for arm in self.arms if arm.version))

    @property
    def answered_by(self) -> tuple[str, ...]:
        """The arms besides control in text form, as in `opening.arm_of`."""
        return tuple(
            arm.version if arm.arrangement is None else f"{arm.version}@a{arm.arrangement}" for arm in self.arms[1:]
        )

    def shares(self) -> dict[str, float]:
        """{arm: its share of the units that take part}, with sum 1; one entry for an interleaved release."""
        if self.acts_as == "canary":
            share = self.steps[self.step] / WHOLE
            return {CONTROL: 1.0 - share, self.arms[-1].name: share}
        if self.acts_as in ("ab", "bandit", "switchback"):
            total = sum(arm.weight for arm in self.arms)
            return {arm.name: arm.weight / total for arm in self.arms}
        if self.acts_as == "interleave":
            return {INTERLEAVED: 1.0}
        return {CONTROL: 1.0}


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a release: its command, the states before and after, the reason and the evidence."""

    command: Command
    before: StateName
    after: StateName
    step: int
    reason: str
    evidence: dict[str, Any] = {}


def move(
    release: Release,
    command: Command,
    now_us: int,
    *,
    reason: str,
    to: StateName | None = None,
    step: int | None = None,
    evidence: Mapping[str, Any] | None = None,
    **changes: Any,
) -> tuple[Release, Transition]:
    """(the release after `command`, the transition). Raises `Refused` if `TRANSITIONS` does not allow it.

    `to`: the state after it, required if the table allows several. `step`: in a ramp, it must be the next step.
    """
    allowed = TRANSITIONS.get((command, release.state), ())
    if not allowed:
        able = sorted({name for name, state in TRANSITIONS if state == release.state} - AUTOMATIC)
        which = f"where one can {', '.join(able)}" if able else "so it is over and cannot be changed"
        raise Refused(f"{release.id} is {shown_state(release)}, {which}; got {command}")
    after = to if to is not None else (release.resumes if command == "resume" else None) or allowed[0]
    if after not in allowed:
        raise Refused(f"{command} of {release.id} must lead to {' or '.join(allowed)}, got {after}")
    if command == "advance" and release.state == "canary" and step != release.step + 1:
        raise Refused(
            f"step of {release.id} must be {release.step + 1}, the one after {release.step}, got {step}: "
            "advance without a step goes there"
        )
    number = release.step if step is None else step
    if after == "canary" and not 0 <= number < len(release.steps):
        raise Refused(
            f"step of {release.id} must be one of its {len(release.steps)}, got {number}: "
            f"flyball releases show {release.id}"
        )
    keeps_time = command in ("pause", "hold")
    changes = {
        "paused": command == "pause",
        "since_us": release.since_us if keeps_time else now_us,
        "held_for": "",
        "held_us": now_us if after == "held" else 0,
        **changes,
    }
    moved = msgspec.structs.replace(
        release,
        state=after,
        step=number,
        resumes=(release.resumes or release.state) if after == "held" else None,
        ended_us=now_us if after in OVER else 0,
        **changes,
    )
    noted = Transition(
        command=command, before=release.state, after=after, step=number, reason=reason, evidence=dict(evidence or {})
    )
    return moved, noted


def redate(release: Release, now_us: int) -> tuple[Release, Transition] | None:
    """The release with no time ahead of `now_us`, after the clock was set back; None while there is nothing to do.

    What was to last from such a time on counts from now, since nobody knows how much of it had passed. A release whose
    times stayed as they are would wait until the clock is there again.
    """
    ahead_us = max(release.started_us, release.since_us, release.held_us) - now_us
    reigns = release.state == "champion" and bool(release.over)
    if ahead_us <= SET_BACK_US or not (release.state in UNDER_WAY or reigns):
        return None
    since_us = min(release.since_us, now_us)
    return move(
        release,
        "redate",
        now_us,
        reason=f"the clock was set back by {format_duration(ahead_us // 1_000_000 * 1_000_000)}: times count from now",
        started_us=min(release.started_us, now_us),
        since_us=since_us,
        held_us=min(release.held_us, now_us),
        held_for=release.held_for,
        paused=release.paused,
        watch_until_us=release.watch_until_us and since_us + release.watch_until_us - release.since_us,
        set_back_us=release.set_back_us + ahead_us,
    )


def shown_state(release: Release) -> str:
    """The state as text.

    >>> arms = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))
    >>> shown_state(Release(id="rel1", kind="canary", state="canary", arms=arms, salt="rel1", steps=(100, 500), step=1))
    'canary at 5 % (step 2 of 2)'
    """
    acts = release.acts_as
    shown = acts.replace("_", " ")
    if acts == "canary":
        shown += f" at {release.steps[release.step] / 100:g} % (step {release.step + 1} of {len(release.steps)})"
    if release.state == "held":
        return f"{'paused' if release.paused else 'held'} in {shown}"
    return shown
