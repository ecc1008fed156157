"""What to do first: mitigate, then look for the cause."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import msgspec

from flyball.monitoring.findings.finding import Finding
from flyball.monitoring.incidents.alert import group_of
from flyball.monitoring.incidents.incident import MitigationStep


class ReleaseContext(msgspec.Struct, frozen=True, kw_only=True):
    """What served when an incident began: `champion`, `previous`, since when, and the releases under way."""

    champion: str | None = None
    previous: str | None = None
    champion_since_us: int = 0
    under_way: tuple[str, ...] = ()
    ends: tuple[int, ...] = ()
    prediction_ends: tuple[int, ...] = ()


ARRIVAL = ("volume*", "freshness*")
ROWS = ("schema*", "range*", "pattern*", "missing*", "unseen*", "*consistency*", "run_length*", "column*", "type*")
ATTACKS = ("*attack*", "*poison*", "*burst*", "*near_identical*", "*accounts*")
SERVING = ("latency*", "error*", "fallback*", "*stale*", "*skew*", "*digest*", "*consumer*", "lag*")
QUALITY = ("performance*", "loss*", "calibration*", "*shift*", "*drift*", "*decay*")
"""Patterns of the names of monitors, by what they look at."""

RECENT_US = 2 * 86_400_000_000
"""A release so shortly before a finding may be its cause."""


def checklist(
    app: str, incident: str, findings: Sequence[Finding], context: ReleaseContext
) -> tuple[MitigationStep, ...]:
    """The steps for an incident with these findings, the most likely first; each only once.

    `app`: the application as commands name it; `incident`: the id.
    """
    steps = dict.fromkeys(step for finding in findings for step in _steps(app, incident, finding, context))
    last = MitigationStep("say what you did", f"flyball incidents mitigate {app} {incident} --reason WHAT")
    return (*steps, last)


def _steps(app: str, incident: str, finding: Finding, context: ReleaseContext) -> Iterator[MitigationStep]:
    kinds = [kind for kind in (ARRIVAL, ROWS, ATTACKS, SERVING, QUALITY) if _matches(finding.monitor, kind)]
    if finding.origin != "world" or SERVING in kinds:
        yield from _release_steps(app, incident, finding, context)
    if ARRIVAL in kinds:
        yield MitigationStep(
            f"see whether {group_of(finding)} still arrives, and the log worker follows",
            f"flyball status {app}",
        )
        yield MitigationStep("see whether its lines are set aside", f"flyball quarantine list {app}")
    if ROWS in kinds:
        yield from _row_steps(app, finding)
    if ATTACKS in kinds:
        yield MitigationStep("hold the suspects back: block or limit their accounts at the source")
        yield MitigationStep("train without what they sent until it is cleared up: declare retrain=[] meanwhile")
    if SERVING in kinds:
        yield MitigationStep("see which process or store is late or fails", f"flyball status {app}")
    if QUALITY in kinds and finding.origin == "world":
        yield MitigationStep("learn from data since the change, and release what passes", f"flyball learn {app}")


def _release_steps(app: str, incident: str, finding: Finding, context: ReleaseContext) -> Iterator[MitigationStep]:
    for release in context.under_way:
        yield MitigationStep(
            f"hold {release}, so that no more users get its version",
            f"flyball releases pause {app} {release} --reason {incident}",
        )
    since_us = context.champion_since_us
    if context.previous and since_us and finding.since_us - RECENT_US <= since_us <= finding.at_us:
        yield MitigationStep(
            f"roll {context.champion} back to {context.previous}: it was released shortly before",
            f"flyball versions rollback {app} --reason {incident}",
        )


def _row_steps(app: str, finding: Finding) -> Iterator[MitigationStep]:
    table = group_of(finding)
    yield MitigationStep(
        f"pause the source of {table} where it sends wrong rows; tell its owner since when",
        f"flyball quarantine list {app}",
    )
    yield MitigationStep("do not learn from these rows: declare retrain=[] until they are corrected")


def _matches(monitor: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(monitor, pattern) for pattern in patterns)
