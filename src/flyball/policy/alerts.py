"""Whom findings reach, and when: the rules of alerts and incidents."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flyball.core import BadDeclaration, declared_duration
from flyball.policy.monitors import monitor_fault

_WHAT = "fb.alerts(...)"


class AlertDelay(msgspec.Struct, frozen=True):
    """How long findings of the monitors that match `monitor` must hold before their alert fires: `looks` in a row, and
    `lasts_us` from the first of them."""

    monitor: str
    looks: int = 1
    lasts_us: int = 0


class AlertPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of alerts and incidents; made by `fb.alerts`. Times are in microseconds."""

    on_call: tuple[str, ...] = ()
    after: tuple[AlertDelay, ...] = ()
    acknowledge_us: int = 0
    mitigate_us: int = 0
    group_us: int = 0
    reopen_us: int = 0
    close_us: int = 0
    digest_us: int = 0

    def delay(self, monitor: str) -> AlertDelay:
        """The delay of a monitor: the first that matches; without any its alerts fire at the first look."""
        from fnmatch import fnmatchcase

        matching = (rule for rule in self.after if fnmatchcase(monitor, rule.monitor))
        return next(matching, AlertDelay(monitor))


def alerts(
    *,
    on_call: Sequence[str] = (),
    after: int | str | Mapping[str, int | str] = 1,
    acknowledge: str = "1h",
    mitigate: str = "24h",
    group: str = "1d",
    reopen: str = "30d",
    close: str = "7d",
    digest: str = "7d",
) -> AlertPlan:
    """Who hears of findings, and when.

    `on_call`: names or e-mail addresses, in the order of escalation. `after`: how long a finding must hold before its
    alert fires, as a number of looks in a row (2) or a duration ("30m"), or by monitor: {"volume": "10m", "*": 2}.
    An incident of high severity goes to the next on call when nobody acknowledged it for `acknowledge`, and to all of
    them when it is not mitigated after `mitigate`. Alerts of one table that fire within `group` of each other are one
    incident. A finding that holds again within `reopen` after its incident was closed reopens it. An incident of low
    severity that nobody acknowledged is closed when its findings have been over for `close`. `digest`: how often a
    summary is sent. Raises `BadDeclaration`.
    """
    people = tuple(on_call) if isinstance(on_call, list | tuple) else ()
    if isinstance(on_call, str) or len(people) != len(on_call) or not all(isinstance(n, str) and n for n in people):
        raise BadDeclaration(f"on_call of {_WHAT}", 'a list of names or e-mail addresses, such as ["ann"]', on_call)
    if len(set(people)) != len(people):
        raise BadDeclaration(f"on_call of {_WHAT}", "names that differ from each other", on_call)
    rules = after if isinstance(after, Mapping) else {"*": after}
    return AlertPlan(
        on_call=people,
        after=tuple(_delay(monitor, rule) for monitor, rule in rules.items()),
        acknowledge_us=declared_duration(f"acknowledge of {_WHAT}", acknowledge, least="1s"),
        mitigate_us=declared_duration(f"mitigate of {_WHAT}", mitigate, least="1s"),
        group_us=declared_duration(f"group of {_WHAT}", group),
        reopen_us=declared_duration(f"reopen of {_WHAT}", reopen),
        close_us=declared_duration(f"close of {_WHAT}", close, least="1s"),
        digest_us=declared_duration(f"digest of {_WHAT}", digest, least="1h"),
    )


def _delay(monitor: Any, rule: Any) -> AlertDelay:
    if not isinstance(monitor, str) or not monitor:
        raise BadDeclaration(f"monitor in after of {_WHAT}", 'the name of a monitor, or "*" for all others', monitor)
    if must := monitor_fault(monitor, patterns=True):
        raise BadDeclaration(f"monitor in after of {_WHAT}", must, monitor)
    if isinstance(rule, int) and not isinstance(rule, bool):
        if rule < 1:
            raise BadDeclaration(f"after of {_WHAT}", "a number of looks from 1 on", rule)
        return AlertDelay(monitor, looks=rule)
    if not isinstance(rule, str):
        raise BadDeclaration(f"after of {_WHAT}", 'a number of looks, such as 2, or a duration, such as "30m"', rule)
    return AlertDelay(monitor, lasts_us=declared_duration(f"after of {_WHAT}", rule))
