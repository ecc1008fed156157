"""Reads the stream `predictions` with requests converted to the present declaration of their type.

Promises: each appended record names the declaration of its request; a field that was renamed since is read under its
new name, with the same upgrades as events.
"""

from collections.abc import Sequence

import msgspec

from flyball.core import Refused, StoreCorrupt
from flyball.events import (
    Appended,
    Event,
    EventLog,
    EventType,
    Lineage,
    Record,
    Slice,
    Upgrade,
    UpgradedLog,
    rows_of,
)
from flyball.outcomes.prediction import TYPE, prediction_of, prediction_record

_decode = msgspec.msgpack.Decoder(list).decode
_encode = msgspec.msgpack.Encoder().encode


def open_predictions(log: EventLog, request: type[Event], declared: EventType | None) -> EventLog:
    """The stream of predictions in `log` for a task with requests of type `request`.

    `declared`: the application's declaration of that type; None if the task defines the type itself, and requests are
    read as they are. Raises `Refused` if the stream holds responses to requests of another type, which could not be
    read.
    """
    stored = log.schemas.stored()
    own = [] if declared is None else rows_of(declared, stored)
    others = dict.fromkeys(written.name for written in stored if written not in own)
    if others:
        raise Refused(
            f"requests of the task must be of the type of those that this home has answered, {', '.join(others)}, got "
            f"{request.__name__}: declare that again, name it in former_names of {request.__name__} if it is the same "
            "under another name, or choose another --home"
        )
    return log if declared is None else DeclaredPredictions(log, declared)


class DeclaredPredictions(UpgradedLog):
    """`log` with requests of type `request`. A `SearchableLog`.

    Records written by earlier releases of Flyball name no declaration; their requests are read as they are.
    """

    def __init__(self, log: EventLog, request: EventType) -> None:
        super().__init__(log)
        self._request = request
        self._upgrades: dict[int, Upgrade] = {}
        self._read_written()
        log.schemas.offer([request.written])

    def append(self, records: Sequence[Record]) -> Appended:
        schema = self._request.fingerprint
        return self._log.append([msgspec.structs.replace(record, schema=schema) for record in records])

    def _read_written(self) -> None:
        lineage = Lineage(self._request, rows_of(self._request, self._log.schemas.stored()))
        self._upgrades = {
            fingerprint: Upgrade(lineage, written)
            for fingerprint, written in lineage.versions.items()
            if fingerprint != self._request.fingerprint
        }
        self._fields = {fingerprint: written.fields for fingerprint, written in lineage.versions.items()}

    def _as_declared(self, piece: Slice) -> Slice:
        current = {0, self._request.fingerprint}
        if all(record.schema in current for record in piece.records):
            return piece
        records = [record if record.schema in current else self._upgraded(record) for record in piece.records]
        return msgspec.structs.replace(piece, records=records, stored=piece.records)

    def _upgraded(self, record: Record) -> Record:
        if record.type != TYPE:
            return record
        if record.schema not in self._upgrades:
            self._read_written()  # another process may have written with a newer declaration
        upgrade = self._upgrades.get(record.schema)
        if upgrade is None:
            raise StoreCorrupt(
                "a prediction record", f"of a request that is a {self._request.cls.__name__}", f"{record.schema:08x}"
            )
        if upgrade.change.problems:
            raise Refused(f"requests must be readable as they are declared now, got: {upgrade.change.problems[0]}")
        prediction = prediction_of(record)
        values = [prediction.request.get(field.name, field.default) for field in self._fields[record.schema]]
        body = upgrade.record(msgspec.structs.replace(record, body=_encode(values), flags=0)).body
        fields = self._request.written.fields
        request_values = _decode(body)
        request_values += [field.default for field in fields[len(request_values) :]]
        request = {field.name: value for field, value in zip(fields, request_values, strict=True)}
        declared = msgspec.structs.replace(prediction, request=request, request_type=self._request.name)
        return msgspec.structs.replace(prediction_record(declared), schema=self._request.fingerprint)
