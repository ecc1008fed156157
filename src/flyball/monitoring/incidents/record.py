"""Records what monitors found: findings become alerts, alerts that fire become incidents, in one transaction."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from flyball.core import FlyballError, counted_units
from flyball.monitoring.findings.finding import FOLLOWS, FaultOrigin, Finding
from flyball.monitoring.incidents.alert import Alert, after_clear, after_finding, cause_in_common
from flyball.monitoring.incidents.checklist import ReleaseContext, checklist, joined_steps
from flyball.monitoring.incidents.incident import Incident, IncidentCommand
from flyball.monitoring.incidents.notification import NotificationKind, notification_of, notify, title_of
from flyball.monitoring.incidents.silence import Silence, silence_of
from flyball.monitoring.incidents.timeline import FLYBALL, IncidentActor, write_incident
from flyball.policy import AlertPlan
from flyball.registry import IncidentRows, changing_incidents
from flyball.releases import current
from flyball.runtime import Runtime


class RecordedFindings(msgspec.Struct, frozen=True, kw_only=True):
    """What recording changed: the ids of incidents that were opened, reopened, joined by an alert, or have nothing that
    holds any more; and how many of all alerts are pending, firing and silenced now."""

    opened: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    pending: int = 0
    firing: int = 0
    silenced: int = 0


def record_findings(
    runtime: Runtime,
    findings: Sequence[Finding],
    now_us: int,
    cleared: Iterable[str] = (),
    looked_us: int | None = None,
) -> RecordedFindings:
    """Record what monitors found when they looked, all or nothing.

    `cleared`: the fingerprints of what a monitor looked at and no longer found, at `looked_us` (default: `now_us`);
    what was never found may be among them. A look that is not later than the last one of the same fingerprint changes
    nothing, so recording the same again is harmless. `now_us`: the present time, with which incidents are dated.
    """
    with changing_incidents(runtime.registry) as rows:
        recording = _Recording(rows, runtime.app.name, runtime.app.spec, runtime.app.alerts, now_us)
        recording.context = lambda: release_context(runtime)
        for finding in findings:
            recording.find(finding)
        for fingerprint in cleared:
            recording.clear(fingerprint, now_us if looked_us is None else looked_us)
        return recording.done()


def clear(runtime: Runtime, fingerprint: str, now_us: int, looked_us: int | None = None) -> RecordedFindings:
    """Record that a monitor looked, at `looked_us` (default: `now_us`), and what it had found no longer holds."""
    return record_findings(runtime, (), now_us, [fingerprint], looked_us)


def release_context(runtime: Runtime) -> ReleaseContext:
    """What serves now, as far as the stores can be read."""
    context = ReleaseContext()
    with suppress(FlyballError):
        state = current(runtime.registry)
        context = ReleaseContext(
            champion=state.champion,
            previous=state.previous,
            champion_since_us=state.reigning.since_us if state.reigning is not None else state.changed_us,
            under_way=tuple(release.id for release in state.under_way),
        )
    with suppress(FlyballError):
        ends, answered = tuple(runtime.log.ends()), tuple(runtime.predictions.ends())
        context = msgspec.structs.replace(context, ends=ends, prediction_ends=answered)
    return context


class _Recording:
    """Alerts and incidents as they are in the transaction, and which of them changed."""

    def __init__(self, rows: IncidentRows, app: str, spec: str, plan: AlertPlan, now_us: int) -> None:
        self._rows, self._app, self._spec, self._plan, self._now_us = rows, app, spec, plan, now_us
        self.context: Callable[[], ReleaseContext] = ReleaseContext
        alerts = [msgspec.convert(document, Alert) for document in rows.documents("alerts")]
        self._alerts = {alert.fingerprint: alert for alert in alerts}
        incidents = [msgspec.convert(document, Incident) for document in rows.documents("incidents")]
        self._incidents = {incident.id: incident for incident in incidents}
        self._states = {incident.id: incident.state for incident in incidents}
        self._silences = [msgspec.convert(document, Silence) for document in rows.documents("silences")]
        self._changed = dict[str, None]()
        self._fired: list[str] = []
        self._raised = dict[str, None]()
        self._stopped = dict[str, None]()
        self._commands: dict[str, IncidentCommand] = {}

    def find(self, finding: Finding) -> None:
        """Take in what a monitor found."""
        key = finding.fingerprint
        before = self._alerts.get(key)
        after = after_finding(before, finding, self._plan.delay(finding.monitor))
        if after is before:
            return
        if after.state == "firing":
            silence = silence_of(finding, self._silences, self._now_us)
            after = msgspec.structs.replace(after, silence=silence)
            if not silence and (before is None or before.state != "firing" or before.silence):
                self._fired.append(key)
            elif not silence and after.incident and finding.severity == "high":
                self._raised[after.incident] = None
        self._alerts[key] = after
        self._changed[key] = None

    def clear(self, fingerprint: str, at_us: int) -> None:
        """Take in that a monitor looked and found nothing."""
        before = self._alerts.get(fingerprint)
        if before is None:
            return
        after = after_clear(before, at_us)
        if after is before:
            return
        self._alerts[fingerprint] = after
        self._changed[fingerprint] = None
        if after.state != before.state and after.incident:
            self._stopped[after.incident] = None

    def done(self) -> RecordedFindings:
        """Write all that changed."""
        fired: dict[str, list[Alert]] = {}
        for key in sorted(self._fired, key=self._comes_after):
            incident = self._destination(self._alerts[key])
            self._alerts[key] = msgspec.structs.replace(self._alerts[key], incident=incident)
            fired.setdefault(incident, []).append(self._alerts[key])
        for incident, alerts in fired.items():
            self._join(self._incidents[incident], alerts)
        for name in self._raised:
            if name not in fired:
                self._raise(self._incidents[name])
        over = [name for name in self._stopped if name not in fired and self._end(self._incidents[name])]
        for key in self._changed:
            alert = self._alerts[key]
            number = self._incidents[alert.incident].number if alert.incident else None
            self._rows.put("alerts", alert.fingerprint, alert, state=alert.state, incident_number=number)
        return self._result(over)

    def _result(self, over: Sequence[str]) -> RecordedFindings:
        def of(command: IncidentCommand) -> tuple[str, ...]:
            return tuple(name for name, done in self._commands.items() if done == command)

        firing = [alert for alert in self._alerts.values() if alert.state == "firing"]
        silenced = sum(bool(alert.silence) for alert in firing)
        return RecordedFindings(
            opened=of("open"),
            reopened=of("reopen"),
            joined=of("join"),
            over=tuple(over),
            pending=sum(alert.state == "pending" for alert in self._alerts.values()),
            firing=len(firing) - silenced,
            silenced=silenced,
        )

    def _comes_after(self, key: str) -> tuple[bool, bool]:
        """Those that have an incident come first, those that follow from another finding last."""
        alert = self._alerts[key]
        return FOLLOWS in alert.last.evidence, not alert.incident

    def _has_same_cause(self, incident: Incident, alert: Alert) -> bool:
        """Whether an incident is about the cause of the alert: the finding it follows from, its group, or rows that do
        not come."""
        if incident.group == alert.group:
            return True
        cause = cause_in_common(alert.last)
        return any(
            (cause and cause_in_common(other.last) == cause) or alert.last.evidence.get(FOLLOWS) == other.fingerprint
            for other in self._of(incident)
        )

    def _destination(self, alert: Alert) -> str:
        """The incident of an alert that fires: its own, one of its cause, its own that was closed, or a new one."""
        own = self._incidents.get(alert.incident)
        if own is not None and own.state != "closed":
            if own.state == "mitigated" and own.id not in self._commands:
                self._commands[own.id] = "reopen"
            self._commands.setdefault(own.id, "join")
            return own.id
        for incident in reversed(self._incidents.values()):
            near = self._now_us - incident.joined_us <= self._plan.group_us
            if incident.state != "closed" and near and self._has_same_cause(incident, alert):
                self._commands.setdefault(incident.id, "join")
                return incident.id
        if own is not None and self._now_us - own.closed_us <= self._plan.reopen_us:
            self._commands[own.id] = "reopen"
            self._incidents[own.id] = msgspec.structs.replace(own, state="reopened", joined_us=self._now_us)
            return own.id
        return self._new(alert, own)

    def _new(self, alert: Alert, earlier: Incident | None) -> str:
        name = f"inc{max((incident.number for incident in self._incidents.values()), default=0) + 1}"
        self._incidents[name] = Incident(
            id=name,
            app=self._app,
            state="open",
            severity="low",
            title="",
            group=alert.group,
            origin=alert.last.origin,
            opened_us=self._now_us,
            since_us=alert.last.since_us,
            changed_us=self._now_us,
            joined_us=self._now_us,
            earlier=earlier.id if earlier is not None else "",
            revision=0,
        )
        self._commands[name] = "open"
        return name

    def _of(self, incident: Incident) -> list[Alert]:
        """The alerts of an incident that fire, the most severe first."""
        alerts = self._alerts.values()
        firing = [alert for alert in alerts if alert.incident == incident.id and alert.state == "firing"]
        return sorted(firing, key=lambda alert: alert.last.severity != "high")

    def _join(self, incident: Incident, fired: Sequence[Alert]) -> None:
        """Bring an incident up to date after alerts of it fired."""
        command = self._commands[incident.id]
        alerts, context = self._of(incident), self.context()
        steps = checklist(self._spec, incident.id, [alert.last for alert in alerts], context)
        after = msgspec.structs.replace(
            incident,
            title=title_of(alerts),
            origin=_origin(alerts),
            since_us=min(incident.since_us, *(alert.last.since_us for alert in alerts)),
            joined_us=self._now_us,
            over_us=0,
            checklist=joined_steps(incident.checklist, steps),
        )
        if command == "reopen":
            after = msgspec.structs.replace(
                after,
                state="reopened",
                reopened=incident.reopened + 1,
                severity="low",
                high_us=0,
                escalated=0,
                overdue=False,
                acknowledged_us=0,
                mitigated_us=0,
                closed_us=0,
                checklist=steps,
            )
        after = self._with_severity(after, alerts)
        words = f"{counted_units(len(fired), 'finding')} of {incident.group} {_holding(fired)}"
        evidence: dict[str, Any] = {"findings": [alert.last for alert in fired]}
        if command != "join":
            evidence["context"] = context
        kinds: dict[str, NotificationKind] = {"open": "opened", "reopen": "reopened", "join": "joined"}
        self._write(after, command, words, evidence, kinds[command], [alert.last.message for alert in fired])

    def _with_severity(self, incident: Incident, alerts: Sequence[Alert]) -> Incident:
        """The incident with the severity of its alerts; a high one begins its clock and goes to the first on call."""
        if incident.severity == "high" or all(alert.last.severity == "low" for alert in alerts):
            return incident
        first = self._plan.on_call[:1]
        return msgspec.structs.replace(
            incident,
            severity="high",
            high_us=self._now_us,
            escalated=len(first),
            overdue=False,
            owner=incident.owner if incident.assigned or not first else first[0],
        )

    def _raise(self, incident: Incident) -> None:
        """Raise the severity of an incident whose finding became severe."""
        if incident.severity == "high" or incident.state == "closed":
            return
        after = self._with_severity(
            msgspec.structs.replace(incident, title=title_of(self._of(incident))), self._of(incident)
        )
        self._write(after, "raise", "a finding of it became severe", {}, "raised", [])

    def _end(self, incident: Incident) -> bool:
        """Note that no finding of an incident holds any more."""
        if incident.state == "closed" or incident.over_us or self._of(incident):
            return False
        after = msgspec.structs.replace(incident, over_us=self._now_us)
        self._write(after, "over", "none of its findings holds any more", {}, "over", [])
        return True

    def _write(
        self,
        after: Incident,
        command: IncidentCommand,
        reason: str,
        evidence: dict[str, Any],
        kind: NotificationKind,
        lines: Sequence[str],
    ) -> None:
        actor = IncidentActor(FLYBALL, self._now_us, reason)
        after = write_incident(self._rows, after, self._states.get(after.id, ""), command, actor, evidence)
        self._incidents[after.id] = after
        notify(self._rows, notification_of(kind, after, self._now_us, lines))


def _origin(alerts: Sequence[Alert]) -> FaultOrigin:
    origins = {alert.last.origin for alert in alerts}
    return origins.pop() if len(origins) == 1 else "unknown"


def _holding(fired: Sequence[Alert]) -> str:
    return "holds" if len(fired) == 1 else "hold"
