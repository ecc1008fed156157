"""What is counted of incidents, for metrics."""

import msgspec

from flyball.monitoring.sinks.delivery import SinkStatus, sink_statuses
from flyball.registry import Registry

STATES = ("open", "acknowledged", "mitigated", "reopened")


class IncidentCounts(msgspec.Struct, frozen=True):
    """`incidents`: {(severity, state): number} of those that are not closed, zeros too; of them `overdue`. `alerts`:
    {state: number} of findings that hold. `sinks`: how each does."""

    incidents: dict[tuple[str, str], int] = {}
    overdue: int = 0
    alerts: dict[str, int] = {}
    sinks: tuple[SinkStatus, ...] = ()


def count_incidents(registry: Registry) -> IncidentCounts:
    """The counts of now; one look at the registry takes a millisecond."""
    rows = registry.database.rows(
        "SELECT severity, state, document FROM incidents WHERE state <> 'closed' ORDER BY number"
    )
    counts = {(severity, state): 0 for severity in ("high", "low") for state in STATES}
    for row in rows:
        counts[row["severity"], row["state"]] += 1
    overdue = sum(bool(msgspec.json.decode(row["document"])["overdue"]) for row in rows)
    states = registry.database.rows("SELECT state, COUNT(*) AS n FROM alerts WHERE state <> 'over' GROUP BY state")
    alerts = {"pending": 0, "firing": 0} | {row["state"]: row["n"] for row in states}
    return IncidentCounts(counts, overdue, alerts, tuple(sink_statuses(registry)))
