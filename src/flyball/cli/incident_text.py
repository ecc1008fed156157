"""Incidents as text, for a person who was just woken up: what holds, what to do first, then the details."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyball.cli.show import say, show_table
from flyball.core import counted_units, format_second
from flyball.home import with_home

if TYPE_CHECKING:
    from flyball.monitoring import Alert, Incident, IncidentDescription, IncidentList

_SHOWN = 5
"""Findings that are shown of many."""
_IN_WORDS = ("likely", "expected_loss", "exchanged", "follows", "segment", "aspect")
"""Evidence that the message says, or a line of its own."""
_ORIGINS = {
    "own": "our own pipeline, or a source of it: look for what changed there",
    "world": "the world: what is observed changed, not our code",
    "unknown": "not known: our own pipeline or the world",
}


def show_incidents(listed: "IncidentList", now_us: int, wide: bool = False) -> None:
    """The incidents, the most urgent first."""
    from flyball.monitoring import rounded_duration

    rows = [
        [
            row.incident.id,
            row.incident.severity + (", overdue" if row.incident.overdue else ""),
            row.incident.state,
            rounded_duration(max(0, now_us - row.incident.opened_us)),
            row.incident.owner or None,
            f"{row.holding} hold" if row.holding else "over",
            row.incident.title,
        ]
        for row in listed.incidents
    ]
    if rows:
        show_table(
            ["incident", "severity", "state", "age", "owner", "findings", "what is wrong"],
            rows,
            optional=["age", "findings", "owner"],
            wide=wide,
        )
    else:
        say("no incident is open")
    if listed.pending:
        say(f"{counted_units(len(listed.pending), 'finding')} not yet held long enough: {_named(listed.pending)}")
    if listed.silenced:
        say(f"{counted_units(len(listed.silenced), 'finding')} silenced: {_named(listed.silenced)}")


def _named(alerts: "tuple[Alert, ...]") -> str:
    names = [f"{alert.last.monitor} of {alert.last.subject}" for alert in alerts[:_SHOWN]]
    return ", ".join(names) + (f" and {len(alerts) - _SHOWN} more" if len(alerts) > _SHOWN else "")


def show_incident(
    described: "IncidentDescription", app: str, now_us: int, every: bool = False, home: Path | None = None
) -> None:
    """One incident; `every`: all of its findings with their evidence; `home`: as commands name it."""
    incident = described.incident
    say(f"{incident.id}  {incident.severity.upper()}  {incident.title}")
    say(_standing(described, now_us))
    _show_findings(described, app, every, home)
    if incident.state != "closed":
        _show_checklist(incident)
    say(f"\nnext: {described.next}")
    context = described.context
    if context.champion:
        since = f" since {format_second(context.champion_since_us)}" if context.champion_since_us else ""
        say(f"\nserved when it was opened: {context.champion}{since}, before it {context.previous or 'none'}")
        say(f"releases under way then: {', '.join(context.under_way) or 'none'}")
    if incident.cause:
        say(f"cause: {incident.cause}")
    if incident.earlier:
        say(f"the same was {incident.earlier}: {with_home(f'flyball incidents show {app} {incident.earlier}', home)}")
    for number, item in enumerate(incident.actions, 1):
        say(f"to do {number}: {item.text} ({item.owner}{', done' if item.done_us else ''})")
    from flyball.monitoring import entry_words

    say("\nwhat happened:")
    show_table(
        ["at", "by", "what", "state", "reason"],
        [
            [format_second(entry.at_us), entry.by, entry_words(entry), entry.after, entry.reason]
            for entry in described.timeline
        ],
    )


def _standing(described: "IncidentDescription", now_us: int) -> str:
    """Its state, owner and clock, in a line."""
    from flyball.monitoring import rounded_duration

    incident = described.incident
    if incident.state == "closed":
        took = rounded_duration(incident.closed_us - incident.opened_us)
        owner = incident.owner or "nobody"
        return f"closed {format_second(incident.closed_us)}, {took} after it was opened; owner {owner}"
    again = f", reopened {counted_units(incident.reopened, 'time')}" if incident.reopened else ""
    moved_us = [entry.at_us for entry in described.timeline if entry.before != entry.after]
    parts = [f"{incident.state} for {rounded_duration(max(0, now_us - moved_us[-1]))}{again}"]
    parts.append(f"owner {incident.owner or 'nobody'}")
    if described.escalates_us is not None:
        parts.append(f"acknowledge by {format_second(described.escalates_us)}, or it goes to the next on call")
    by_us = described.mitigate_by_us
    if incident.overdue or (by_us is not None and now_us > by_us):
        parts.append("OVERDUE")
    elif by_us is not None:
        parts.append(f"mitigate by {format_second(by_us)}")
    return "; ".join(parts)


def _show_findings(described: "IncidentDescription", app: str, every: bool, home: Path | None) -> None:
    incident = described.incident
    if described.holding:
        say(f"\nwhat holds now, since {format_second(incident.since_us)}:")
        shown = described.holding if every else described.holding[:_SHOWN]
        for alert in shown:
            silenced = f", silenced by {alert.silence}" if alert.silence else ""
            seen = alert.last
            about = "" if seen.message.startswith(seen.subject) else f"{seen.subject}: "
            say(f"  {seen.severity:<4}  {seen.monitor} of {about}{seen.message}{silenced}")
            if (every or len(shown) == 1) and (numbers := _evidence(seen.evidence)):
                say(f"        {numbers}")
        costs = dict.fromkeys(alert.last.evidence.get("expected_loss", "") for alert in described.holding)
        for words in filter(None, costs):
            say(f"  expected loss: {words}")
        if len(shown) < len(described.holding):
            more = len(described.holding) - len(shown)
            say(f"  and {more} more: {with_home(f'flyball incidents show {app} {incident.id} --all', home)}")
    else:
        since = f" since {format_second(incident.over_us)}" if incident.over_us else ""
        say(f"\nno finding of it holds any more{since}")
    if described.over:
        shown_over = described.over if every else described.over[:_SHOWN]
        say(f"over: {_named(tuple(shown_over))}")
    say(f"origin: {_ORIGINS[incident.origin]}")


def _evidence(evidence: dict[str, Any]) -> str:
    words = (
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in evidence.items()
        if name not in _IN_WORDS
    )
    return ", ".join(words)


def _show_checklist(incident: "Incident") -> None:
    if not incident.checklist:
        return
    say("\ndo this first, then look for the cause:")
    for number, step in enumerate(incident.checklist, 1):
        done = f"  (done by {step.done_by}, {format_second(step.done_us)})" if step.done_us else ""
        say(f"  {number}. {step.text}{done}")
        if step.command and not done:
            say(f"       {step.command}")
