"""Declarations are read, events checked with a stable reason, identities and decoding hold."""

import enum
import math
from collections.abc import Callable
from itertools import permutations
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import BadDeclaration, NotFound, StoreCorrupt
from flyball.events import Event, Profile, Record, Ref, Rejected, Schema, Upgrades, integer, real, text
from flyball.testing.movie_events import FilmCard, User, Viewer, Watch, movie_schema

DAY_US = 86_400_000_000
NOW_US = 19_000 * DAY_US


class Color(enum.Enum):
    red = "red"
    blue = "blue"


class Sale(Event):
    """Every kind of field, and a rule between two."""

    natural_key: ClassVar[tuple[str, ...]] = ("order",)
    shop: Annotated[str, Ref("shop")]
    order: int
    price: Annotated[float, real(0, 1_000)]
    weight: float | None = None
    device: Literal["tv", "phone"] = "tv"
    color: Color | None = None
    tags: list[str] = []
    buyer: Annotated[int, Ref("user")] | None = None

    def check(self) -> str | None:
        return "weight must be given from 100 up" if self.price >= 100 and self.weight is None else None


def reason_of(schema: Schema, name: str, fields: dict[str, Any], at: Any = NOW_US, **options: Any) -> str:
    try:
        schema.check(name, fields, at, NOW_US, **options)
    except Rejected as error:
        return error.reason if error.detail else "no detail"
    return ""


GOOD: dict[str, Any] = {"user": 7, "film": "up+2009", "minute": 3}
SALE: dict[str, Any] = {"shop": "s1", "order": 1, "price": 5.0}


def test_what_a_declaration_says() -> None:
    types = movie_schema().types
    assert set(types) == {"watch", "rate", "joined", "asked", "viewer", "filmcard"}
    watch = types["watch"]
    assert (watch.name, watch.cls, watch.fields) == ("watch", Watch, ("user", "film", "minute"))
    assert watch.refs == (("user", "user"), ("film", "film"))
    assert (watch.key_field, watch.is_profile, types["viewer"].is_profile) == ("user", False, True)
    assert watch.natural_key == ("user", "film", "minute", "at")


class NoRef(Event):
    user: int


class UnknownKey(Event):
    natural_key: ClassVar[tuple[str, ...]] = ("usr",)
    user: User


class KeyIsText(Event):
    natural_key: ClassVar[Any] = "user"
    user: User


class Unsupported(Event):
    user: User
    when: dict[str, int]


class BadUnion(Event):
    user: User
    value: int | str


class FloatRef(Event):
    user: Annotated[float, Ref("user")]


class OptionalKey(Event):
    user: User | None = None


class LimitOnOptional(Event):
    user: User
    age: Annotated[int | None, integer(0, 5)]


class LateRef(Profile):
    age: int
    user: User


@pytest.mark.parametrize(
    ("cls", "says"),
    [
        (NoRef, "NoRef must be keyed"),
        (UnknownKey, r"UnknownKey\.natural_key must be made of user, at, got 'usr'"),
        (KeyIsText, r"KeyIsText\.natural_key must be a tuple"),
        (Unsupported, r"Unsupported\.when must be int, float"),
        (BadUnion, r"BadUnion\.value must be int, float"),
        (FloatRef, r"FloatRef\.user must be int or str"),
        (OptionalKey, r"OptionalKey\.user must be required"),
        (LimitOnOptional, "LimitOnOptional must be made of types that msgspec can check"),
        (LateRef, "first field of profile LateRef"),
        (Event, "an event type must be a subclass"),
        (int, "an event type must be a subclass"),
    ],
)
def test_mistakes_in_a_declaration_are_reported_with_their_place(cls: Any, says: str) -> None:
    with pytest.raises(BadDeclaration, match=says):
        Schema([cls])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: integer("a"), r"low of integer\(...\) must be a number, got 'a'"),  # type: ignore[arg-type]
        (lambda: real(0, 1, scale=0), r"scale of real\(...\) must be above 0, got 0"),
        (lambda: text(max_length="long"), r"max_length of text\(...\) must be a whole number, got 'long'"),  # type: ignore[arg-type]
        (lambda: text(max_length=3, min_length=4), r"0 <= min_length <= max_length, got \(3, 4\)"),
        (lambda: text(pattern="("), r"pattern of text\(...\) must be a regular expression"),
    ],
)
def test_mistakes_in_a_limit_are_reported_where_it_is_written(make: Callable[[], object], says: str) -> None:
    with pytest.raises(BadDeclaration, match=says):
        make()


def test_two_types_of_one_name_are_refused() -> None:
    with pytest.raises(BadDeclaration, match="'watch' twice"):
        Schema([Watch, type("WATCH", (Event,), {"__annotations__": {"user": User}})])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"minute": 2_001}, "out_of_range"),
        ({"minute": -1}, "out_of_range"),
        ({"minute": "3"}, "wrong_type"),
        ({"minute": True}, "wrong_type"),
        ({"minute": 3.5}, "wrong_type"),
        ({"minute": None}, "wrong_type"),
        ({"user": 0}, "out_of_range"),
        ({"user": 2**63}, "out_of_range"),
        ({"film": "a b"}, "bad_text"),
        ({"film": "up\n"}, "bad_text"),
        ({"film": ""}, "bad_text"),
        ({"film": "x" * 121}, "bad_text"),
        ({"film": 5.0}, "wrong_type"),
    ],
)
def test_a_bad_field_has_a_reason(change: dict[str, Any], reason: str) -> None:
    assert reason_of(movie_schema(), "watch", GOOD | change) == reason


def test_edges_are_inside() -> None:
    for change in ({"minute": 0}, {"minute": 2_000}, {"film": "x" * 120}, {"user": 1}, {"user": 2**63 - 1}):
        assert reason_of(movie_schema(), "watch", GOOD | change) == ""


def test_other_faults_have_reasons_too() -> None:
    schema = Schema([Sale])
    assert reason_of(schema, "sold", SALE) == "unknown_type"
    assert reason_of(schema, "sale", {"shop": "s1", "order": 1}) == "missing_field"
    assert reason_of(schema, "sale", SALE | {"price": math.nan}) == "out_of_range"
    assert reason_of(schema, "sale", SALE | {"weight": math.inf}) == "out_of_range"
    assert reason_of(schema, "sale", SALE | {"device": "fridge"}) == "bad_choice"
    assert reason_of(schema, "sale", SALE | {"color": "green"}) == "bad_choice"
    assert reason_of(schema, "sale", SALE | {"tags": ["a", 1]}) == "wrong_type"
    assert reason_of(schema, "sale", SALE | {"price": 100.0}) == "inconsistent"
    assert reason_of(schema, "sale", SALE | {"shop": ""}) == "bad_text"
    assert reason_of(schema, "sale", SALE | {"shop": "é" * 201}) == "bad_text"
    assert reason_of(schema, "sale", SALE | {"shop": "\ud800"}) == "bad_text"
    assert reason_of(schema, "sale", SALE | {"shop": "é" * 200}) == ""


@pytest.mark.parametrize("at", [None, "now", 1.5, True, -1, 4_102_444_800_000_000])
def test_a_time_must_be_plausible(at: Any) -> None:
    assert reason_of(movie_schema(), "watch", GOOD, at) == "bad_time"


def test_live_events_are_neither_from_the_future_nor_too_old() -> None:
    schema = Schema([Watch], future_us=1_000, oldest_us=5_000)
    for at, reason in [(1_000, ""), (1_001, "future"), (-5_000, ""), (-5_001, "too_old")]:
        assert reason_of(schema, "watch", GOOD, NOW_US + at, live=True) == reason
        assert reason_of(schema, "watch", GOOD, NOW_US + at) == ""


def test_a_number_is_read_from_text_only_when_lax() -> None:
    schema = movie_schema()
    given = {"user": "7", "film": "up+2009", "minute": "3"}
    assert reason_of(schema, "watch", given) == "wrong_type"
    assert schema.check("watch", given, 5, 5, lax=True) == schema.check("watch", GOOD, 5, 5)
    for odd in ("１２", "1_000", " 7", "0x7", "7 "):
        assert reason_of(schema, "watch", given | {"user": odd}, lax=True) == "wrong_type"
    assert reason_of(schema, "watch", given | {"user": ""}, lax=True) == "missing_field"


def test_a_whole_number_names_an_entity_whose_key_is_text() -> None:
    record = Schema([Sale]).check("sale", SALE | {"shop": 12}, 5, 5)
    assert record.key == "12"


def test_a_record_holds_the_event() -> None:
    schema = movie_schema()
    record = schema.check("watch", GOOD, NOW_US, NOW_US + 5, flags=4)
    assert (record.type, record.key, record.at, record.known_at, record.flags) == ("watch", "7", NOW_US, NOW_US + 5, 4)
    assert len(record.id) == 16
    assert schema.decode(record) == Watch(user=7, film="up+2009", minute=3, at=NOW_US)


def test_decoding_needs_the_type_and_an_intact_body() -> None:
    schema, good = movie_schema(), movie_schema().check("watch", GOOD, 5, 5)
    with pytest.raises(NotFound):
        schema.decode(Record("gone", "1", 0, 0, b"", good.body))
    with pytest.raises(NotFound):
        schema.decode_many([good, Record("gone", "1", 0, 0, b"", good.body)])
    with pytest.raises(StoreCorrupt):
        schema.decode(Record("watch", "1", 0, 0, b"", b"\xc1"))


def test_what_was_written_with_another_declaration_is_not_decoded_by_this_one() -> None:
    record = movie_schema().check("rate", {"user": 1, "film": "up", "stars": 5}, 5, 5)
    with pytest.raises(StoreCorrupt, match="rate record at 5 us must be read as it is declared now"):
        movie_schema(stars=3).decode(record)


def test_a_field_added_later_changes_no_identity_and_old_bodies_decode() -> None:
    before = movie_schema()
    old = before.check("watch", GOOD, 5, 5)
    wider = type("Watch", (Event,), {"__annotations__": Watch.__annotations__ | {"device": str}, "device": "tv"})
    schema = Schema([wider])
    assert schema.check("watch", GOOD, 5, 5).id == old.id
    assert schema.check("watch", GOOD | {"device": "phone"}, 5, 5).id != old.id
    after = schema.after([before.types["watch"].written])
    assert after.check("watch", GOOD, 5, 5).id == old.id
    assert after.decode(Upgrades(after.lineages.values()).record(old)).device == "tv"  # type: ignore[attr-defined]


def test_the_natural_key_decides_what_is_the_same() -> None:
    schema = Schema([Sale, Watch, Viewer, FilmCard])

    def sale(at: int = 5, **change: Any) -> bytes:
        return schema.check("sale", SALE | change, at, 5).id

    assert sale() == sale(at=9, price=7.0), "only the order number counts"
    assert sale() != sale(order=2)

    def watch(at: int = 5, **change: Any) -> bytes:
        return schema.check("watch", GOOD | change, at, 5).id

    assert len({watch(), watch(6), watch(user=8), watch(minute=4), watch(film="up")}) == 5
    assert watch() == watch()
    assert schema.check("viewer", {"user": 7}, 5, 5).id != schema.check("filmcard", {"film": "7"}, 5, 5).id


class Basket(Event):
    user: User
    counts: dict[str, str | int | float] = {}
    labels: dict[str, list[str]] = {}


class Parcel(Event):
    natural_key = ("user", "counts")
    user: User
    counts: dict[str, str | int | float]
    note: str = ""


@pytest.mark.parametrize("type_", [Basket, Parcel])
def test_a_map_is_the_same_in_any_order_of_its_keys(type_: type[Event]) -> None:
    name, schema = type_.__name__.lower(), Schema([type_])
    pairs: list[tuple[str, str | int | float]] = [("pear", 2), ("fig", 1.5), ("apple", "few")]
    sent = [schema.check(name, {"user": 7, "counts": dict(order)}, 5, 5) for order in permutations(pairs)]
    assert len({(record.id, record.body) for record in sent}) == 1
    assert schema.decode(sent[0]).counts == dict(pairs)  # type: ignore[attr-defined]
    other = schema.check(name, {"user": 7, "counts": dict(pairs[:2])}, 5, 5)
    assert other.id != sent[0].id


def test_the_elements_of_a_list_keep_their_order() -> None:
    schema = Schema([Basket])
    ids = [
        schema.check("basket", {"user": 7, "labels": {"a": ["x"], "b": labels}}, 5, 5).id
        for labels in (["y", "z"], ["z", "y"])
    ]
    assert ids[0] != ids[1]


def test_ids_of_one_time_lie_together() -> None:
    schema = movie_schema()
    early, late = (
        [schema.check("watch", GOOD | {"minute": minute}, at, 0).id for minute in range(50)]
        for at in (NOW_US, NOW_US + 10**6)
    )
    assert max(early) < min(late)


def test_flags_tell_unknown_references() -> None:
    schema = movie_schema()
    for known, flags in [
        ({}, 0),
        ({"film": {"up+2009"}}, 0),
        ({"film": set()}, 2),
        ({"user": set(), "film": set()}, 3),
        ({"user": {"8"}}, 1),
        ({"user": {"7"}}, 0),
    ]:
        assert schema.check("watch", GOOD, 5, 5, known=known).flags == flags
    optional = Schema([Sale])
    assert optional.check("sale", SALE, 5, 5, known={"user": set()}).flags == 0
    assert optional.check("sale", SALE | {"buyer": 3}, 5, 5, known={"user": set()}).flags == 2


# Values that are right, nearly right and quite wrong, for each field of a watch
_USERS = st.one_of(
    st.integers(0, 5), st.sampled_from([2**63, 2**63 - 1, 2**64, -3, "7", "07", "x", "１", True, None, 2.0])
)
_FILMS = st.one_of(
    st.text(alphabet="ab+ \n.é", max_size=4), st.sampled_from(["x" * 120, "x" * 121, 7, None, "\ud800", ["a"]])
)
_MINUTES = st.one_of(st.integers(-1, 2_001), st.sampled_from(["3", "-1", "2001", "3.0", False, None, 3.0]))
_ATS = st.one_of(st.integers(NOW_US - 3, NOW_US + 3), st.sampled_from([0, -1, 2**62, None, "5", True]))


def checked(schema: Schema, *given: Any, **options: Any) -> Record | tuple[str, str]:
    """The record of one event, or the reason and detail."""
    try:
        return schema.check(*given, NOW_US, **options)
    except Rejected as error:
        return error.reason, error.detail


def test_a_time_that_is_no_integer_is_found_among_many() -> None:
    ats = [0, *[NOW_US] * 100, True, NOW_US]
    columns: list[list[Any]] = [[1] * len(ats), ["up"] * len(ats), [1] * len(ats)]
    records, rejected = Schema([Watch]).check_many(
        "watch", ("user", "film", "minute"), columns, ats, [NOW_US] * len(ats)
    )
    assert [(row, rejection.reason) for row, rejection in rejected] == [(101, "bad_time")]
    assert [record is None for record in records].index(True) == 101


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(_USERS, _FILMS, _MINUTES, _ATS), max_size=12),
    plain=st.integers(0, 200),
    lax=st.booleans(),
    live=st.booleans(),
)
def test_many_are_checked_like_a_single_one(rows: list[Any], plain: int, lax: bool, live: bool) -> None:
    """`plain` good rows around the odd ones take the whole-column path."""
    schema = Schema([Watch], future_us=1, oldest_us=1)
    rows = [(number + 1, "up", number % 2_000, NOW_US) for number in range(plain)] + rows
    known = {"film": {"up", "a"}}
    columns = list(zip(*(row[:3] for row in rows), strict=True)) or [[], [], []]
    ats, known_ats = [row[3] for row in rows], [NOW_US] * len(rows)
    names = ("user", "film", "minute")
    records, rejected = schema.check_many("watch", names, columns, ats, known_ats, live=live, lax=lax, known=known)
    reasons = dict(rejected)
    assert len(records) == len(rows)
    for index, (row, record) in enumerate(zip(rows, records, strict=True)):
        fields = dict(zip(names, row[:3], strict=True))
        outcome = checked(schema, "watch", fields, row[3], live=live, lax=lax, known=known)
        assert (record or (reasons[index].reason, reasons[index].detail)) == outcome


class Reading(Event):
    """Floats and booleans that are always there."""

    meter: Annotated[int, Ref("meter")]
    heat: Annotated[float, real(-50, 1e300)]
    drift: float
    open: bool


_NUMBERS = (
    st.floats() | st.integers(-(10**400), 10**400) | st.sampled_from(["1.5", "nan", "x", None, True, -0.0, 1e308])
)


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(), _NUMBERS, _NUMBERS, st.sampled_from([True, False, 1, "true", None]))),
    plain=st.integers(0, 100),
    lax=st.booleans(),
)
def test_many_floats_and_booleans_are_checked_like_single_ones(rows: list[Any], plain: int, lax: bool) -> None:
    schema = Schema([Reading])
    rows = [(number, number / 7, 10**number, number % 2 == 0) for number in range(plain)] + rows
    columns, times = list(zip(*rows, strict=True)) or [[], [], [], []], [NOW_US] * len(rows)
    names = ("meter", "heat", "drift", "open")
    records, rejected = schema.check_many("reading", names, columns, times, times, lax=lax)
    reasons = dict(rejected)
    for index, (row, record) in enumerate(zip(rows, records, strict=True)):
        outcome = checked(schema, "reading", dict(zip(names, row, strict=True)), NOW_US, lax=lax)
        assert (record or (reasons[index].reason, reasons[index].detail)) == outcome


@settings(max_examples=60, deadline=None)
@given(
    price=st.floats(0, 99),
    weight=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    device=st.sampled_from(["tv", "phone"]),
    color=st.sampled_from([None, "red", "blue"]),
    tags=st.lists(st.text(max_size=3).filter(str.isprintable), max_size=3),
    order=st.integers(-(2**63), 2**63 - 1),
)
def test_what_is_decoded_is_what_was_checked(**fields: Any) -> None:
    schema = Schema([Sale])
    event = schema.decode(schema.check("sale", fields | {"shop": "é"}, 5, 5))
    assert isinstance(event, Sale)
    color = None if fields["color"] is None else Color(fields["color"])
    assert event == Sale(shop="é", at=5, **(fields | {"color": color}))


def test_other_columns_and_orders_are_checked_alike() -> None:
    schema = movie_schema()
    columns = [["up", "up"], [3, -3], ["x", "y"], [7, 8]]
    records, rejected = schema.check_many("watch", ("film", "minute", "extra", "user"), columns, [5, 5], [6, 6])
    assert records[0] == schema.check("watch", {"user": 7, "film": "up", "minute": 3}, 5, 6)
    assert [(index, error.reason) for index, error in rejected] == [(1, "out_of_range")]
    _, unknown = schema.check_many("nothing", (), [], [5, 6], [5, 6])
    assert [error.reason for _, error in unknown] == ["unknown_type"] * 2


def test_text_limits_are_reported_before_a_long_text_is_stored() -> None:
    class Note(Event):
        user: User
        body: Annotated[str, text(max_length=5)]

    assert reason_of(Schema([Note]), "note", {"user": 1, "body": "x" * 6}) == "bad_text"
