"""Rules for when to learn again."""

import msgspec

from flyball.core import declared_duration


class Every(msgspec.Struct, frozen=True, tag="every"):
    """Learn again `period_us` after the last attempt."""

    period_us: int


Trigger = Every


def every(period: str) -> Every:
    """Learn every `period` ("3d"). Raises `BadDeclaration` for less than a minute."""
    return Every(declared_duration("period of every(...)", period, least="1m"))
