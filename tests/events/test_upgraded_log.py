"""A log read otherwise than it lies: slices, searches and what a search asks the log for; the rest is passed on."""

from collections.abc import Iterator, Mapping

import msgspec

from flyball.events import Record, Slice
from flyball.events.upgraded_log import UpgradedLog
from flyball.testing.log_contract import PlainLog


def record(type: str, at: int) -> Record:
    return Record(type, "7", at, at, bytes([at]) * 16, b"", 0, 0)


class Renamed(UpgradedLog):
    """What was stored as `rate` is a `Rating` now."""

    def _as_declared(self, piece: Slice) -> Slice:
        records = [msgspec.structs.replace(r, type="rating") if r.type == "rate" else r for r in piece.records]
        return msgspec.structs.replace(piece, records=records)

    def _stored_types(self, types: Mapping[str, int]) -> Mapping[str, int]:
        return {**types, **({"rate": types["rating"]} if "rating" in types else {})}


def types_in(pieces: list[Slice]) -> list[tuple[str, int]]:
    return [(r.type, r.at) for piece in pieces for r in piece.records]


def log() -> tuple[PlainLog, Renamed]:
    plain = PlainLog(1)
    plain.append([record("rate", 1), record("watch", 2), record("rate", 3)])
    return plain, Renamed(plain)


def test_slices_come_as_declared_and_the_log_stays_as_it_is() -> None:
    plain, renamed = log()
    assert types_in(renamed.read((1,), 10)) == [("watch", 2), ("rating", 3)]
    assert types_in(plain.read((1,), 10)) == [("watch", 2), ("rate", 3)]
    assert renamed.ends() == plain.ends() == (3,)


class Searchable(PlainLog):
    """Gives a search exactly what it asks for, a record a slice."""

    def read_where(
        self,
        partition: int,
        after: int,
        until: int,
        types: Mapping[str, int] | None = None,
        at_us: tuple[int, int] | None = None,
    ) -> Iterator[Slice]:
        for piece in self.read((after,), until - after):
            for offset, found in enumerate(piece.records, piece.first):
                wanted = types is None or found.at >= types.get(found.type, found.at + 1)
                if wanted and (at_us is None or at_us[0] <= found.at < at_us[1]):
                    yield piece.part(offset, offset + 1)


def test_a_search_by_todays_name_finds_what_was_stored_under_the_former_one() -> None:
    plain = Searchable(1)
    plain.append([record("rate", 1), record("watch", 2), record("rate", 3)])
    renamed = Renamed(plain)
    assert types_in(list(renamed.read_where(0, 0, 3, {"rating": 0}))) == [("rating", 1), ("rating", 3)]
    assert types_in(list(renamed.read_where(0, 0, 3, {"rating": 2}))) == [("rating", 3)]
    assert types_in(list(renamed.read_where(0, 0, 3, {"watch": 0}))) == [("watch", 2)]
    assert types_in(list(renamed.read_where(0, 0, 3, None, (2, 4)))) == [("watch", 2), ("rating", 3)]


def test_what_is_appended_lies_in_the_log_and_reads_as_declared() -> None:
    plain, renamed = log()
    renamed.append([record("rate", 4)])
    assert types_in(plain.read((3,), 10)) == [("rate", 4)]
    assert types_in(renamed.read((3,), 10)) == [("rating", 4)]
    assert renamed.groups is plain.groups
    assert renamed.schemas is plain.schemas


def test_closing_closes_the_log_where_it_has_something_open() -> None:
    class Closing(PlainLog):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    inner = Closing(1)
    Renamed(inner).close()
    assert inner.closed == 1
