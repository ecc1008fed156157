"""Watching an application: what its data look like, whether that changed, and what comes of what was found.

Promises: a profile takes constant memory, and profiles of parts merge to that of the whole; a comparison says how large
a difference is and how likely chance alone makes one, over all columns together. Findings of one cause are one
incident; recorded twice they change nothing; every change of an incident has its time, actor and reason.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door

if TYPE_CHECKING:  # polars and scipy are loaded when first used
    from flyball.monitoring.findings.budget import FindingsDecision, MonitorState, decide_findings
    from flyball.monitoring.findings.finding import FaultOrigin, Finding, Severity, fingerprint_of
    from flyball.monitoring.findings.observation import Observation
    from flyball.monitoring.incidents.alert import Alert, group_of
    from flyball.monitoring.incidents.bundle import bundle_archive, incident_bundle, write_bundle
    from flyball.monitoring.incidents.commands import (
        INCIDENT_COMMANDS,
        add_silence,
        change_incident,
        end_silence,
        find_incident,
    )
    from flyball.monitoring.incidents.description import (
        IncidentDescription,
        IncidentList,
        IncidentSummary,
        all_silences,
        describe_incident,
        list_incidents,
    )
    from flyball.monitoring.incidents.digest import IncidentDigest, digest, rounded_duration, send_digest
    from flyball.monitoring.incidents.escalation import escalate
    from flyball.monitoring.incidents.incident import NEXT_STATES, Incident, state_after
    from flyball.monitoring.incidents.notification import Notification
    from flyball.monitoring.incidents.record import RecordedFindings, clear, record_findings
    from flyball.monitoring.incidents.silence import Silence
    from flyball.monitoring.incidents.timeline import IncidentActor
    from flyball.monitoring.performance.compared import MetricNow
    from flyball.monitoring.performance.observed import observe_performance, performance_monitor
    from flyball.monitoring.performance.report import EqualRun, MetricVerdict, PerformanceReport, performance_report
    from flyball.monitoring.profiles.application import DataChanges, Volume, data_changes
    from flyball.monitoring.profiles.column import ColumnProfile, NumberMoments
    from flyball.monitoring.profiles.comparison import (
        ALPHA,
        LEAST,
        ColumnTest,
        Comparison,
        SeasonWindow,
        Shift,
        column_tests,
        compare_profiles,
        compare_tables,
    )
    from flyball.monitoring.profiles.profile_file import ENDING, WindowProfiles, read_profiles, write_profiles
    from flyball.monitoring.profiles.table import TableProfile
    from flyball.monitoring.profiles.table_file import ENDINGS, profile_table
    from flyball.monitoring.sinks.counts import IncidentCounts, count_incidents
    from flyball.monitoring.sinks.delivery import SinkStatus, deliver, failing_words, sink_statuses, try_sink
    from flyball.monitoring.sinks.sink import SINKS, NamedSink, open_sinks
    from flyball.monitoring.watch.facts import known_facts
    from flyball.monitoring.watch.watcher import (
        SETTLE_US,
        ExtraMonitor,
        Watcher,
        WatchRound,
        WatchState,
        read_state,
        watch_folder,
    )

__all__ = [
    "ALPHA",
    "ENDING",
    "ENDINGS",
    "INCIDENT_COMMANDS",
    "LEAST",
    "NEXT_STATES",
    "SETTLE_US",
    "SINKS",
    "Alert",
    "ColumnProfile",
    "ColumnTest",
    "Comparison",
    "DataChanges",
    "EqualRun",
    "ExtraMonitor",
    "FaultOrigin",
    "Finding",
    "FindingsDecision",
    "Incident",
    "IncidentActor",
    "IncidentCounts",
    "IncidentDescription",
    "IncidentDigest",
    "IncidentList",
    "IncidentSummary",
    "MetricNow",
    "MetricVerdict",
    "MonitorState",
    "NamedSink",
    "Notification",
    "NumberMoments",
    "Observation",
    "PerformanceReport",
    "RecordedFindings",
    "SeasonWindow",
    "Severity",
    "Shift",
    "Silence",
    "SinkStatus",
    "TableProfile",
    "Volume",
    "WatchRound",
    "WatchState",
    "Watcher",
    "WindowProfiles",
    "add_silence",
    "all_silences",
    "bundle_archive",
    "change_incident",
    "clear",
    "column_tests",
    "compare_profiles",
    "compare_tables",
    "count_incidents",
    "data_changes",
    "decide_findings",
    "deliver",
    "describe_incident",
    "digest",
    "end_silence",
    "escalate",
    "failing_words",
    "find_incident",
    "fingerprint_of",
    "group_of",
    "incident_bundle",
    "known_facts",
    "list_incidents",
    "observe_performance",
    "open_sinks",
    "performance_monitor",
    "performance_report",
    "profile_table",
    "read_profiles",
    "read_state",
    "record_findings",
    "rounded_duration",
    "send_digest",
    "sink_statuses",
    "state_after",
    "try_sink",
    "watch_folder",
    "write_bundle",
    "write_profiles",
]

__getattr__ = lazy_door(__name__, __file__)
