"""Incidents as text, for a person who was just woken up: what holds, what to do first, then the details."""

from typing import TYPE_CHECKING, Any

import msgspec

from flyball.cli.show import say, show_table
from flyball.core import counted_units, format_second

if TYPE_CHECKING:
    from flyball.monitoring import Alert, Incident, IncidentDescription, IncidentList

_SHOWN = 5
"""Findings that are shown of many."""
_ORIGINS = {
    "own": "our own pipeline: look for what we changed",
    "world": "the world: what is observed changed, not our code",
    "unknown": "not known: our own pipeline or the world",
}


def show_incidents(listed: "IncidentList", now_us: int) -> None:
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


def show_incident(described: "IncidentDescription", app: str, now_us: int, every: bool = False) -> None:
    """One incident; `every`: all of its findings with their evidence."""
    incident = described.incident
    say(f"{incident.id}  {incident.severity.upper()}  {incident.title}")
    say(_standing(described, now_us))
    _show_findings(described, app, every)
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
        say(f"the same was {incident.earlier}: flyball incidents show {app} {incident.earlier}")
    for number, item in enumerate(incident.actions, 1):
        say(f"to do {number}: {item.text} ({item.owner}{', done' if item.done_us else ''})")
    say("\nwhat happened:")
    show_table(
        ["at", "by", "what", "state", "reason"],
        [
            [format_second(entry.at_us), entry.by, entry.command, entry.after, entry.reason]
            for entry in described.timeline
        ],
    )


def named_as(described: "IncidentDescription", spec: str, app: str) -> "IncidentDescription":
    """The incident with the application in its commands as the person names it."""
    steps = tuple(
        msgspec.structs.replace(step, command=step.command.replace(f" {spec}", f" {app}"))
        for step in described.incident.checklist
    )
    return msgspec.structs.replace(described, incident=msgspec.structs.replace(described.incident, checklist=steps))


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


def _show_findings(described: "IncidentDescription", app: str, every: bool) -> None:
    incident = described.incident
    if described.holding:
        say(f"\nwhat holds now, since {format_second(incident.since_us)}:")
        shown = described.holding if every else described.holding[:_SHOWN]
        for alert in shown:
            silenced = f", silenced by {alert.silence}" if alert.silence else ""
            seen = alert.last
            about = "" if seen.message.startswith(seen.subject) else f"{seen.subject}: "
            say(f"  {seen.severity:<4}  {seen.monitor} of {about}{seen.message}{silenced}")
            if every or len(shown) == 1:
                say(f"        {_evidence(seen.evidence)}")
        if len(shown) < len(described.holding):
            more = len(described.holding) - len(shown)
            say(f"  and {more} more: flyball incidents show {app} {incident.id} --all")
    else:
        since = f" since {format_second(incident.over_us)}" if incident.over_us else ""
        say(f"\nno finding of it holds any more{since}")
    if described.over:
        shown_over = described.over if every else described.over[:_SHOWN]
        say(f"over: {_named(tuple(shown_over))}")
    say(f"origin: {_ORIGINS[incident.origin]}")


def _evidence(evidence: dict[str, Any]) -> str:
    words = (
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in evidence.items()
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
