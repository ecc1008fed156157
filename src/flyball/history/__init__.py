"""The log as columns: Parquet parts, snapshots named by content, importers.

Promises: every record of the log is in the parts exactly once, also after crashes at any time; a snapshot holds what
was known at its time, and its name is a digest of the data, not of the files; merging parts changes no snapshot;
what is removed leaves no bytes in the parts, and the snapshots that had it say so.
Importing this package does not import polars.
"""

from flyball.history.columns import frame_of
from flyball.history.consumer import HistoryConsumer
from flyball.history.delays import Delay, Lags
from flyball.history.holding import hold_events
from flyball.history.joins import join_frames, sides_of, with_joined
from flyball.history.movielens import movielens_events
from flyball.history.parts import read_stored
from flyball.history.reader import (
    EXPORTS,
    History,
    WrittenFrame,
    export,
    learned_lag,
    spreadsheet_frame,
    with_times,
    write_frame,
)
from flyball.history.removal import LogOffsets, mark_snapshots, remove_rows, snapshots_with
from flyball.history.snapshot import LeftOut, Snapshot, SnapshotManifest, load_snapshot, take_snapshot

__all__ = [
    "EXPORTS",
    "Delay",
    "History",
    "HistoryConsumer",
    "Lags",
    "LeftOut",
    "LogOffsets",
    "Snapshot",
    "SnapshotManifest",
    "WrittenFrame",
    "export",
    "frame_of",
    "hold_events",
    "join_frames",
    "learned_lag",
    "load_snapshot",
    "mark_snapshots",
    "movielens_events",
    "read_stored",
    "remove_rows",
    "sides_of",
    "snapshots_with",
    "spreadsheet_frame",
    "take_snapshot",
    "with_joined",
    "with_times",
    "write_frame",
]
