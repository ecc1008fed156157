"""What counts as a well-formed id."""

from typing import Annotated, Any

import pytest

import flyball as fb
from flyball.core import BadInput
from flyball.events import Schema
from flyball.serving.answering.ids import KeyRule


class Bounded(fb.Event):
    who: Annotated[int, fb.Ref("bounded"), fb.integer(1, 999)]


class Free(fb.Event):
    who: Annotated[int, fb.Ref("free")]


class Named(fb.Event):
    who: Annotated[str, fb.Ref("named")]


class Shaped(fb.Event):
    who: Annotated[str, fb.Ref("shaped"), fb.text(pattern=r"\A[a-z]+\Z", max_length=3)]


SCHEMA = Schema([Bounded, Free, Named, Shaped])


@pytest.mark.parametrize(
    ("entity", "given", "key"),
    [("bounded", "1", "1"), ("bounded", 999, "999"), ("free", "0", "0"), ("named", "Zoë 7", "Zoë 7"),
     ("named", "a/b", "a/b"), ("shaped", "abc", "abc"), ("unheard", "x", "x")],
)  # fmt: skip
def test_well_formed(entity: str, given: object, key: str) -> None:
    assert KeyRule(SCHEMA, entity).key(given) == key


@pytest.mark.parametrize(
    ("entity", "given"),
    [("bounded", "0"), ("bounded", "1000"), ("bounded", 1000), ("bounded", True), ("bounded", 1.0), ("bounded", None),
     ("bounded", "01"), ("bounded", "1\n"), ("bounded", " 1"), ("bounded", "١"), ("free", "-1"), ("free", "9" * 20),
     ("named", ""), ("named", "a\n"), ("named", "\ufffd"), ("named", "\udc80x"), ("named", "é" * 201), ("named", 7),
     ("shaped", "ab1"), ("shaped", "abcd"), ("shaped", "abc\n")],
)  # fmt: skip
def test_malformed(entity: str, given: Any) -> None:
    with pytest.raises(BadInput, match=f"{entity} id must be"):
        KeyRule(SCHEMA, entity).key(given)


def test_the_message_says_what_an_id_must_be() -> None:
    with pytest.raises(BadInput, match="whole number in ASCII digits without leading zeros from 1 to 999, got 'x'"):
        KeyRule(SCHEMA, "bounded").key("x")
