"""What rows look like, in constant memory, and whether later ones look alike."""

from flyball.monitoring.profiles.application import DataChanges, Volume, data_changes
from flyball.monitoring.profiles.column import ColumnProfile, NumberMoments
from flyball.monitoring.profiles.comparison import ALPHA, LEAST, Comparison, Shift, compare_profiles, compare_tables
from flyball.monitoring.profiles.profile_file import ENDING, WindowProfiles, read_profiles, write_profiles
from flyball.monitoring.profiles.table import TableProfile
from flyball.monitoring.profiles.table_file import ENDINGS, profile_table

__all__ = [
    "ALPHA",
    "ENDING",
    "ENDINGS",
    "LEAST",
    "ColumnProfile",
    "Comparison",
    "DataChanges",
    "NumberMoments",
    "Shift",
    "TableProfile",
    "Volume",
    "WindowProfiles",
    "compare_profiles",
    "compare_tables",
    "data_changes",
    "profile_table",
    "read_profiles",
    "write_profiles",
]
