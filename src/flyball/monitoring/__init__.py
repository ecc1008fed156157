"""Watching an application: what its data look like, whether that changed, and what comes of what was found.

Promises: a profile takes constant memory, and profiles of parts merge to that of the whole; a comparison says how large
a difference is and how likely chance alone makes one, over all columns together. Findings of one cause are one
incident; recorded twice they change nothing; every change of an incident has its time, actor and reason.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door

if TYPE_CHECKING:  # polars and scipy are loaded when first used
    from flyball.monitoring.exposure.item_groups import ItemGroupExposure
    from flyball.monitoring.exposure.measures import EXPOSURE_MEASURES
    from flyball.monitoring.exposure.observed import exposure_monitor
    from flyball.monitoring.exposure.report import ExposureReport, ExposureRow, exposure_report, half_width
    from flyball.monitoring.fairness.observed import fairness_monitor, observe_fairness
    from flyball.monitoring.fairness.report import FairnessReport, fairness_report
    from flyball.monitoring.fairness.sampling import GroupSampling, SamplingTimes
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
    from flyball.monitoring.incidents.timeline import IncidentActor, entry_words
    from flyball.monitoring.performance.compared import MetricNow
    from flyball.monitoring.performance.log_time import lag_text, log_time
    from flyball.monitoring.performance.observed import observe_performance, performance_monitor
    from flyball.monitoring.performance.report import EqualRun, MetricVerdict, PerformanceReport, performance_report
    from flyball.monitoring.performance.slices import slices_of
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
    from flyball.monitoring.suspects.actions import Actions, account_entity, actions_of, read_actions
    from flyball.monitoring.suspects.application import observe_suspects, suspects_monitor, suspects_of
    from flyball.monitoring.suspects.find import Suspect, Suspects, find_suspects
    from flyball.monitoring.watch.accepted import AcceptedShift, accepted_shifts, note_accepted, note_undone
    from flyball.monitoring.watch.askers import asker_monitor
    from flyball.monitoring.watch.daily import ExtraMonitor
    from flyball.monitoring.watch.facts import known_facts
    from flyball.monitoring.watch.serving_reports import (
        ServedVersion,
        ServingReport,
        artifact_digest,
        declaration_digest,
        read_serving_reports,
        served_version,
        write_serving_report,
    )
    from flyball.monitoring.watch.watcher import (
        SETTLE_US,
        Watcher,
        WatchRound,
        WatchState,
        read_state,
        watch_folder,
        write_state,
    )

__all__ = [
    "ALPHA",
    "ENDING",
    "ENDINGS",
    "EXPOSURE_MEASURES",
    "INCIDENT_COMMANDS",
    "LEAST",
    "NEXT_STATES",
    "SETTLE_US",
    "SINKS",
    "AcceptedShift",
    "Actions",
    "Alert",
    "ColumnProfile",
    "ColumnTest",
    "Comparison",
    "DataChanges",
    "EqualRun",
    "ExposureReport",
    "ExposureRow",
    "ExtraMonitor",
    "FairnessReport",
    "FaultOrigin",
    "Finding",
    "FindingsDecision",
    "GroupSampling",
    "Incident",
    "IncidentActor",
    "IncidentCounts",
    "IncidentDescription",
    "IncidentDigest",
    "IncidentList",
    "IncidentSummary",
    "ItemGroupExposure",
    "MetricNow",
    "MetricVerdict",
    "MonitorState",
    "NamedSink",
    "Notification",
    "NumberMoments",
    "Observation",
    "PerformanceReport",
    "RecordedFindings",
    "SamplingTimes",
    "SeasonWindow",
    "ServedVersion",
    "ServingReport",
    "Severity",
    "Shift",
    "Silence",
    "SinkStatus",
    "Suspect",
    "Suspects",
    "TableProfile",
    "Volume",
    "WatchRound",
    "WatchState",
    "Watcher",
    "WindowProfiles",
    "accepted_shifts",
    "account_entity",
    "actions_of",
    "add_silence",
    "all_silences",
    "artifact_digest",
    "asker_monitor",
    "bundle_archive",
    "change_incident",
    "clear",
    "column_tests",
    "compare_profiles",
    "compare_tables",
    "count_incidents",
    "data_changes",
    "decide_findings",
    "declaration_digest",
    "deliver",
    "describe_incident",
    "digest",
    "end_silence",
    "entry_words",
    "escalate",
    "exposure_monitor",
    "exposure_report",
    "failing_words",
    "fairness_monitor",
    "fairness_report",
    "find_incident",
    "find_suspects",
    "fingerprint_of",
    "group_of",
    "half_width",
    "incident_bundle",
    "known_facts",
    "lag_text",
    "list_incidents",
    "log_time",
    "note_accepted",
    "note_undone",
    "observe_fairness",
    "observe_performance",
    "observe_suspects",
    "open_sinks",
    "performance_monitor",
    "performance_report",
    "profile_table",
    "read_actions",
    "read_profiles",
    "read_serving_reports",
    "read_state",
    "record_findings",
    "rounded_duration",
    "send_digest",
    "served_version",
    "sink_statuses",
    "slices_of",
    "state_after",
    "suspects_monitor",
    "suspects_of",
    "try_sink",
    "watch_folder",
    "write_bundle",
    "write_profiles",
    "write_serving_report",
    "write_state",
]

__getattr__ = lazy_door(__name__, __file__)
