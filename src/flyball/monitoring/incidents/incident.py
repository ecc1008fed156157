"""The incident and its state machine.

```
            acknowledge            mitigate              close
    open ────────────────▶ acknowledged ──────▶ mitigated ──────▶ closed
     │ │                        │                   │  │             │
     │ └──── mitigate ──────────┼──────────────────▶┘  │             │
     └────── close ─────────────┴──────────────────────┼────────────▶│
                                                       │             │
    reopened ◀───────────────────── reopen ────────────┴─────────────┘
```

`reopened` is `open` once more: it is acknowledged, mitigated or closed like it. A person reopens by command, Flyball
when a finding of the incident fires again after it was over.
"""

from typing import Literal

import msgspec

from flyball.core import Refused, format_second
from flyball.monitoring.findings.finding import FaultOrigin, Severity

IncidentState = Literal["open", "acknowledged", "mitigated", "closed", "reopened"]
IncidentCommand = Literal[
    "open",
    "join",
    "raise",
    "over",
    "escalate",
    "acknowledge",
    "assign",
    "mitigate",
    "note",
    "action",
    "close",
    "reopen",
]

UNCLAIMED: tuple[IncidentState, ...] = ("open", "reopened")
"""The states in which nobody has said that they look at it."""
NOT_CLOSED: tuple[IncidentState, ...] = (*UNCLAIMED, "acknowledged", "mitigated")

NEXT_STATES: dict[tuple[IncidentCommand, IncidentState], IncidentState] = {
    **{("acknowledge", state): "acknowledged" for state in UNCLAIMED},
    **{("mitigate", state): "mitigated" for state in NOT_CLOSED},
    **{("close", state): "closed" for state in NOT_CLOSED},
    ("reopen", "mitigated"): "reopened",
    ("reopen", "closed"): "reopened",
}
"""{(command, state): the state after it}. A pair that is not in this table is refused."""


class MitigationStep(msgspec.Struct, frozen=True):
    """One step of the checklist: what to do, the command for it, and who did it when."""

    text: str
    command: str = ""
    done_by: str = ""
    done_us: int = 0


class ActionItem(msgspec.Struct, frozen=True):
    """What is to be done so that it does not happen again, and who does it. `done_us`: 0 while it is open."""

    text: str
    owner: str = ""
    done_us: int = 0


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One incident, with the present state of everything but its timeline.

    `title`: what is wrong, in a line. `group`: the table or source of its alerts. `since_us`: since when the earliest
    of its findings has held; `over_us`: since when none of them holds, 0 while any does. `high_us`: when its severity
    became high or it was reopened with it, at which its clock began. `joined_us`: when an alert last joined it.
    `escalated`: how many on call know of it; `overdue`: whether its clock ran out. `assigned`: whether a person chose
    the owner. `earlier`: the closed incident that it repeats. `revision`: increases with every change.
    """

    id: str
    app: str
    state: IncidentState
    severity: Severity
    title: str
    group: str
    origin: FaultOrigin
    opened_us: int
    since_us: int
    changed_us: int
    joined_us: int
    owner: str = ""
    assigned: bool = False
    high_us: int = 0
    acknowledged_us: int = 0
    mitigated_us: int = 0
    closed_us: int = 0
    over_us: int = 0
    escalated: int = 0
    overdue: bool = False
    reopened: int = 0
    checklist: tuple[MitigationStep, ...] = ()
    cause: str = ""
    actions: tuple[ActionItem, ...] = ()
    earlier: str = ""
    revision: int = 1

    @property
    def number(self) -> int:
        return int(self.id.removeprefix("inc"))


def state_after(incident: Incident, command: IncidentCommand) -> IncidentState:
    """The state after a command; raises `Refused` for one that its state does not allow."""
    after = NEXT_STATES.get((command, incident.state))
    if after is None:
        able = sorted({name for name, state in NEXT_STATES if state == incident.state})
        raise Refused(
            f"{incident.id} is {incident.state}{held_by(incident)}, where it can be {_listed(able)}, got {command}: "
            "flyball incidents show says what was done"
        )
    return after


def held_by(incident: Incident) -> str:
    """Who has it, and since when if they said so; for the end of its state in a message."""
    since = f" since {format_second(incident.acknowledged_us)}" if incident.acknowledged_us else ""
    return f" ({incident.owner} has it{since})" if incident.owner else ""


_DONE = {"acknowledge": "acknowledged", "mitigate": "mitigated", "close": "closed", "reopen": "reopened"}


def _listed(commands: list[IncidentCommand]) -> str:
    return " or ".join(_DONE[command] for command in commands)
