"""Watching an application: what its data look like, and whether that changed.

Promises: a profile takes constant memory, and profiles of parts merge to that of the whole; a comparison says how large
a difference is and how likely chance alone makes one, over all columns together.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door

if TYPE_CHECKING:  # polars and scipy are loaded when first used
    from flyball.monitoring.findings.budget import FindingsDecision, MonitorState, decide_findings
    from flyball.monitoring.findings.finding import FaultOrigin, Finding, Severity, fingerprint_of
    from flyball.monitoring.findings.observation import Observation
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

__all__ = [
    "ALPHA",
    "ENDING",
    "ENDINGS",
    "LEAST",
    "ColumnProfile",
    "ColumnTest",
    "Comparison",
    "DataChanges",
    "FaultOrigin",
    "Finding",
    "FindingsDecision",
    "MonitorState",
    "NumberMoments",
    "Observation",
    "SeasonWindow",
    "Severity",
    "Shift",
    "TableProfile",
    "Volume",
    "WindowProfiles",
    "column_tests",
    "compare_profiles",
    "compare_tables",
    "data_changes",
    "decide_findings",
    "fingerprint_of",
    "profile_table",
    "read_profiles",
    "write_profiles",
]

__getattr__ = lazy_door(__name__, __file__)
