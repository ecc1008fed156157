"""Silences: findings that nobody hears of for a while, with the reason why."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import get_args

import msgspec

from flyball.core import BadInput
from flyball.monitoring.findings.finding import FaultOrigin, Finding, Severity
from flyball.monitoring.incidents.alert import group_of
from flyball.policy import monitor_fault

MATCHED = ("monitor", "subject", "group", "severity", "origin")
"""The names that a silence may match."""

_VALUES = {"severity": get_args(Severity), "origin": get_args(FaultOrigin)}


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Findings whose fields match `matches`, {name: pattern with * and ?}, open no incident and are not sent while it
    lasts, `[starts_us, ends_us)`."""

    id: str
    matches: dict[str, str]
    starts_us: int
    ends_us: int
    by: str
    reason: str

    def covers(self, finding: Finding, now_us: int) -> bool:
        """Whether it silences a finding now."""
        if not self.starts_us <= now_us < self.ends_us:
            return False
        values = {
            "monitor": finding.monitor,
            "subject": finding.subject,
            "group": group_of(finding),
            "severity": finding.severity,
            "origin": finding.origin,
        }
        return all(fnmatchcase(values[name], pattern) for name, pattern in self.matches.items())


def check_matches(matches: Mapping[str, str]) -> dict[str, str]:
    """The matchers of a silence; raises `BadInput` for none, an unknown name, or what no finding can have."""
    if not matches:
        raise BadInput("matchers of a silence", f"one or more of {', '.join(MATCHED)}, such as monitor=volume", "none")
    for name, pattern in matches.items():
        if name not in MATCHED:
            raise BadInput("matcher of a silence", f"one of {', '.join(MATCHED)}", name)
        if not isinstance(pattern, str) or not pattern:
            raise BadInput(f"pattern of {name}", "text, in which * stands for anything", pattern)
        if name == "monitor" and (must := monitor_fault(pattern, patterns=True)):
            raise BadInput("pattern of monitor", must, pattern)
        values = _VALUES.get(name, ())
        if values and not any(fnmatchcase(value, pattern) for value in values):
            raise BadInput(f"pattern of {name}", f"one that matches {' or '.join(values)}", pattern)
    return dict(matches)


def silence_of(finding: Finding, silences: Iterable[Silence], now_us: int) -> str:
    """The id of a silence that covers the finding now; "" for none."""
    return next((silence.id for silence in silences if silence.covers(finding, now_us)), "")
