"""Everything that an ingest needs, over one folder."""

import io
from pathlib import Path
from typing import Any

from flyball.apps.movielog import MovieLog
from flyball.core import ManualClock
from flyball.events import (
    DeclaredLog,
    EntityCatalog,
    Format,
    IngestReport,
    Inlet,
    LineSource,
    Record,
    Schema,
    Verdict,
    columns,
    ingest,
    ingest_lines,
    open_log,
    open_quarantine,
)
from flyball.testing.movie_events import Joined, movie_schema

NOW_US = 1_700_000_000_000_000
NOON_US = 1_668_427_200_000_000
FORMATS: dict[str, Format] = {"movielog": MovieLog(), **columns(rename={"movie": "film", "rating": "stars"})}


class Home:
    """Everything that an ingest needs, over one folder."""

    def __init__(self, folder: Path, schema: Schema | None = None) -> None:
        self.schema = schema or movie_schema()
        self.log = DeclaredLog(open_log(f"sqlite://{folder}/events.db?partitions=2"), self.schema)
        self.schema = self.log.schema
        self.quarantine = open_quarantine(f"sqlite://{folder}/quarantine.db")
        known = {"user": (Joined,)} if "joined" in self.schema.types else {}
        self.catalog = EntityCatalog(f"sqlite://{folder}/catalog.db", self.schema, known)
        self.clock = ManualClock(NOW_US)

    def inlet(self, **other: Any) -> Inlet:
        parts = {name: getattr(self, name) for name in ("schema", "log", "quarantine", "catalog", "clock")}
        return Inlet(**{**parts, **other})

    def source(self, form: str, **options: Any) -> LineSource:
        return LineSource(**{"name": "a.log", "format": FORMATS[form], "format_name": form, "mode": "live"} | options)

    def ingest(self, text: str | bytes, form: str = "movielog", **options: Any) -> IngestReport:
        stream = io.BytesIO(text.encode() if isinstance(text, str) else text)
        how = {name: options.pop(name) for name in ("progress", "between", "stop_early") if name in options}
        source = self.source(form, **{"mode": "history"} | options)
        return ingest(FORMATS[form].lines(stream), source, self.inlet(), stopwatch=Still(), **how)

    def verdicts(self, lines: list[str], form: str = "jsonl", **options: Any) -> list[Verdict]:
        source = self.source(form, **{"name": "http"} | options)
        return ingest_lines([line.encode() for line in lines], source, self.inlet()).verdicts

    def records(self) -> list[Record]:
        slices = self.log.read((0,) * len(self.log.ends()), 1_000_000)
        return [record for piece in slices for record in piece.records]

    def close(self) -> None:
        for part in (self.log, self.quarantine, self.catalog):
            part.close()  # type: ignore[union-attr]


class Still:
    def read_s(self) -> float:
        return 0.0
