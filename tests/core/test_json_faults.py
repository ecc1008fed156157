"""What is wrong with a text that is no JSON."""

import json

import msgspec
import pytest

from flyball.core import json_fault

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
