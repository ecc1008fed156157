"""Watching an application: what its data look like, and whether that changed.

Promises: a profile takes constant memory, and profiles of parts merge to that of the whole; a comparison says how large
a difference is and how likely chance alone makes one, over all columns together.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door

if TYPE_CHECKING:  # polars and scipy are loaded when first used
    from flyball.monitoring.profiles import (
        ALPHA,
        ENDING,
        ENDINGS,
        LEAST,
        ColumnProfile,
        Comparison,
        DataChanges,
        NumberMoments,
        Shift,
        TableProfile,
        Volume,
        WindowProfiles,
        compare_profiles,
        compare_tables,
        data_changes,
        profile_table,
        read_profiles,
        write_profiles,
    )

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

__getattr__ = lazy_door(__name__, __file__)
