"""How an application treats accounts that act as no others do, such as those that poison its log."""

from typing import Literal, get_args

import msgspec

from flyball.core import BadDeclaration

SuspectAction = Literal["report", "downweight", "hold"]
DOWNWEIGHTED = 0.1
"""The share of its events with which an account counts in training that is down-weighted."""


class SuspectPlan(msgspec.Struct, frozen=True):
    """Made by `suspects`, whose docstring explains each field."""

    action: SuspectAction = "report"
    entity: str | None = None
    days: int = 28
    false_share: float = 0.05

    @property
    def share(self) -> float:
        """The share of its events with which a suspect counts in training."""
        return {"report": 1.0, "downweight": DOWNWEIGHTED, "hold": 0.0}[self.action]


def suspects(
    action: SuspectAction = "report", *, entity: str | None = None, days: int = 28, false_share: float = 0.05
) -> SuspectPlan:
    """Look once a day for accounts that act as no others do, and treat them by `action`.

    "report": a finding names them, nothing else changes. "downweight": besides, a tenth of their events counts in
    training, "hold": none, until someone releases them. `entity`: whose members are the accounts, by default what
    evaluations count, such as users. `days`: how far back is looked, 1 to 365. `false_share`: the share of suspects
    that may be false, on average at most. Raises `BadDeclaration`.

    >>> suspects("hold").share
    0.0
    """
    if action not in get_args(SuspectAction):
        raise BadDeclaration("action of suspects(...)", f"one of {', '.join(get_args(SuspectAction))}", action)
    if entity is not None and not isinstance(entity, str):
        raise BadDeclaration("entity of suspects(...)", 'the name of an entity, such as "user"', entity)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 365:
        raise BadDeclaration("days of suspects(...)", "a whole number from 1 to 365", days)
    if isinstance(false_share, bool) or not isinstance(false_share, int | float) or not 0 < false_share < 1:
        raise BadDeclaration("false_share of suspects(...)", "a share above 0 and below 1", false_share)
    return SuspectPlan(action, entity, days, float(false_share))
