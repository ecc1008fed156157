"""The record of one response, and its encoding in the stream `predictions`."""

from base64 import b32encode
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from flyball.core import BadInput, NotFound, Refused, number_of_id, timestamp_of_id
from flyball.events import Event, EventLog, Offsets, Record, read_where
from flyball.tasks import FeatureRead, IntervalShift, RankedItem, Request, Response, fields_of_event, request_of

_LETTERS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
"""From the letters of `b32encode` to those of ids."""
LAST_US = 1 << 62
"""A time later than any record."""

TYPE = "prediction"


class Exposure(msgspec.Struct, frozen=True, array_like=True):
    """A response's part in a release: its `arm`, and the `propensity` of that arm among the units that take part.

    `arm` is the assigned arm, whichever version answered in the end (intention to treat): without the requests that a
    version failed to answer, the comparison would be biased. The propensity differs between the steps of a ramp.
    `release` is "holdout" for the comparison of the holdout group with the others; its arms are "holdout" and "rest".
    """

    release: str
    arm: str
    propensity: float


class Team(msgspec.Struct, frozen=True, array_like=True):
    """A version whose list took part in a draft, with its `arm` in the release and its `arrangement`.

    `items`, `sources`: its whole list, best first; the response shows some of these items. `offsets`: as in
    `Prediction`. `reads`: how many of the response's `reads` are from this version; they are in the order of the teams.
    `at_most`: so many items of the response may have the same value, 0 without such a rule; `values`: those of `items`,
    empty without.
    """

    arm: str
    version: str
    arrangement: int
    items: list[str]
    sources: list[str]
    offsets: tuple[int, ...] = ()
    reads: int = 0
    at_most: int = 0
    values: list[tuple[str, ...]] = []


class Prediction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The record of one response: its request, the version and arm that answered, and the state of the log it read.

    `key`: of the request. `request`: the fields of its event, of type `request_type`, as plain values.
    `scores`, `sources`: one for each of `items`; `parts`: likewise, or empty if the task has none. `propensities`:
    {position: propensity} of the items whose propensity is not 1.
    `version`: "" if no version made the response. `arrangement`: the revision of the arrangement, 0 for the declared
    one or none. `arm`: of the release. `propensity`: the probability that this request was assigned to this version,
    over all random draws. `level`: the fallback level that answered.
    `offsets`: the offsets of the events in the state that was read, () if none was read; `catalog`, `fallback`: the
    same for the catalog and for the fallback, () if they were not used. `stale_us`: the age of the state. `reads`: the
    features, once for each time they were read. `decision_propensity`: see `tasks.Response`. `interval`: how outcomes
    had shifted the prediction interval, None if there is no such interval. `reviews_today`: see `tasks.Response`.
    `exposures`: one for each release that the response took part in. `assigned`: the version that should have answered,
    "" if it did; `failed`: why it did not ("score", "wrong", "late", "overload", "state", "load", "fault"), else "".
    `teams`: for a list drafted from the lists of several versions, those versions, control first; `drafted`: for each
    item the index of the team that placed it. `version` then names all of them: "v1+v2".
    """

    id: str
    at_us: int
    key: str
    items: list[str]
    version: str
    level: str
    arm: str
    propensity: float
    request_type: str
    request: dict[str, Any]
    scores: list[float]
    sources: list[str]
    offsets: tuple[int, ...]
    propensities: dict[int, float] = {}
    parts: list[tuple[float, ...]] = []
    values: list[float] = []
    decision: str = ""
    arrangement: int = 0
    catalog: tuple[int, ...] = ()
    fallback: tuple[int, ...] = ()
    stale_us: int = 0
    took_us: int = 0
    worker: str = ""
    reads: tuple[FeatureRead, ...] = ()
    decision_propensity: float = 1.0
    interval: IntervalShift | None = None
    exposures: tuple[Exposure, ...] = ()
    assigned: str = ""
    failed: str = ""
    teams: tuple[Team, ...] = ()
    drafted: list[int] = []
    reviews_today: int | None = None

    @property
    def capacity_used_up(self) -> bool:
        """Whether a review would have been the decision, and the day had no room for one."""
        return self.reviews_today is not None and self.decision != "review"


def prediction_of_response(
    request: Request,
    response: Response,
    *,
    version: str,
    arm: str,
    propensity: float,
    level: str,
    offsets: Offsets,
    catalog: Offsets = (),
    fallback: Offsets = (),
    arrangement: int = 0,
    stale_us: int = 0,
    exposures: tuple[Exposure, ...] = (),
    assigned: str = "",
    failed: str = "",
    teams: tuple[Team, ...] = (),
    drafted: Sequence[int] = (),
) -> Prediction:
    """The record of `response`; `took_us` and `worker` are filled in later."""
    items, scores, sources, propensities, parts = (
        _columns_of(response.items) if response.items else ([], [], [], {}, [])
    )
    return Prediction(
        id=request.id,
        at_us=request.at_us,
        key=request.key,
        request_type=type(request.event).__name__.lower(),
        request=fields_of_event(request.event),
        items=items,
        scores=scores,
        sources=sources,
        propensities=propensities,
        parts=parts,
        values=list(response.values),
        decision=response.decision,
        version=version,
        arrangement=arrangement,
        arm=arm,
        propensity=propensity,
        level=level,
        offsets=offsets,
        catalog=catalog,
        fallback=fallback,
        stale_us=stale_us,
        reads=response.reads,
        decision_propensity=response.decision_propensity,
        interval=response.interval,
        reviews_today=response.reviews_today,
        exposures=exposures,
        assigned=assigned,
        failed=failed,
        teams=teams,
        drafted=list(drafted),
    )


def parts_of(prediction: Prediction) -> list[tuple[Prediction, list[int]]]:
    """The response split by version: (the part of one version, the positions of its items or values in the response).

    A drafted list has one part for each team, with the items that it placed and its own reads. Any other response has
    one part, the response itself.
    """
    if not prediction.teams:
        return [(prediction, list(range(len(prediction.items or prediction.values))))]
    parts, first = [], 0
    for index, team in enumerate(prediction.teams):
        own = [position for position, drafted in enumerate(prediction.drafted) if drafted == index]
        part = msgspec.structs.replace(
            prediction,
            version=team.version,
            arrangement=team.arrangement,
            items=[prediction.items[position] for position in own],
            scores=[prediction.scores[position] for position in own],
            sources=[prediction.sources[position] for position in own],
            parts=[prediction.parts[position] for position in own] if prediction.parts else [],
            propensities={
                rank: prediction.propensities[position]
                for rank, position in enumerate(own)
                if position in prediction.propensities
            },
            offsets=team.offsets,
            reads=prediction.reads[first : first + team.reads],
            teams=(),
            drafted=[],
        )
        first += team.reads
        parts.append((part, own))
    return parts


def _columns_of(
    items: Sequence[RankedItem],
) -> tuple[list[str], list[float], list[str], dict[int, float], list[tuple[float, ...]]]:
    """(items, scores, sources, propensities, parts) of a list, as in a record."""
    return (
        [item.item for item in items],
        [item.score for item in items],
        [item.source for item in items],
        {index: item.propensity for index, item in enumerate(items) if item.propensity != 1.0},
        [item.parts for item in items] if items[0].parts else [],
    )


def request_of_prediction(prediction: Prediction, request_type: type[Event]) -> Request:
    """The request as received; raises `Refused` if the application now declares another request type."""
    if prediction.request_type != request_type.__name__.lower():
        raise Refused(
            f"request of {prediction.id} must be a {request_type.__name__}, as the application declares now, got a "
            f"{prediction.request_type}: declare that type again to replay it"
        )
    try:
        return request_of(request_type, prediction.id, prediction.at_us, prediction.request)
    except BadInput as error:
        raise Refused(f"request of {prediction.id} must fit {request_type.__name__} as declared now: {error}") from None


def response_of(prediction: Prediction) -> Response:
    """The response as it was sent."""
    count = len(prediction.items)
    propensities = [prediction.propensities.get(position, 1.0) for position in range(count)]
    columns = (prediction.items, prediction.scores, prediction.sources, propensities, prediction.parts or [()] * count)
    items = tuple(RankedItem(*row) for row in zip(*columns, strict=True))
    return Response(
        items,
        tuple(prediction.values),
        prediction.decision,
        prediction.reads,
        prediction.decision_propensity,
        prediction.interval,
        prediction.reviews_today,
    )


FORMAT = 3
"""The format of the stored body. Format 1 had no number and the fields of recommendations only; format 2 lacked
`exposures`, `assigned` and `failed`."""
_READ = (2, 3)

_STORED = tuple(field for field in msgspec.structs.fields(Prediction) if field.name not in ("at_us", "key"))
_NAMES = tuple(field.name for field in _STORED)
"""The fields of the body of a record, in order. Add new fields at the end, with a default."""
_OF_DRAFTS = 3
"""The last fields, which are left out if no list was drafted and no review counted."""
_TOOK_US, _WORKER = _NAMES.index("took_us"), _NAMES.index("worker")

_field: Any = msgspec.field
_Body: Any = msgspec.defstruct(
    "_Body",
    [
        ("format", int),
        *(
            (field.name, field.type, _field(default=field.default, default_factory=field.default_factory))
            for field in _STORED
        ),
    ],
    array_like=True,
    frozen=True,
)
_values_of = attrgetter(*_NAMES)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Body).decode


def id_bytes(prediction_id: str) -> bytes:
    """The 16 bytes of a 26-letter id; raises `BadInput`."""
    return number_of_id(prediction_id).to_bytes(16, "big")


def id_text(raw: bytes) -> str:
    """The 26 letters of an id of 16 bytes."""
    return b32encode(raw.rjust(20, b"\0"))[6:].translate(_LETTERS).decode()


def prediction_record(prediction: Prediction, took_us: int | None = None, worker: str | None = None) -> Record:
    """The record to append to the stream `predictions`. `took_us`, `worker`: instead of those of `prediction`."""
    at, values = prediction.at_us, list(_values_of(prediction))
    if took_us is not None:
        values[_TOOK_US] = took_us
    if worker is not None:
        values[_WORKER] = worker
    has_last = bool(prediction.teams) or prediction.reviews_today is not None
    body = _encode((FORMAT, *(values if has_last else values[:-_OF_DRAFTS])))
    return Record(TYPE, prediction.key, at, at, id_bytes(prediction.id), body)


def prediction_of(record: Record) -> Prediction:
    """The prediction that `prediction_record` wrote.

    Raises `BadInput` for a record of another type or format, or with a damaged body.
    """
    if record.type != TYPE:
        raise BadInput("record type", TYPE, record.type)
    try:
        body = _decode(record.body)
    except msgspec.MsgspecError as error:
        raise BadInput("prediction record", f"a prediction of format {FORMAT} ({error})", record.id.hex()) from None
    if body.format not in _READ:
        must = f"one of {', '.join(map(str, _READ))}: another release of Flyball wrote it"
        raise BadInput("format of a prediction record", must, body.format)
    return Prediction(at_us=record.at, key=record.key, **dict(zip(_NAMES, _values_of(body), strict=True)))


_ASK = "a reply names its own in the header X-Flyball-Prediction; flyball settings shows which home is read"


def find_prediction(log: EventLog, prediction_id: str) -> Prediction:
    """The prediction with this id, found by the time that the id contains. Raises `NotFound`, or `BadInput` for a text
    that is not an id."""
    record_id, at_us = id_bytes(prediction_id), timestamp_of_id(prediction_id)
    for record in records_between(log, at_us, at_us + 1_000):  # the time in an id is in whole milliseconds
        if record.id == record_id:
            return prediction_of(record)
    raise NotFound("prediction", prediction_id, next_step=_ASK)


def records_between(log: EventLog, from_us: int, until_us: int = LAST_US, after: Offsets = ()) -> Iterator[Record]:
    """The records of responses in `[from_us, until_us)`, partition by partition, in order of the stream.

    `after`: only the records at or behind these offsets.

    The stream need not be in order of time, so records written after a clock was set back are found too. A
    `SearchableLog` is searched without reading all of it.
    """
    ends = log.ends()
    starts = after or (0,) * len(ends)
    for partition, (start, end) in enumerate(zip(starts, ends, strict=True)):
        for piece in read_where(log, partition, start, end, at_us=(from_us, until_us)):
            for record in piece.part(start, end).records:
                if record.type == TYPE and from_us <= record.at < until_us:
                    yield record
