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
    LeaseLost,
    MissingExtra,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Refused,
    StoreCorrupt,
    StoreUnavailable,
    TooManyAttempts,
    UnknownBackend,
)
from flyball.core.files import FileLock, lock_soon, remove_abandoned, sha256_file, work_folder, write_atomic
from flyball.core.ids import new_id, number_of_id, timestamp_of_id
from flyball.core.json_faults import json_fault, requirement
from flyball.core.lazy import lazy_door, parse_source
from flyball.core.near_names import meant_name
from flyball.core.origins import check_origin
from flyball.core.printable import printable, printable_line
from flyball.core.process_identity import ProcessIdentity, is_alive, this_process
from flyball.core.progress import ReportProgress
from flyball.core.secrets import holds_secret, is_secret_name, masked, masked_sink
from flyball.core.sizes import counted_units, parse_size
from flyball.core.spreadsheet_cells import spreadsheet_cell
from flyball.core.trusted_files import check_trusted_file, check_trusted_home
from flyball.core.unescaped import readings_of
from flyball.core.urls import Url, load_backend, local_path, parse_url, quoted_path
from flyball.core.waiting import is_readable
from flyball.core.zones import find_zone, local_days, with_zone

if TYPE_CHECKING:
    from flyball.core.arrays import Arrays, Doubles, Ints, SignedInts
    from flyball.core.postgres_server import PostgresServer
    from flyball.core.postgres_tables import PostgresTables
    from flyball.core.sqlite_file import SqliteFile, fold_wal, rewrite_file, take_content

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
    "LeaseLost",
    "ManualClock",
    "ManualStopwatch",
    "MissingExtra",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "PostgresServer",
    "PostgresTables",
    "ProcessIdentity",
    "Refused",
    "ReportProgress",
    "SignedInts",
    "SqliteFile",
    "Stopwatch",
    "StoreCorrupt",
    "StoreUnavailable",
    "SystemClock",
    "SystemStopwatch",
    "TooManyAttempts",
    "UnknownBackend",
    "Url",
    "check_origin",
    "check_trusted_file",
    "check_trusted_home",
    "counted_units",
    "declared_duration",
    "find_zone",
    "fold_wal",
    "forget_stale",
    "format_duration",
    "format_second",
    "format_timestamp",
    "holds_secret",
    "is_alive",
    "is_readable",
    "is_secret_name",
    "json_fault",
    "lazy_door",
    "load_backend",
    "local_days",
    "local_path",
    "lock_soon",
    "masked",
    "masked_sink",
    "meant_name",
    "microseconds_of",
    "new_id",
    "number_of_id",
    "parse_duration",
    "parse_size",
    "parse_source",
    "parse_timestamp",
    "parse_url",
    "printable",
    "printable_line",
    "quoted_path",
    "readings_of",
    "remove_abandoned",
    "requirement",
    "rewrite_file",
    "sha256_file",
    "spreadsheet_cell",
    "take_content",
    "this_process",
    "timestamp_of_id",
    "with_zone",
    "work_folder",
    "write_atomic",
]

__getattr__ = lazy_door(__name__, __file__)  # numpy and SQLite, which a command that only prints should not load
