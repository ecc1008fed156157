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
ROWS = ("missing*", "infinite*", "kind*", "length*", "schema*", "range*", "pattern*", "unseen*", "*consistency*")
SHIFTS = ("shift*", "*_shift*", "label_share*", "*drift*")
ATTACKS = ("*attack*", "*poison*", "*burst*", "*near_identical*", "*accounts*", "*rating*", "*crowd*")
CONSUMERS = ("consumer*", "lag*", "*stale_state*")
ANSWERS = ("latency*", "error*", "fallback*", "*skew*", "*digest*", "equal_answers*")
QUALITY = ("performance*", "expected_performance*", "calibration*", "loss*", "*decay*")
LEARNING = ("stale_model*",)
RELEASES = ("left_running*",)
_KINDS = (ARRIVAL, ROWS, SHIFTS, ATTACKS, CONSUMERS, ANSWERS, QUALITY, LEARNING, RELEASES)
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
    kinds = [kind for kind in _KINDS if _matches(finding.monitor, kind)]
    about_input = finding.subject.startswith("events.")
    if (finding.origin != "world" and not about_input) or ANSWERS in kinds:
        yield from _release_steps(app, incident, finding, context)
    if CONSUMERS in kinds:
        yield from _consumer_steps(app)
    if ARRIVAL in kinds:
        yield from _arrival_steps(app, finding)
    if ROWS in kinds:
        yield from _row_steps(app, finding)
    if SHIFTS in kinds:
        yield from _shift_steps(app, finding)
    if ATTACKS in kinds:
        yield MitigationStep("hold the suspects back: block or limit their accounts at the source")
        yield MitigationStep("train without what they sent until it is cleared up: declare retrain=[] meanwhile")
    if ANSWERS in kinds:
        yield MitigationStep("see which process or store is late or fails", f"flyball status {app}")
    if QUALITY in kinds or LEARNING in kinds:
        yield from _learning_steps(app, LEARNING in kinds)
    if RELEASES in kinds:
        release = finding.subject.rpartition(".")[2]
        yield MitigationStep(
            f"look whether {release} is good, then promote or abort it", f"flyball releases show {app} {release}"
        )


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


def _consumer_steps(app: str) -> Iterator[MitigationStep]:
    yield MitigationStep("see which consumer stands still, and its error", f"flyball status {app}")
    yield MitigationStep("free its disk or store; where nothing helps, start flyball up again: it resumes where it was")


def _arrival_steps(app: str, finding: Finding) -> Iterator[MitigationStep]:
    table = group_of(finding)
    yield MitigationStep(f"see whether {table} still arrives, and the log worker follows", f"flyball status {app}")
    yield MitigationStep("see whether its lines are set aside", f"flyball quarantine list {app}")


def _row_steps(app: str, finding: Finding) -> Iterator[MitigationStep]:
    yield MitigationStep(
        f"pause the source of {group_of(finding)} where it sends wrong rows; tell its owner since when",
        f"flyball quarantine list {app}",
    )
    yield MitigationStep(_DO_NOT_LEARN)


def _shift_steps(app: str, finding: Finding) -> Iterator[MitigationStep]:
    """What is wrong, or only new: a person decides."""
    parts = finding.subject.split(".")
    table = parts[1] if parts[0] == "events" and len(parts) > 1 else "predictions"
    yield MitigationStep(
        "see what else changed since then, column by column", f"flyball profiles changes {app} {table}"
    )
    if finding.origin == "world":
        yield MitigationStep("learn from data since the change, and release what passes", f"flyball learn {app}")
        return
    if parts[0] == "events":
        yield MitigationStep(
            f"ask the owner of {group_of(finding)} what changed; pause the source if its values are wrong"
        )
    yield MitigationStep(_DO_NOT_LEARN)


def _learning_steps(app: str, overdue: bool) -> Iterator[MitigationStep]:
    if overdue:
        yield MitigationStep("see why learning did not succeed", f"flyball versions list {app}")
    yield MitigationStep("learn again, and release what passes", f"flyball learn {app}")


_DO_NOT_LEARN = "do not learn from these rows: declare retrain=[] until they are corrected"


def _matches(monitor: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(monitor, pattern) for pattern in patterns)
