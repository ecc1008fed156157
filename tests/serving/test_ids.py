"""What counts as a well-formed id."""

from typing import Annotated, Any

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


EVENTS = {"bounded": Bounded, "free": Free, "named": Named, "shaped": Shaped}


def rule(entity: str) -> IdRule:
    return id_rules(EVENTS[entity])[0]["who"]


def test_rules_are_those_of_the_fields_that_hold_ids() -> None:
    single, several = id_rules(Several)
    assert {field: one.entity for field, one in single.items()} == {"who": "free"}
    assert {field: one.entity for field, one in several.items()} == {"others": "named"}


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
