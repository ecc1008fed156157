"""The two arguments of all functions that ingest events: where events go, and where lines come from."""

from typing import Literal

import msgspec

from flyball.core import Clock
from flyball.events.catalog import EntityCatalog
from flyball.events.erased import ErasedPeople
from flyball.events.formats import Format
from flyball.events.log import Appends, EventLog
from flyball.events.quarantine import Quarantine
from flyball.events.schema import Schema
from flyball.events.source_names import SourceNames

IngestMode = Literal["live", "history"]


class Inlet(msgspec.Struct, frozen=True):
    """Where events go: the schema that checks them, the log, the quarantine and the clock.

    `appender`: records are appended through it instead of the log itself, to share commits with other callers.
    `sources`: keeps the names of sources. `erased`: whose events from before their erasure are refused.
    """

    schema: Schema
    log: EventLog
    quarantine: Quarantine
    catalog: EntityCatalog
    clock: Clock
    appender: Appends | None = None
    sources: SourceNames | None = None
    erased: ErasedPeople | None = None

    @property
    def appends(self) -> Appends:
        return self.log if self.appender is None else self.appender


class LineSource(msgspec.Struct, frozen=True):
    """Where lines come from and how to read them; stored with every bad line.

    `only`: the event type, where the lines do not name it. `mode`: live events become known on arrival, those of
    history `lag_us` after they happened. `label`: what findings call it, by default `name` without folders and dates.
    `key`: under which the request with all these lines may come again, "" for none. `batch`: the name of the batch that
    they are ingested with, "" for none. `types`: the event types that may come from here, () for all; of a line that is
    of another one, or of none that can be read, nothing is kept.
    """

    name: str
    format: Format
    format_name: str
    mode: IngestMode
    lag_us: int = 0
    only: str | None = None
    label: str = ""
    key: str = ""
    batch: str = ""
    types: tuple[str, ...] = ()
