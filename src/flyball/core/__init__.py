"""The lowest package: what all others need, and nothing specific to machine learning.

Promises: time, durations and randomness come in as arguments; errors form one tree, each naming what must be and what
was got; files appear atomically; a backend is opened by its URL.
"""

from typing import TYPE_CHECKING

from flyball.core.backoff import Backoff
from flyball.core.clock import (
    Clock,
    ManualClock,
    ManualStopwatch,
    Stopwatch,
    SystemClock,
    SystemStopwatch,
    format_second,
    format_timestamp,
    microseconds_of,
    parse_timestamp,
)
from flyball.core.compiled import forget_stale
from flyball.core.counters import Counters, Histogram
from flyball.core.durations import declared_duration, format_duration, parse_duration
from flyball.core.elapsed import Elapsed
from flyball.core.errors import (
    NOTHING,
    ArtifactCorrupt,
    BadDeclaration,
    BadInput,
    BadSetting,
    FlyballError,
    HomeBusy,
    InWords,
    MissingExtra,
    NotFound,
    Refused,
    StoreCorrupt,
    StoreUnavailable,
    UnknownBackend,
)
from flyball.core.files import FileLock, lock_soon, sha256_file, write_atomic
from flyball.core.ids import new_id, number_of_id, timestamp_of_id
from flyball.core.json_faults import json_fault, requirement
from flyball.core.lazy import lazy_door, parse_source
from flyball.core.processes import run_parallel
from flyball.core.progress import ReportProgress
from flyball.core.sizes import counted_units, parse_size
from flyball.core.urls import Url, load_backend, local_path, parse_url
from flyball.core.zones import find_zone, local_days, with_zone

if TYPE_CHECKING:
    from flyball.core.arrays import Arrays, Doubles, Ints, SignedInts
    from flyball.core.sqlite_file import SqliteFile

__all__ = [
    "NOTHING",
    "Arrays",
    "ArtifactCorrupt",
    "Backoff",
    "BadDeclaration",
    "BadInput",
    "BadSetting",
    "Clock",
    "Counters",
    "Doubles",
    "Elapsed",
    "FileLock",
    "FlyballError",
    "Histogram",
    "HomeBusy",
    "InWords",
    "Ints",
    "ManualClock",
    "ManualStopwatch",
    "MissingExtra",
    "NotFound",
    "Refused",
    "ReportProgress",
    "SignedInts",
    "SqliteFile",
    "Stopwatch",
    "StoreCorrupt",
    "StoreUnavailable",
    "SystemClock",
    "SystemStopwatch",
    "UnknownBackend",
    "Url",
    "counted_units",
    "declared_duration",
    "find_zone",
    "forget_stale",
    "format_duration",
    "format_second",
    "format_timestamp",
    "json_fault",
    "lazy_door",
    "load_backend",
    "local_days",
    "local_path",
    "lock_soon",
    "microseconds_of",
    "new_id",
    "number_of_id",
    "parse_duration",
    "parse_size",
    "parse_source",
    "parse_timestamp",
    "parse_url",
    "requirement",
    "run_parallel",
    "sha256_file",
    "timestamp_of_id",
    "with_zone",
    "write_atomic",
]

__getattr__ = lazy_door(__name__, __file__)  # numpy and SQLite, which a command that only prints should not load
