"""How an application is watched: how often, what with, and how many false findings are accepted."""

import msgspec

from flyball.core import BadDeclaration, declared_duration

_HOUR_US, _DAY_US = 3_600_000_000, 86_400_000_000


class Watch(msgspec.Struct, frozen=True):
    """Made by `watch`, whose docstring explains each field; lengths in microseconds."""

    every_us: int = _HOUR_US
    days: int = 28
    false_findings: float = 1.0
    least: float = 0.05
    ignore: tuple[str, ...] = ()


def watch(
    every: str = "1h",
    *,
    days: int = 28,
    false_findings: float = 1.0,
    least: float = 0.05,
    ignore: list[str] | tuple[str, ...] = (),
) -> Watch:
    """Look at the data of an application each time a window of length `every` ends, and at each day.

    `every`: a part of a day, or "1d". `days`: how many days before a window show what is usual, 7 to 365.
    `false_findings`: how many findings in 30 days may be false, over all monitors, on average at most. `least`: how
    large a change is, as a share of rows, that is worth a finding. `ignore`: subjects that are not looked at, such as
    "events.watch.minute" or "predictions". Raises `BadDeclaration`.

    >>> watch("6h", false_findings=0.5).false_findings
    0.5
    """
    every_us = declared_duration("every of watch(...)", every, least="5m")
    if _DAY_US % every_us:
        raise BadDeclaration("every of watch(...)", "a part of a day, such as 1h, 6h or 1d", every)
    if isinstance(days, bool) or not isinstance(days, int) or not 7 <= days <= 365:
        raise BadDeclaration("days of watch(...)", "a whole number from 7 to 365", days)
    if isinstance(false_findings, bool) or not isinstance(false_findings, int | float) or not 0 < false_findings < 1e6:
        raise BadDeclaration("false_findings of watch(...)", "a number above 0, such as 1", false_findings)
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 < least < 1:
        raise BadDeclaration("least of watch(...)", "a share above 0 and below 1", least)
    if isinstance(ignore, str) or not all(isinstance(subject, str) for subject in ignore):
        raise BadDeclaration("ignore of watch(...)", 'a list of subjects, such as ["events.watch.minute"]', ignore)
    return Watch(every_us, days, float(false_findings), float(least), tuple(ignore))
