"""The release object: its versions, arms and traffic, and its state."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from flyball.core import Refused

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
]

RUNNING: tuple[StateName, ...] = ("shadow", "canary", "ab", "interleave", "bandit", "switchback")
"""The states in which a release is under way."""
UNDER_WAY: tuple[StateName, ...] = (*RUNNING, "held")
OVER: tuple[StateName, ...] = ("retired", "ended", "aborted", "rolled_back")
"""The states in which nothing follows from a release any more, but for a champion that a rollback restores."""
CONTROL, CANDIDATE = "control", "candidate"
INTERLEAVED = "interleaved"
"""The arm of answers that were drafted from all arms of a release."""
WHOLE = 10_000
"""Slots of a layer; shares are whole numbers of them."""

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
}
"""{(command, state): the states it may lead to}. Whatever is not in this table is refused."""


class ReleaseArm(msgspec.Struct, frozen=True):
    """One arm. `version`: what answers, "" for the champion, whichever it is. `arrangement`: the revision it answers
    by, None for the released one. `weight`: its share beside the other arms; of a canary the steps say the shares."""

    name: str
    version: str = ""
    arrangement: int | None = None
    weight: float = 1.0


class Override(msgspec.Struct, frozen=True):
    """The requests whose fields are as in `where`, {field: values}, get `arm` and take no part in any comparison."""

    where: dict[str, tuple[str, ...]]
    arm: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One release, from its draft to its end; every change of it is a transition of `TRANSITIONS`.

    `arms`: control first. `steps`: shares of the candidate in ten-thousandths, of a canary; `step`: the present one.
    `unit`: the fields of the request whose first present value is hashed, () for the request's key. `layer`, `first`,
    `end`: it takes the units whose slot in the layer is in `[first, end)`; releases of one layer share no unit.
    `targets`: {field: values}: the requests that take part. `salt`: what units are hashed with to find their arm.
    `sampled`: the share of requests that a shadow answers; `slices`: the fields of the request whose values a shadow
    tells apart. `constants`: all numbers that decide, fixed at the start; `guardrails`: {name: margin} and `success`:
    {metric: margin}, too. `paused`: a person held it, who alone resumes it; otherwise `held_for` says why and `held_us`
    since when. `resumes`: the state that it goes back to. `since_us`: when the present state or step began.
    `watch_until_us`: until when a champion may still be rolled back by what comes to be known. `over`: the champion it
    was compared with.
    `group`: of a bandit, the field whose values have shares of their own; `weights`: {value: {arm: share}}.
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
    over: str = ""
    group: str = ""
    weights: dict[str, dict[str, float]] = {}
    by: str = ""
    reason: str = ""

    @property
    def candidate(self) -> str:
        """The version that it is about: that of its last arm."""
        return self.arms[-1].version

    @property
    def acts_as(self) -> StateName:
        """The state whose split of units holds: held releases keep theirs."""
        return self.resumes if self.state == "held" and self.resumes is not None else self.state

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that its arms name."""
        return tuple(dict.fromkeys(arm.version for arm in self.arms if arm.version))

    @property
    def answered_by(self) -> tuple[str, ...]:
        """What its arms beside control answer by, for a reader: "v3", "v3@a2", "@a2" for the champion by that."""
        return tuple(
            arm.version if arm.arrangement is None else f"{arm.version}@a{arm.arrangement}" for arm in self.arms[1:]
        )

    def shares(self) -> dict[str, float]:
        """{arm: its share of the units that take part}, adding up to 1; of an interleaved release all arms are one."""
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
    """One change of a release: by which command, from what to what, why and on what evidence."""

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
    """The release after `command` and the transition to note; raises `Refused` for what the table does not allow.

    `to`: where the table allows more than one state. A step of a ramp is the next one and takes in more units.
    """
    allowed = TRANSITIONS.get((command, release.state), ())
    if not allowed:
        able = ", ".join(sorted({name for name, state in TRANSITIONS if state == release.state})) or "nothing"
        raise Refused(f"{release.id} is {shown_state(release)}, where one can {able}; got {command}")
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
    moved = msgspec.structs.replace(
        release,
        state=after,
        step=number,
        resumes=(release.resumes or release.state) if after == "held" else None,
        paused=command == "pause",
        since_us=release.since_us if keeps_time else now_us,
        ended_us=now_us if after in OVER else 0,
        **{"held_for": "", "held_us": now_us if after == "held" else 0, **changes},
    )
    noted = Transition(
        command=command, before=release.state, after=after, step=number, reason=reason, evidence=dict(evidence or {})
    )
    return moved, noted


def shown_state(release: Release) -> str:
    """The state for a reader.

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
