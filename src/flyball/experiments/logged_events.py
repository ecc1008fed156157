"""Events for experiments: from the history, and from the part of the log that is not in the history yet."""

from collections.abc import Iterator

import polars as pl

from flyball.events import EventLog, Offsets, Schema, join_of, read_until
from flyball.history import History, frame_of, join_frames, sides_of

_ROWS = 2_000_000
_BATCH = 20_000


class LoggedEvents:
    """All events that `log` holds now, most of them read from the history, piece by piece.

    A piece has at most about `rows` rows, so memory does not grow with the log. Events that the history does not hold
    yet are read from the log itself, so a result does not depend on the progress of a consumer.
    """

    def __init__(self, history: History, log: EventLog, schema: Schema, rows: int = _ROWS) -> None:
        self._history, self._log, self._schema, self._rows = history, log, schema, rows
        self._taken: Offsets = history.offsets()
        self._ends: Offsets = log.ends()
        self._tail: dict[str, pl.DataFrame] | None = None

    def frames(self, name: str, since_us: int, until_us: int, as_of_us: int) -> Iterator[pl.DataFrame]:
        """See `unit_values.EventFrames`."""
        if name in self._schema.joined:
            yield self._joined(name, since_us, until_us, as_of_us)
            return
        tail = self._tails()[name].filter(
            (pl.col("known_at") <= as_of_us) & pl.col("at").is_between(since_us, until_us - 1)
        )
        if tail.height:
            yield tail
        for first_us, end_us in self._slices(name, since_us, until_us):
            piece = self._history.events(name, first_us, as_of_us, end_us)
            yield self._before_tail(piece)

    def _slices(self, name: str, since_us: int, until_us: int) -> list[tuple[int, int]]:
        """Time spans `[start, end)` of about `rows` rows each."""
        rows = self._history.counts().get(name, 0)
        pieces = max(1, -(-rows // self._rows))
        width = max(1, -(-(until_us - since_us) // pieces))
        return [(start, min(start + width, until_us)) for start in range(since_us, until_us, width)]

    def _joined(self, name: str, since_us: int, until_us: int, as_of_us: int) -> pl.DataFrame:
        event = self._schema.joined[name].cls
        join = join_of(event)
        width_us = 0 if join is None else join.within_us
        sides = [
            pl.concat(list(self.frames(side, since_us - width_us, until_us + width_us, as_of_us)), how="diagonal")
            for side in sides_of(event)
        ]
        return join_frames(event, *sides).filter(pl.col("at").is_between(since_us, until_us - 1))

    def _before_tail(self, piece: pl.DataFrame) -> pl.DataFrame:
        """The piece without events that the history ingested after this was opened; those are in the tail."""
        ends = dict(enumerate(self._taken))
        limit = pl.col("partition").cast(pl.Int64).replace_strict(ends, default=0, return_dtype=pl.Int64)
        return piece.filter(pl.col("offset").cast(pl.Int64) < limit)

    def _tails(self) -> dict[str, pl.DataFrame]:
        """{type: its events in the log that were not in the history when this was opened}."""
        if self._tail is None:
            rows: dict[str, list[pl.DataFrame]] = {name: [] for name in self._schema.types}
            for slices in read_until(self._log, self._taken, self._ends, _BATCH):
                for name, declared in self._schema.types.items():
                    own = [
                        (record, piece.partition, piece.first + index)
                        for piece in slices
                        for index, record in enumerate(piece.records)
                        if record.type == name
                    ]
                    if own:
                        rows[name].append(frame_of(declared, own))
            empty = {name: frame_of(declared, []) for name, declared in self._schema.types.items()}
            self._tail = {name: pl.concat([empty[name], *frames]) for name, frames in rows.items()}
        return self._tail
