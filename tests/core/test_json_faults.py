"""What is wrong with a text that is no JSON."""

import json
from typing import Annotated, Any

import msgspec
import pytest

from flyball.core import json_fault, requirement

ADVICE = "JSON has no NaN or Infinity, send null or leave the field out"


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_what_python_writes_of_no_number_is_named_with_what_to_send_instead(number: str) -> None:
    text = json.dumps({"kitchen": "a", "km": float(number)}).encode()
    with pytest.raises(msgspec.DecodeError) as raised:
        msgspec.json.decode(text)
    assert json_fault(text, raised.value) == f"{raised.value}: {ADVICE}"


@pytest.mark.parametrize("text", [b"{", b'{"km": 1,}', b'{"name": "NaN", "km": }', b'{"Infinity": }', b"[1 2]"])
def test_other_faults_stay_as_the_decoder_says_them(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as raised:
        msgspec.json.decode(text)
    assert json_fault(text, raised.value) == str(raised.value)


class _Row(msgspec.Struct):
    ok: bool = True
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    share: float | None = None
    name: Annotated[str, msgspec.Meta(pattern="^[a-z]+$", max_length=5)] = "a"
    tags: list[str] = []
    sizes: dict[str, int] = {}


@pytest.mark.parametrize(
    ("fields", "must"),
    [
        ({"ok": "maybe"}, "true or false"),
        ({"count": "x"}, "an integer"),
        ({"count": 0}, "an integer >= 1"),
        ({"share": "x"}, "a number or null"),
        ({"name": 7}, "text"),
        ({"name": "abcdef"}, "text of length <= 5"),
        ({"name": "A"}, "text that matches '^[a-z]+$'"),
        ({"tags": "a"}, "a list"),
        ({"tags": [1]}, "text"),
        ({"sizes": 3}, "an object"),
        ({"sizes": {"a": "b"}}, "an integer"),
    ],
)
def test_what_a_value_must_be_is_plain(fields: dict[str, Any], must: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(fields, _Row)
    assert requirement(str(error.value)) == must
