"""Where events go in, and where lines come from: the two arguments of everything that takes events in."""

from typing import Literal

import msgspec

from flyball.core import Clock
from flyball.events.catalog import EntityCatalog
from flyball.events.formats import Format
from flyball.events.log import Appends, EventLog
from flyball.events.quarantine import Quarantine
from flyball.events.schema import Schema

IngestMode = Literal["live", "history"]


class Inlet(msgspec.Struct, frozen=True):
    """Where events go in: what checks them, what keeps the good and the bad ones, and the clock.

    `appender`: what takes records instead of the log itself, to share commits with other callers.
    """

    schema: Schema
    log: EventLog
    quarantine: Quarantine
    catalog: EntityCatalog
    clock: Clock
    appender: Appends | None = None

    @property
    def appends(self) -> Appends:
        return self.log if self.appender is None else self.appender


class LineSource(msgspec.Struct, frozen=True):
    """Where lines come from and how they are to be read; kept with every bad one.

    `only`: the event type where the lines do not tell it. `mode`: live events become known on arrival, those of history
    `lag_us` after they happened.
    """

    name: str
    format: Format
    format_name: str
    mode: IngestMode
    lag_us: int = 0
    only: str | None = None
