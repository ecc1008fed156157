"""What counts as a well-formed id."""

from typing import Annotated, Any, get_type_hints

import msgspec
import pytest

import flyball as fb
from flyball.core import BadInput
from flyball.serving.answering.ids import IdRule, id_rules


class Bounded(fb.Event):
    who: Annotated[int, fb.Ref("bounded"), fb.integer(1, 999)]


class Free(fb.Event):
    who: Annotated[int, fb.Ref("free")]


class Named(fb.Event):
    who: Annotated[str, fb.Ref("named")]


class Shaped(fb.Event):
    who: Annotated[str, fb.Ref("shaped"), fb.text(pattern=r"\A[a-z]+\Z", max_length=3)]


class Several(fb.Event):
    who: Annotated[int, fb.Ref("free")]
    others: list[Annotated[str, fb.Ref("named")]] = []
    count: int = 0


class Stepped(fb.Event):
    who: Annotated[int, fb.Ref("stepped"), msgspec.Meta(gt=0, multiple_of=5)]


EVENTS = {"bounded": Bounded, "free": Free, "named": Named, "shaped": Shaped, "stepped": Stepped}


def rule(entity: str) -> IdRule:
    return id_rules(EVENTS[entity])[0]["who"]


def test_rules_are_those_of_the_fields_that_hold_ids() -> None:
    single, several = id_rules(Several)
    assert {field: one.entity for field, one in single.items()} == {"who": "free"}
    assert {field: one.entity for field, one in several.items()} == {"others": "named"}


@pytest.mark.parametrize("entity", ["bounded", "free", "stepped"])
def test_an_integer_is_an_id_where_its_declared_type_takes_it(entity: str) -> None:
    annotation = get_type_hints(EVENTS[entity], include_extras=True)["who"]
    for value in (-1, 0, 1, 5, 7, 10, 999, 1_000, True, 1.0, None):
        try:
            expected = msgspec.convert(value, annotation, strict=True)
        except msgspec.ValidationError:
            with pytest.raises(BadInput):
                rule(entity).value(value)
        else:
            assert rule(entity).value(value) == expected


@pytest.mark.parametrize(
    ("entity", "given", "key"),
    [
        ("bounded", "1", "1"),
        ("bounded", 999, "999"),
        ("free", "0", "0"),
        ("named", "Zoë 7", "Zoë 7"),
        ("named", "a/b", "a/b"),
        ("shaped", "abc", "abc"),
    ],
)
def test_well_formed(entity: str, given: object, key: str) -> None:
    assert str(rule(entity).value(given)) == key


@pytest.mark.parametrize(
    ("entity", "given"),
    [
        ("bounded", "0"),
        ("bounded", "1000"),
        ("bounded", 1000),
        ("bounded", True),
        ("bounded", 1.0),
        ("bounded", None),
        ("bounded", "01"),
        ("bounded", "1\n"),
        ("bounded", " 1"),
        ("bounded", "١"),
        ("free", "-1"),
        ("free", "9" * 20),
        ("named", ""),
        ("named", "a\n"),
        ("named", "\ufffd"),
        ("named", "\udc80x"),
        ("named", "é" * 201),
        ("named", 7),
        ("shaped", "ab1"),
        ("shaped", "abcd"),
        ("shaped", "abc\n"),
    ],
)
def test_malformed(entity: str, given: Any) -> None:
    with pytest.raises(BadInput, match=f"{entity} id must be"):
        rule(entity).value(given)


def test_the_message_says_what_an_id_must_be() -> None:
    with pytest.raises(BadInput, match="an integer in ASCII digits without leading zeros from 1 to 999, got 'x'"):
        rule("bounded").value("x")
