"""Lists of references, bytes, maps, and events that name no entity."""

import enum
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_origin

import pytest

from flyball.core import BadDeclaration, ManualClock
from flyball.events import (
    DeclaredLog,
    EntityCatalog,
    Event,
    Inlet,
    LineSource,
    Profile,
    Ref,
    Rejected,
    Schema,
    find_format,
    ingest_lines,
    integer,
    open_log,
    open_quarantine,
    read_type,
)
from flyball.history import History, HistoryConsumer
from flyball.testing.log_contract import PlainLog

AT = 1_700_000_000_000_000
Ad = Annotated[str, Ref("ad")]


class Auction(Event):
    user: Annotated[int, Ref("user"), integer(1)]
    eligible: list[Ad]
    signal: bytes = b""
    filters: dict[str, list[str]] = {}
    context: dict[str, str | int | float] = {}


class AdCard(Profile):
    ad: Ad


class Document(Event):
    keyed = False
    text: str


SCHEMA = Schema([Auction, AdCard, Document])
AUCTION = {
    "user": 7,
    "eligible": ["a", "b"],
    "signal": "aGk=",
    "filters": {"brand": ["x"]},
    "context": {"page": "home", "slot": 2, "bid": 0.5},
}


def test_they_are_checked_and_come_back_whole() -> None:
    record = SCHEMA.check("auction", AUCTION, AT, AT)
    assert SCHEMA.decode(record) == Auction(
        user=7,
        eligible=["a", "b"],
        signal=b"hi",
        filters={"brand": ["x"]},
        context={"page": "home", "slot": 2, "bid": 0.5},
        at=AT,
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"eligible": ["a", 7]}, "wrong_type"),
        ({"eligible": ["a", ""]}, "bad_text"),
        ({"eligible": ["a", "x" * 401]}, "bad_text"),
        ({"signal": "not base64"}, "wrong_type"),
        ({"filters": {"brand": "x"}}, "wrong_type"),
        ({"context": {"page": ["home"]}}, "wrong_type"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        SCHEMA.check("auction", AUCTION | changed, AT, AT)
    assert caught.value.reason == reason


def test_unknown_keys_in_a_list_are_flagged() -> None:
    declared = SCHEMA.types["auction"]
    assert declared.flagged == (("user", "user"), ("eligible", "ad"))
    for known, flags in [({"ad": {"a", "b"}}, 0), ({"ad": {"a"}}, 0b10), ({"ad": set(), "user": set()}, 0b11)]:
        assert SCHEMA.check("auction", AUCTION, AT, AT, known=known).flags == flags
    assert SCHEMA.check("auction", AUCTION | {"eligible": []}, AT, AT, known={"ad": set()}).flags == 0


def test_lines_name_the_list_with_the_unknown_key(tmp_path: Path) -> None:
    log = DeclaredLog(open_log(f"sqlite://{tmp_path}/events.db"), SCHEMA)
    catalog = EntityCatalog(f"sqlite://{tmp_path}/catalog.db", SCHEMA)
    lines = [{"type": "adcard", "ad": "a", "at": AT}, {"type": "auction", "at": AT} | AUCTION]
    inlet = Inlet(log.schema, log, open_quarantine(f"sqlite://{tmp_path}/quarantine.db"), catalog, ManualClock(AT))
    source = LineSource("http", find_format("jsonl"), "jsonl", "live")
    verdicts = ingest_lines([json.dumps(line).encode() for line in lines], source, inlet).verdicts
    assert [(one.verdict, one.unknown) for one in verdicts] == [("accepted", ()), ("accepted", ("eligible",))]


def test_an_event_that_names_no_entity_is_spread_by_its_identity() -> None:
    records = [SCHEMA.check("document", {"text": text}, AT, AT) for text in ("a", "b", "a")]
    assert [record.key == record.id.hex() for record in records] == [True] * 3
    assert records[0].id == records[2].id != records[1].id
    log = DeclaredLog(PlainLog(2), SCHEMA)
    assert log.append(records).duplicates == [2]
    many, rejected = SCHEMA.check_many("document", ("text",), [["a"] * 200], [AT] * 200, [AT] * 200)
    assert (set(many), rejected) == ({records[0]}, [])


def test_what_names_no_entity_says_so() -> None:
    class Nameless(Event):
        text: str

    class Named(Event):
        keyed = False
        user: Annotated[int, Ref("user")]

    class Card(Profile):
        keyed = False
        text: str

    with pytest.raises(BadDeclaration, match="event type Nameless must be keyed"):
        Schema([Nameless])
    with pytest.raises(BadDeclaration, match=r"Named.keyed must be True, since a field is a Ref"):
        Schema([Named])
    with pytest.raises(BadDeclaration, match="event type Card must be keyed"):
        Schema([Card])


@pytest.mark.parametrize("annotation", [dict[int, str], dict[str, list[int]], dict[str, bytes], list[dict[str, int]]])
def test_other_maps_are_refused(annotation: Any) -> None:
    made = type(Event)("Odd", (Event,), {"__annotations__": {"user": Annotated[int, Ref("user")], "odd": annotation}})
    with pytest.raises(BadDeclaration, match=r"Odd.odd must be int, float, str, bool, bytes"):
        Schema([made])


class Mixed(enum.Enum):
    ONE = 1
    AUTO = "auto"


class Whole(enum.Enum):
    ONE = 1
    TWO = 2


@pytest.mark.parametrize("wrap", [lambda kind: kind, lambda kind: kind | None, lambda kind: list[kind]])
@pytest.mark.parametrize(
    ("choice", "value"),
    [
        (Literal[1, "auto"], None),
        (Literal["auto", 1], None),
        (Mixed, None),
        (Literal["a", "b"], "a"),
        (Literal[1, 2], 1),
        (Whole, 1),
        (float, 0.5),
        (bool, True),
    ],
    ids=str,
)
def test_what_is_accepted_can_be_written_to_the_history(choice: Any, value: Any, wrap: Any, tmp_path: Path) -> None:
    """A field is refused when it is declared, or its events reach the history: nothing is ingested and then stuck."""
    annotation = wrap(choice)
    made = type(Event)("Odd", (Event,), {"__annotations__": {"user": Annotated[int, Ref("user")], "odd": annotation}})
    if value is None:
        with pytest.raises(
            BadDeclaration, match=r"choices of Odd.odd must be one or more values|either all str or all int"
        ):
            Schema([made])
        return
    log = DeclaredLog(PlainLog(1), Schema([made]))
    stored = [value] if get_origin(annotation) is list else value
    log.append([log.schema.check("odd", {"user": 1, "odd": stored}, AT, AT)])
    consumer = HistoryConsumer(log.schema, tmp_path, partitions=1, schemas=log.schemas)
    consumer.apply(log.read((0,), 10))
    consumer.flush()
    assert History(tmp_path, log.schema).events("odd")["odd"].to_list() == [stored]


def test_the_history_holds_maps_as_json(tmp_path: Path) -> None:
    log = DeclaredLog(PlainLog(1), SCHEMA)
    log.append(
        [log.schema.check("auction", AUCTION, AT, AT), log.schema.check("auction", {"user": 1, "eligible": []}, AT, AT)]
    )
    consumer = HistoryConsumer(log.schema, tmp_path, partitions=1, schemas=log.schemas)
    consumer.apply(log.read((0,), 10))
    consumer.flush()
    frame = History(tmp_path, SCHEMA).events("auction")
    assert frame.select("eligible", "signal", "filters", "context").rows() == [
        (["a", "b"], b"hi", '{"brand":["x"]}', '{"bid":0.5,"page":"home","slot":2}'),
        ([], b"", "{}", "{}"),
    ]


def test_the_detail_says_what_a_value_must_be_in_plain_words() -> None:
    class Seen(Event):
        ad: Ad
        ok: bool
        tags: list[str] = []

    schema = Schema([Seen])
    for fields, detail in (
        ({"ad": "a", "ok": "maybe"}, "ok must be true or false, got 'maybe'"),
        ({"ad": "a", "ok": True, "tags": ["a", 7]}, "tags[1] must be text, got 7"),
        ({"ad": "a", "ok": True, "tags": "a"}, "tags must be a list, got 'a'"),
    ):
        with pytest.raises(Rejected) as refused:
            schema.check("seen", fields, 1, 1)
        assert (refused.value.reason, refused.value.detail) == ("wrong_type", detail)


class Named(Event):
    """What is no field, and need not be one."""

    user: Annotated[int, Ref("user")]
    stars: int = 3
    natural_key = ("user",)
    former_names = ("Called",)
    limit: ClassVar = 5
    _seen = 0

    class Inside:
        pass

    @property
    def half(self) -> float:
        return self.stars / 2

    def check(self) -> str | None:
        return None


def test_members_constants_and_settings_of_a_class_are_no_fields() -> None:
    assert read_type(Named).fields == ("user", "stars")


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("price", 3, "price: int = 3"),
        ("price", None, "price: float | None = None"),
        ("price", [], "price: list = []"),
        ("price", int, "price: int"),
        ("price", Annotated[int, Ref("item")], "price: Annotated[int, "),
        ("stars", 4, "stars: int = 4"),
    ],
)
def test_a_name_without_a_type_is_refused_with_the_field_that_it_may_be(name: str, value: Any, field: str) -> None:
    wrong = type("Wrong", (Named,), {name: value, "__module__": __name__, "__qualname__": "Wrong"})
    with pytest.raises(BadDeclaration) as refused:
        read_type(wrong)
    message = str(refused.value)
    assert message.startswith(f"Wrong.{name} must be written with its type to be a field, such as {field}")
    assert f"({name}: ClassVar = ... is no field), got " in message
