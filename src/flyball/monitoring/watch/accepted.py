"""Lasting shifts that a person accepted: what a monitor compares with restarts at the shift.

They are entries of the audit trail of the registry, so who accepted what, and why, stays known after it is undone.
"""

from collections.abc import Sequence

from msgspec import Struct

from flyball.core import BadInput, NotFound, Refused
from flyball.monitoring.findings.finding import Finding
from flyball.registry import AuditEntry, Registry, add_entry

ACCEPT, UNDO = "accept_shift", "undo_accept_shift"
_OF_COLUMNS = ("shift", "missing", "infinite", "length", "times")
_OF_LABELS = ("performance", "expected_performance", "label_share", "calibration")
ACCEPTABLE = (*_OF_COLUMNS, "volume", "source_volume", *_OF_LABELS)
"""The monitors whose findings can be accepted: they compare with the past. The others find faults, which must end."""


class AcceptedShift(Struct, frozen=True):
    """A finding of `monitor` on `subject` that was accepted at `at_us`: its reference begins at `since_us`."""

    id: str
    monitor: str
    subject: str
    since_us: int
    at_us: int
    by: str
    reason: str

    @property
    def restarts(self) -> str:
        """The subject whose reference restarts: a column, a table, or a label, of which slices are parts."""
        is_label = self.monitor.removesuffix("-daily") in _OF_LABELS
        return self.subject.partition(".")[0] if is_label else self.subject


def accepted_shifts(registry: Registry) -> tuple[AcceptedShift, ...]:
    """The shifts that are accepted now, oldest first."""
    accepted: dict[str, AcceptedShift] = {}
    for entry in registry.audit():
        if entry.action == ACCEPT:
            monitor, subject, since_us = (entry.after[name] for name in ("monitor", "subject", "since_us"))
            accepted.pop(entry.subject, None)
            accepted[entry.subject] = AcceptedShift(
                entry.subject, monitor, subject, since_us, entry.at_us, entry.by, entry.reason
            )
        elif entry.action == UNDO:
            accepted.pop(entry.subject, None)
    return tuple(accepted.values())


def reference_starts(accepted: Sequence[AcceptedShift]) -> dict[str, int]:
    """{subject: from when on windows show what is usual}."""
    starts: dict[str, int] = {}
    for shift in accepted:
        starts[shift.restarts] = max(starts.get(shift.restarts, 0), shift.since_us)
    return starts


def note_accepted(
    registry: Registry, finding: Finding, by: str, reason: str, now_us: int, even_own: bool = False
) -> AcceptedShift:
    """Accept a finding. Raises `Refused` for one that compares with no past, without a reason, or, but with `even_own`,
    for a fault of our own."""
    if finding.monitor.removesuffix("-daily") not in ACCEPTABLE:
        raise Refused(
            f"a finding to accept must be of one of {', '.join(ACCEPTABLE)}, got {finding.monitor}: it is over when "
            "its cause is; a silence keeps it quiet until then (flyball incidents silence)"
        )
    _check_by_whom(by, reason)
    if finding.origin == "own" and not even_own:
        raise Refused(
            f"a finding to accept must be a change of the world, got a fault of our own, {finding.message!r}: accepted "
            "as usual it would never be found again, so end its cause; with --even-own it is accepted all the same, as "
            "where a source was switched off for good"
        )
    after = {"monitor": finding.monitor, "subject": finding.subject, "since_us": finding.since_us}
    key = finding.fingerprint
    add_entry(registry, AuditEntry(at_us=now_us, by=by, action=ACCEPT, subject=key, reason=reason, after=after))
    return AcceptedShift(key, finding.monitor, finding.subject, finding.since_us, now_us, by, reason)


def note_undone(registry: Registry, id: str, by: str, reason: str, now_us: int) -> AcceptedShift:
    """Compare with all of the past again. Raises `NotFound` for what is not accepted, `Refused` without a reason."""
    known = {shift.id: shift for shift in accepted_shifts(registry)}
    if id not in known:
        raise NotFound("accepted shift", id, tuple(known))
    _check_by_whom(by, reason)
    add_entry(registry, AuditEntry(at_us=now_us, by=by, action=UNDO, subject=id, reason=reason))
    return known[id]


def _check_by_whom(by: str, reason: str) -> None:
    if not by.strip():
        raise BadInput("by", "the name of who accepts it", by)
    if not reason.strip():
        raise Refused("a reason must be given, got none: say with --reason why the new values are right")
