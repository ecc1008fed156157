"""The log as columns: Parquet parts, snapshots named by content, importers.

Promises: every record of the log is in the parts exactly once, also after crashes at any time; a snapshot holds what
was known at its time, and its name is a digest of the data, not of the files; merging parts changes no snapshot.
Importing this package does not import polars.
"""

from flyball.history.columns import frame_of
from flyball.history.consumer import HistoryConsumer
from flyball.history.delays import Delay, Lags
from flyball.history.holding import hold_events
from flyball.history.joins import join_frames, sides_of, with_joined
from flyball.history.movielens import movielens_events
from flyball.history.parts import read_stored
from flyball.history.reader import EXPORTS, History, export, learned_lag, with_times, write_frame
from flyball.history.snapshot import Snapshot, SnapshotManifest, load_snapshot, take_snapshot

__all__ = [
    "EXPORTS",
    "Delay",
    "History",
    "HistoryConsumer",
    "Lags",
    "Snapshot",
    "SnapshotManifest",
    "export",
    "frame_of",
    "hold_events",
    "join_frames",
    "learned_lag",
    "load_snapshot",
    "movielens_events",
    "read_stored",
    "sides_of",
    "take_snapshot",
    "with_joined",
    "with_times",
    "write_frame",
]
