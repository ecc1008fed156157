"""Declared, checked, durable, replayable events, and the quarantine.

Promises: every record in the log passed the checks of its declared type, is there once per identity, and keeps its
append order within its partition; a reader that stored its offsets resumes exactly. A bad line is never dropped and
never stops the stream: it is put into quarantine with its bytes, its position and the reason.
"""

from flyball.events.appender import Appender
from flyball.events.assigned_partitions import AssignedPartitions
from flyball.events.batches import Batch, batch_records, batches_in, check_batch_name
from flyball.events.builtin_formats import FORMATS, columns, find_format, formats_in
from flyball.events.catalog import EntityCatalog
from flyball.events.checks import Known
from flyball.events.client_ids import check_client_id, name_of_request
from flyball.events.columns import SourceColumns
from flyball.events.declared import EventType, Field, defaults_in, read_type
from flyball.events.declared_log import DeclaredLog, log_problems, refuse_unreadable
from flyball.events.early_stop import Stopped
from flyball.events.erased import ERASED, ErasedDigests, ErasedPeople
from flyball.events.evolution import Lineage, rows_of
from flyball.events.formats import KEPT_NOWHERE, NOT_ALLOWED, BadLine, BatchBuilder, EventBatch, Format, Parsed, Parser
from flyball.events.former_names import FormerNames
from flyball.events.forwarding_log import ForwardingLog
from flyball.events.identity import IdentityChange, identity_changes
from flyball.events.ingest import MAX_IGNORED, IngestReport, LineVerdicts, Verdict, ingest, ingest_batch, ingest_lines
from flyball.events.ingest_streams import ingest_stream
from flyball.events.inlet import IngestMode, Inlet, LineSource
from flyball.events.joined import LATE_US, Join, join_of, joined, logged_types, original_field_name
from flyball.events.joiner import Joiner, Positioned
from flyball.events.known_entities import CATALOG_BACKENDS, KnownEntities, ReplaceableEntities, open_known_entities
from flyball.events.lag import ConsumerLag, WorkerReport, consumer_troubles, lag_text, read_worker_report
from flyball.events.line_streams import LineStream, StreamedLines, open_line_stream
from flyball.events.log import (
    BACKENDS,
    IMPORTED,
    Appended,
    Appends,
    ErasableLog,
    EventLog,
    Offsets,
    Record,
    RestorableLog,
    SearchableLog,
    Slice,
    WrittenSchemas,
    log_exists,
    open_log,
    partition,
)
from flyball.events.named_rows import EntityColumns, NamedColumns, cell_texts, cells_of, entity_columns, read_json
from flyball.events.original_names import field_names_now, original_type_name
from flyball.events.pieces import read_pieces
from flyball.events.preview import Preview, PreviewRow, preview
from flyball.events.quarantine import (
    QUARANTINE_BACKENDS,
    ErasableQuarantine,
    Quarantine,
    Quarantined,
    RestorableQuarantine,
    Which,
    count_entries,
    drop,
    entries_between,
    entry_of,
    open_quarantine,
)
from flyball.events.reading import after_slices, fresh, read_until, read_where
from flyball.events.rejection import Rejected, Rejection, choices_of
from flyball.events.retry import RetryReport, retry
from flyball.events.schema import FIRST_US, LAST_US, Schema
from flyball.events.source_names import SOURCE_FLAGS, SourceNames, source_flags, source_kind
from flyball.events.timestamps import UNIT_WORDS, TimeReader, likely_unit
from flyball.events.traced_appends import TracedAppends
from flyball.events.types import Event, Profile, Ref, integer, real, renamed, text
from flyball.events.undeclared import Undeclared, count_undeclared, undeclared
from flyball.events.upgrade import Upgrade, Upgrades
from flyball.events.upgraded_log import UpgradedLog
from flyball.events.written import FieldKind, WrittenField, WrittenType

__all__ = [
    "BACKENDS",
    "CATALOG_BACKENDS",
    "ERASED",
    "FIRST_US",
    "FORMATS",
    "IMPORTED",
    "KEPT_NOWHERE",
    "LAST_US",
    "LATE_US",
    "MAX_IGNORED",
    "NOT_ALLOWED",
    "QUARANTINE_BACKENDS",
    "SOURCE_FLAGS",
    "UNIT_WORDS",
    "Appended",
    "Appender",
    "Appends",
    "AssignedPartitions",
    "BadLine",
    "Batch",
    "BatchBuilder",
    "ConsumerLag",
    "DeclaredLog",
    "EntityCatalog",
    "EntityColumns",
    "ErasableLog",
    "ErasableQuarantine",
    "ErasedDigests",
    "ErasedPeople",
    "Event",
    "EventBatch",
    "EventLog",
    "EventType",
    "Field",
    "FieldKind",
    "Format",
    "FormerNames",
    "ForwardingLog",
    "IdentityChange",
    "IngestMode",
    "IngestReport",
    "Inlet",
    "Join",
    "Joiner",
    "Known",
    "KnownEntities",
    "LineSource",
    "LineStream",
    "LineVerdicts",
    "Lineage",
    "NamedColumns",
    "Offsets",
    "Parsed",
    "Parser",
    "Positioned",
    "Preview",
    "PreviewRow",
    "Profile",
    "Quarantine",
    "Quarantined",
    "Record",
    "Ref",
    "Rejected",
    "Rejection",
    "ReplaceableEntities",
    "RestorableLog",
    "RestorableQuarantine",
    "RetryReport",
    "Schema",
    "SearchableLog",
    "Slice",
    "SourceColumns",
    "SourceNames",
    "Stopped",
    "StreamedLines",
    "TimeReader",
    "TracedAppends",
    "Undeclared",
    "Upgrade",
    "UpgradedLog",
    "Upgrades",
    "Verdict",
    "Which",
    "WorkerReport",
    "WrittenField",
    "WrittenSchemas",
    "WrittenType",
    "after_slices",
    "batch_records",
    "batches_in",
    "cell_texts",
    "cells_of",
    "check_batch_name",
    "check_client_id",
    "choices_of",
    "columns",
    "consumer_troubles",
    "count_entries",
    "count_undeclared",
    "defaults_in",
    "drop",
    "entity_columns",
    "entries_between",
    "entry_of",
    "field_names_now",
    "find_format",
    "formats_in",
    "fresh",
    "identity_changes",
    "ingest",
    "ingest_batch",
    "ingest_lines",
    "ingest_stream",
    "integer",
    "join_of",
    "joined",
    "lag_text",
    "likely_unit",
    "log_exists",
    "log_problems",
    "logged_types",
    "name_of_request",
    "open_known_entities",
    "open_line_stream",
    "open_log",
    "open_quarantine",
    "original_field_name",
    "original_type_name",
    "partition",
    "preview",
    "read_json",
    "read_pieces",
    "read_type",
    "read_until",
    "read_where",
    "read_worker_report",
    "real",
    "refuse_unreadable",
    "renamed",
    "retry",
    "rows_of",
    "source_flags",
    "source_kind",
    "text",
    "undeclared",
]
