"""What to do first: mitigate, then look for the cause."""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

import msgspec

from flyball.home import with_home
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


ARRIVAL = ("volume*", "freshness*", "lost_events*", "source_volume*")
ROWS = ("missing*", "infinite*", "kind*", "length*", "schema*", "range*", "pattern*", "unseen*", "*consistency*")
TIMES = ("times*",)
TWICE = ("sent_twice*",)
SHIFTS = ("shift*", "*_shift*", "label_share*", "*drift*")
ATTACKS = ("suspects*", "*attack*", "*poison*", "*burst*", "*near_identical*", "*accounts*", "*rating*", "*crowd*")
CONSUMERS = ("consumer*", "lag*", "*stale_state*")
ANSWERS = ("latency*", "error*", "fallback*", "*skew*", "*digest*", "equal_answers*")
QUALITY = ("performance*", "expected_performance*", "calibration*", "group_gap*", "loss*", "*decay*")
LOOPS = ("feedback_loop*",)
LEARNING = ("stale_model*",)
RELEASES = ("left_running*",)
_KINDS = (ARRIVAL, ROWS, TIMES, TWICE, SHIFTS, ATTACKS, CONSUMERS, ANSWERS, QUALITY, LOOPS, LEARNING, RELEASES)
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
    if MitigationStep(_DO_NOT_LEARN) in steps:
        steps = dict.fromkeys(step for step in steps if step != _learn_again(app))
    last = MitigationStep("say what you did", f"flyball incidents mitigate {app} {incident} --reason WHAT")
    return (*_each_command_once(steps), last)


def joined_steps(before: Sequence[MitigationStep], now: Sequence[MitigationStep]) -> tuple[MitigationStep, ...]:
    """The steps of an incident and those of findings that joined it; to say what was done stays the last one."""
    known, commands = {step.text for step in before}, {step.command for step in before if step.command}
    new = [step for step in now if step.text not in known and step.command not in commands]
    return (*before[:-1], *new, *before[-1:]) if before else tuple(now)


def _each_command_once(steps: Iterable[MitigationStep]) -> Iterator[MitigationStep]:
    """The steps without later ones that give the same command again: one look shows all that came to a stop."""
    commands = set[str]()
    for step in steps:
        if not step.command or step.command not in commands:
            yield step
        commands.add(step.command)


_WITHOUT_SECTION = ("status", "learn", "exposure", "fairness", "performance")
"""The commands of checklists whose application is the first argument; others have it after their section and name."""


def named_command(command: str, app: str, home: str) -> str:
    """The command of a step with the application and the home as whoever reads it names them: it may have been noted by
    a process that has the application from another file.

    >>> named_command("flyball quarantine list shop.py", "new/shop.py", "../here")
    'flyball quarantine list new/shop.py --home ../here'
    """
    words = command.split(" ")
    words[2 if words[1] in _WITHOUT_SECTION else 3] = app
    return with_home(" ".join(words), home)


def _steps(app: str, incident: str, finding: Finding, context: ReleaseContext) -> Iterator[MitigationStep]:
    kinds = [kind for kind in _KINDS if _matches(finding.monitor, kind)]
    about_input = finding.subject.startswith(("events.", "requests."))
    if (finding.origin != "world" and not about_input) or ANSWERS in kinds:
        yield from _release_steps(app, incident, finding, context)
    if CONSUMERS in kinds:
        yield from _consumer_steps(app)
    if finding.subject == "quarantine":
        yield from _refused_steps(app)
    elif ARRIVAL in kinds:
        yield from _arrival_steps(app, finding)
    if ROWS in kinds:
        yield from _row_steps(app, finding)
    if TIMES in kinds:
        yield from _time_steps(app, finding)
    if TWICE in kinds:
        yield from _twice_steps(finding)
    if SHIFTS in kinds:
        yield from _shift_steps(app, finding)
    if ATTACKS in kinds:
        yield MitigationStep("see which accounts they are, and why they are suspected", f"flyball suspects list {app}")
        yield MitigationStep("hold the suspects back: block or limit their accounts at the source")
        yield MitigationStep("train without what they sent until it is cleared up: declare retrain=[] meanwhile")
    if ANSWERS in kinds:
        yield MitigationStep("see which process or store is late or fails", f"flyball status {app}")
    if LOOPS in kinds:
        yield MitigationStep("see which items are shown more and more", f"flyball exposure {app}")
        yield MitigationStep("show more items by chance: declare a larger randomized_share=, or a popularity_penalty=")
    if QUALITY in kinds:
        gap = finding.monitor.startswith("group_gap")
        about = "see which group gets worse answers" if gap else "see which answers are worse, and since when"
        yield MitigationStep(about, f"flyball {'fairness' if gap else 'performance'} {app}")
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
    rows, expected = (float(finding.evidence.get(name, 0.0)) for name in ("rows", "expected"))
    if rows > expected:  # more rows than usual
        yield _changes_step(app, finding)
        yield MitigationStep(f"ask the owner of {table} whether more is meant to come, or is sent twice")
        return
    yield MitigationStep(f"see whether {table} still arrives, and the log worker follows", f"flyball status {app}")
    yield MitigationStep("see whether its lines are set aside", f"flyball quarantine list {app}")


def _refused_steps(app: str) -> Iterator[MitigationStep]:
    yield MitigationStep("see which lines are refused, why, and from where", f"flyball quarantine list {app}")
    yield MitigationStep("ask the owner of that source to correct them; pause it until then")
    yield MitigationStep("once they can be read, take them in again", f"flyball quarantine retry {app}")


def _row_steps(app: str, finding: Finding) -> Iterator[MitigationStep]:
    yield MitigationStep(
        f"pause the source of {group_of(finding)} where it sends wrong rows; tell its owner since when",
        f"flyball quarantine list {app}",
    )
    yield MitigationStep(_DO_NOT_LEARN)


def _time_steps(app: str, finding: Finding) -> Iterator[MitigationStep]:
    source = group_of(finding)
    yield MitigationStep(
        f"ask the owner of {source} in which time zone it writes since then; pause it until the times are right"
    )
    yield MitigationStep(
        "where rows are late and their times right, see whether they still come and are read", f"flyball status {app}"
    )
    yield MitigationStep("see whether lines with times in the future are set aside", f"flyball quarantine list {app}")
    yield MitigationStep(_DO_NOT_LEARN)


def _twice_steps(finding: Finding) -> Iterator[MitigationStep]:
    yield MitigationStep(
        f"stop the retries of what sends {group_of(finding)}, or pause it: a row that is sent again must keep its id"
    )
    yield MitigationStep(_DO_NOT_LEARN)


def _shift_steps(app: str, finding: Finding) -> Iterator[MitigationStep]:
    """What is wrong, or only new: a person decides."""
    of_events = finding.subject.startswith("events.")
    if finding.origin == "own" and of_events:
        yield MitigationStep(f"pause the source of {group_of(finding)} until its values are right; tell its owner why")
        yield MitigationStep(_DO_NOT_LEARN)
        yield _changes_step(app, finding)
        return
    yield _changes_step(app, finding)
    if finding.origin == "world":
        yield MitigationStep("learn from data since the change, and release what passes", f"flyball learn {app}")
        return
    if of_events:
        yield MitigationStep(
            f"ask the owner of {group_of(finding)} what changed; pause the source if its values are wrong"
        )
    yield MitigationStep(_DO_NOT_LEARN)


def _changes_step(app: str, finding: Finding) -> MitigationStep:
    parts = finding.subject.split(".")
    table = parts[1] if parts[0] == "events" and len(parts) > 1 else "predictions"
    return MitigationStep(
        "see what else changed since then, column by column", f"flyball profiles changes {app} {table}"
    )


def _learning_steps(app: str, overdue: bool) -> Iterator[MitigationStep]:
    if overdue:
        yield MitigationStep("see why learning did not succeed", f"flyball versions list {app}")
    yield _learn_again(app)


def _learn_again(app: str) -> MitigationStep:
    return MitigationStep("learn again, and release what passes", f"flyball learn {app}")


_DO_NOT_LEARN = "do not learn from these rows: declare retrain=[] until they are corrected"


def _matches(monitor: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(monitor, pattern) for pattern in patterns)
