"""The stamped record of one answer, and how it lies in the stream `predictions`."""

from collections.abc import Iterator

import msgspec

from flyball.core import BadInput, NotFound, timestamp_of_id
from flyball.events import EventLog, Record, read_where

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DIGIT = {letter: f"{value:05b}" for value, letter in enumerate(_ALPHABET)}
_CHUNK = 2_000
_SLACKS_US = (10_000_000, 900_000_000)
"""How far the order of the stream may differ from the order of time; the wider one is tried second."""

TYPE = "prediction"


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: to whom, what was asked and shown, by which version and arm, from which state of the log.

    `scores` and `sources` run beside `items`. `version` is "" for an answer that no version made. `offsets`: the
    events applied to the state that was read, () for an answer that read none. `catalog`: the same of the catalogue,
    `lists`: of the popular list in memory, () for an answer that did not look at it. `stale_us`: how old the state
    was. `seed`: the query's seed.

    Of a list that features were read for, as of `at_us`: `feature_set`, the hash of the definitions; `feature_offsets`,
    the events they had been computed from; `feature_digest`, 64 bits of the values of the items the model placed, in
    their order (`Reading.digest`); `vectors`, for a stable sample of users, the values {group: (bits, types)}, a row a
    key in that order.
    """

    id: str
    at_us: int
    user: str
    k: int
    items: list[str]
    scores: list[float]
    sources: list[str]
    version: str
    arm: str
    propensity: float
    level: str
    offsets: tuple[int, ...]
    stale_us: int = 0
    took_us: int = 0
    worker: str = ""
    include: dict[str, list[str]] | None = None
    exclude: dict[str, list[str]] | None = None
    without: list[str] = []
    seed: int = 0
    catalog: tuple[int, ...] = ()
    lists: tuple[int, ...] = ()
    feature_set: str = ""
    feature_offsets: tuple[int, ...] = ()
    feature_digest: int = 0
    vectors: dict[str, tuple[bytes, bytes]] = {}


class _Body(msgspec.Struct, frozen=True, array_like=True):
    """The order of the fields on disk; new fields go to the end, with a default."""

    id: str
    k: int
    items: list[str]
    scores: list[float]
    sources: list[str]
    version: str
    arm: str
    propensity: float
    level: str
    offsets: tuple[int, ...]
    stale_us: int
    took_us: int
    worker: str
    include: dict[str, list[str]] | None
    exclude: dict[str, list[str]] | None
    without: list[str]
    seed: int
    catalog: tuple[int, ...] = ()
    lists: tuple[int, ...] = ()
    feature_set: str = ""
    feature_offsets: tuple[int, ...] = ()
    feature_digest: int = 0
    vectors: dict[str, tuple[bytes, bytes]] = {}


_FIELDS = _Body.__struct_fields__
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Body).decode


def id_bytes(prediction_id: str) -> bytes:
    """The 16 bytes behind a 26-letter id; raises `BadInput`."""
    timestamp_of_id(prediction_id)
    return int("".join(_DIGIT[letter] for letter in prediction_id), 2).to_bytes(16, "big")


def prediction_record(prediction: Prediction) -> Record:
    """The record to append to the stream `predictions`."""
    body = _encode(_Body(*(getattr(prediction, field) for field in _FIELDS)))
    at = prediction.at_us
    return Record(TYPE, prediction.user, at, at, id_bytes(prediction.id), body)


def prediction_of(record: Record) -> Prediction:
    """The prediction that `prediction_record` wrote; raises `BadInput` for another type or a damaged body."""
    if record.type != TYPE:
        raise BadInput("record type", TYPE, record.type)
    try:
        body = _decode(record.body)
    except msgspec.MsgspecError as error:
        raise BadInput("prediction record", f"a prediction ({error})", record.id.hex()) from None
    return Prediction(at_us=record.at, user=record.key, **{field: getattr(body, field) for field in _FIELDS})


def find_prediction(log: EventLog, prediction_id: str) -> Prediction:
    """The prediction with this id, found by the time inside the id; raises `NotFound`, or `BadInput` for no id.

    The stream need not be in order of time, only within 15 minutes of it, as it is unless the clock was set back. After
    that, the log is searched by time.
    """
    wanted, at_us = id_bytes(prediction_id), timestamp_of_id(prediction_id)
    for slack_us in _SLACKS_US:
        for partition in range(len(log.ends())):
            for record in _around(log, partition, at_us, slack_us):
                if record.id == wanted and record.type == TYPE:
                    return prediction_of(record)
    for partition, end in enumerate(log.ends()):  # an id holds whole milliseconds
        for piece in read_where(log, partition, 0, end, at_us=(at_us, at_us + 1_000)):
            for record in piece.records:
                if record.id == wanted and record.type == TYPE:
                    return prediction_of(record)
    raise NotFound("prediction", prediction_id)


def _around(log: EventLog, partition: int, at_us: int, slack_us: int) -> Iterator[Record]:
    """Records of one partition around `at_us`, when no record lies more than `slack_us` after a later one."""
    for record in records_since(log, partition, at_us, slack_us):
        if record.at > at_us + slack_us:
            return
        yield record


def records_since(log: EventLog, partition: int, at_us: int, slack_us: int) -> Iterator[Record]:
    """Records of one partition from `at_us` on and some before, none lying more than `slack_us` after a later one."""
    low, high = 0, log.ends()[partition]
    while low < high:
        middle = (low + high) // 2
        found = next(_from(log, partition, middle, 1), None)
        if found is not None and found.at < at_us - slack_us:
            low = middle + 1
        else:
            high = middle
    yield from _from(log, partition, max(low - 1, 0), _CHUNK)


def _from(log: EventLog, partition: int, offset: int, limit: int) -> Iterator[Record]:
    """Records of one partition from `offset` on, others skipped, read in pieces of `limit`."""
    ends = log.ends()
    while offset < ends[partition]:
        after = tuple(offset if place == partition else end for place, end in enumerate(ends))
        moved = False
        for piece in log.read(after, limit):
            if piece.partition == partition and piece.records:
                yield from piece.records
                offset, moved = piece.first + len(piece.records), True
        if not moved:
            return
