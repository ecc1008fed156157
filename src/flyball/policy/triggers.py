"""Rules for when to learn again."""

import msgspec

from flyball.core import BadDeclaration, parse_duration


class Every(msgspec.Struct, frozen=True, tag="every"):
    """Learn again `period_us` after the last attempt."""

    period_us: int


Trigger = Every


def every(period: str) -> Every:
    """Learn every `period` ("3d"). Raises `BadDeclaration` for less than a minute."""
    period_us = parse_duration(period)
    if period_us < 60_000_000:
        raise BadDeclaration("every(...)", "a minute or longer", period)
    return Every(period_us)
