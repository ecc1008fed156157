"""The summary of a week: what happened, how long it took, and what is left to do."""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from flyball.core import counted_units, format_duration, format_second
from flyball.monitoring.incidents.description import all_silences
from flyball.monitoring.incidents.incident import Incident
from flyball.monitoring.incidents.notification import Notification, notify
from flyball.registry import IncidentEntry, Registry, changing_incidents, incident_documents, incident_entries

_SECOND = 1_000_000


class IncidentDigest(msgspec.Struct, frozen=True, kw_only=True):
    """Of `[since_us, until_us)`, by id: incidents opened, reopened and closed; of those that are not closed at its end,
    those overdue, and how long each has been open. `acknowledge_us`, `mitigate_us`, `close_us`: median times of those
    opened, None for none. `by_group`: {group: opened}. `without_cause`: closed with no cause named; `actions`:
    (incident, owner, text) of action items that are not done. `sentences`: the same as text."""

    since_us: int
    until_us: int
    opened: tuple[str, ...]
    reopened: tuple[str, ...]
    closed: tuple[str, ...]
    open: tuple[str, ...]
    overdue: tuple[str, ...]
    by_group: dict[str, int]
    acknowledge_us: int | None
    mitigate_us: int | None
    close_us: int | None
    without_cause: tuple[str, ...]
    actions: tuple[tuple[str, str, str], ...]
    silences: int
    sentences: tuple[str, ...] = ()


def digest(registry: Registry, since_us: int, until_us: int) -> IncidentDigest:
    """The summary of the incidents of an application."""
    incidents = [msgspec.convert(document, Incident) for document in incident_documents(registry, "incidents")]
    entries = [entry for entry in incident_entries(registry) if since_us <= entry.at_us < until_us]
    opened = [incident for incident in incidents if since_us <= incident.opened_us < until_us]
    closed = _ids(entries, "close")
    groups = [incident.group for incident in opened]
    waiting = [incident for incident in incidents if incident.state != "closed"]
    summary = IncidentDigest(
        since_us=since_us,
        until_us=until_us,
        opened=tuple(incident.id for incident in opened),
        reopened=_ids(entries, "reopen"),
        closed=closed,
        open=tuple(incident.id for incident in waiting),
        overdue=tuple(incident.id for incident in waiting if incident.overdue),
        by_group={
            group: groups.count(group) for group in sorted(set(groups), key=lambda name: (-groups.count(name), name))
        },
        acknowledge_us=_median(incident.acknowledged_us - incident.opened_us for incident in opened),
        mitigate_us=_median(incident.mitigated_us - incident.opened_us for incident in opened),
        close_us=_median(incident.closed_us - incident.opened_us for incident in opened),
        without_cause=tuple(incident.id for incident in incidents if incident.id in closed and not incident.cause),
        actions=tuple(
            (incident.id, item.owner, item.text)
            for incident in incidents
            for item in incident.actions
            if not item.done_us
        ),
        silences=sum(silence.starts_us <= until_us < silence.ends_us for silence in all_silences(registry)),
    )
    return msgspec.structs.replace(summary, sentences=tuple(_sentences(summary, incidents)))


def send_digest(registry: Registry, app: str, every_us: int, now_us: int) -> str:
    """Send the summary of the last `every_us` when that has passed since the last one; what was sent, "" for nothing.

    Nothing is sent before the first incident. The time of the last one is that of its message in the registry.
    """
    sent = incident_documents(registry, "notifications", "incident_number IS NULL")
    first = incident_documents(registry, "incidents", "number = 1")
    if not first:
        return ""
    last_us = max((document["at_us"] for document in sent), default=first[0]["opened_us"])
    if now_us < last_us + every_us:
        return ""
    summary = digest(registry, now_us - every_us, now_us)
    title = f"incidents of {app} in {format_duration(every_us)}: {summary.sentences[0]}"
    with changing_incidents(registry) as rows:
        later = [document["at_us"] for document in rows.documents("notifications") if not document.get("incident")]
        if max(later, default=0) > last_us:
            return ""  # another process sent it just now
        notify(
            rows,
            Notification(kind="digest", app=app, at_us=now_us, title=title, lines=summary.sentences[1:], over=True),
        )
    return title


def _ids(entries: Sequence[IncidentEntry], command: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"inc{entry.incident}" for entry in entries if entry.command == command))


def _median(durations_us: Iterable[int]) -> int | None:
    known = [duration_us for duration_us in durations_us if duration_us >= 0]
    return int(median(known)) if known else None


def _sentences(summary: IncidentDigest, incidents: Sequence[Incident]) -> list[str]:
    by_id = {incident.id: incident for incident in incidents}
    sentences = [
        f"{len(summary.opened)} opened, {len(summary.reopened)} reopened, {len(summary.closed)} closed, "
        f"{len(summary.open)} not closed"
    ]
    if summary.by_group:
        most = ", ".join(f"{group} {count}" for group, count in list(summary.by_group.items())[:5])
        sentences.append(f"opened by source: {most}")
    times = {"acknowledged": summary.acknowledge_us, "mitigated": summary.mitigate_us, "closed": summary.close_us}
    known = [f"{name} after {rounded_duration(time_us)}" for name, time_us in times.items() if time_us is not None]
    if known:
        sentences.append(f"median of those opened: {', '.join(known)}")
    for name in summary.open:
        incident = by_id[name]
        age = rounded_duration(max(0, summary.until_us - incident.opened_us))
        late = ", overdue" if incident.overdue else ""
        owner = incident.owner or "nobody"
        sentences.append(f"{name} {incident.severity}, {incident.state} for {age}, {owner}{late}: {incident.title}")
    if summary.without_cause:
        sentences.append(f"closed without a cause: {', '.join(summary.without_cause)}")
    sentences += [f"to do, {owner}: {text} ({name})" for name, owner, text in summary.actions]
    if summary.silences:
        sentences.append(f"{counted_units(summary.silences, 'silence')} in effect")
    return [*sentences, f"from {format_second(summary.since_us)} to {format_second(summary.until_us)}"]


def rounded_duration(duration_us: int) -> str:
    """A duration in its two largest units.

    >>> rounded_duration(93_784_000_000)
    '1d2h'
    """
    size = 3_600 if duration_us >= 86_400 * _SECOND else 60 if duration_us >= 3_600 * _SECOND else 1
    unit_us = size * _SECOND
    return format_duration(duration_us // unit_us * unit_us)
