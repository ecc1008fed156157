"""The alert of one fingerprint: whether its finding held long enough to tell a person.

`pending` until the finding held as long as declared, then `firing`, then `over` once its monitor looked and it no
longer held. A look is known by its time: looks that are not later than the last one change nothing, so the same
findings may be recorded twice, and those of a window again after a crash.
"""

from typing import Literal

import msgspec

from flyball.monitoring.findings.finding import Finding
from flyball.policy import AlertDelay

AlertState = Literal["pending", "firing", "over"]

_GROUP_KEYS = ("source", "table")
"""Keys of a finding's evidence that say which source it is about."""

_LIKELY = "likely"
"""The evidence of a finding of which triage says whose doing it is has this name."""

_DIVIDED = ("events", "features", "outcomes")
"""First parts of subjects below which there are several tables."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one fingerprint. `first`, `last`: the first finding of the present spell, and the latest;
    `looks`: how many looks in a row found it. `looked_us`: when its monitor looked last. `fired_us`: when it began to
    fire, `over_us`: when its monitor no longer found it, 0 for not. `incident`: the id of its incident, "" for none;
    `silence`: the id of the silence that kept it from one. `spells`: how often it began to hold."""

    fingerprint: str
    state: AlertState
    first: Finding
    last: Finding
    looked_us: int
    looks: int = 1
    fired_us: int = 0
    over_us: int = 0
    incident: str = ""
    silence: str = ""
    spells: int = 1

    @property
    def group(self) -> str:
        return group_of(self.last)


def cause_in_common(finding: Finding) -> str:
    """What may be the cause of findings of several groups: that rows do not come, or are not taken in; "" for none.

    >>> cause_in_common(Finding("lost_events", "events.Rate", 1, 0, "high", "events are lost", "own"))
    'arrival'
    """
    monitor = finding.monitor.removesuffix("-daily")
    of_volume = monitor == "volume" and finding.origin == "own" and _LIKELY not in finding.evidence
    return "arrival" if of_volume or monitor in ("lost_events", "consumer") else ""


def group_of(finding: Finding) -> str:
    """What alerts of one cause have in common: the source or table that the evidence names, else that of the subject.

    >>> group_of(Finding("missing", "events.Rate.stars", 1, 0, "low", "stars are missing"))
    'events.Rate'
    >>> group_of(Finding("covariate", "predictions.score", 1, 0, "low", "scores moved"))
    'predictions'
    """
    for key in _GROUP_KEYS:
        name = finding.evidence.get(key)
        if isinstance(name, str) and name:
            return name
    if finding.monitor == "consumer":
        return "consumers"
    first, _, others = finding.subject.partition("/")[0].partition(".")
    return f"{first}.{others.partition('.')[0]}" if first in _DIVIDED and others else first


def after_finding(alert: Alert | None, finding: Finding, delay: AlertDelay) -> Alert:
    """The alert after a look that found it; the same one for a look that is not later than its last."""
    if alert is not None and finding.at_us <= alert.looked_us:
        return alert
    if alert is None or alert.state == "over":
        alert = Alert(
            fingerprint=finding.fingerprint,
            state="pending",
            first=finding,
            last=finding,
            looked_us=finding.at_us,
            incident=alert.incident if alert is not None else "",
            spells=1 + (alert.spells if alert is not None else 0),
        )
    else:
        alert = msgspec.structs.replace(alert, last=finding, looked_us=finding.at_us, looks=alert.looks + 1)
    lasted_us = finding.at_us - alert.first.at_us
    if alert.state == "pending" and alert.looks >= delay.looks and lasted_us >= delay.lasts_us:
        return msgspec.structs.replace(alert, state="firing", fired_us=finding.at_us)
    return alert


def after_clear(alert: Alert, at_us: int) -> Alert:
    """The alert after a look at `at_us` that did not find it."""
    if at_us <= alert.looked_us:
        return alert
    if alert.state == "over":
        return msgspec.structs.replace(alert, looked_us=at_us)
    return msgspec.structs.replace(alert, state="over", looked_us=at_us, over_us=at_us, looks=0, silence="")
