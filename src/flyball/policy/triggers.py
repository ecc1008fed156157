"""Rules for when to learn again: triggers of `retrain=`."""

import msgspec

from flyball.core import declared_duration, format_duration
from flyball.policy.cron import Cron


class Every(msgspec.Struct, frozen=True, tag="every"):
    """Learn again `period_us` after the last attempt."""

    period_us: int

    def next_us(self, after_us: int) -> int | None:
        """When it is due after an attempt at `after_us`."""
        return after_us + self.period_us


Trigger = Every | Cron


def every(period: str) -> Every:
    """Learn every `period` ("3d"). Raises `BadDeclaration` for less than a minute."""
    return Every(declared_duration("period of every(...)", period, least="1m"))


def trigger_text(trigger: Trigger) -> str:
    """A trigger as it is declared.

    >>> trigger_text(every("72h"))
    'fb.every("3d")'
    """
    if isinstance(trigger, Every):
        return f'fb.every("{format_duration(trigger.period_us)}")'
    return f'fb.cron("{trigger.times}", zone="{trigger.zone}")'
