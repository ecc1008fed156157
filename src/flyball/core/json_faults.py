"""What is wrong with a text that is no JSON, or with a value of another type, in words that say what to do."""

import re

_NO_NUMBER = re.compile(rb"[\[:,\s]-?(?:NaN|Infinity|nan|inf)\b")


def json_fault(text: bytes, error: Exception) -> str:
    """The decoder's message; of NaN and Infinity, which some languages write and JSON lacks, with what to send instead.

    >>> json_fault(b'{"km": NaN}', ValueError("invalid character (byte 7)"))
    'invalid character (byte 7): JSON has no NaN or Infinity, send null or leave the field out'
    """
    if _NO_NUMBER.search(text):
        return f"{error}: JSON has no NaN or Infinity, send null or leave the field out"
    return str(error)


_EXPECTED = re.compile(r"Expected (?P<must>.*?)(?:, got `[\w.]+`)?(?: - at .*)?\Z", re.S)
_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def requirement(message: str) -> str:
    """What a value must be, in plain words, of what msgspec says about it.

    >>> requirement("Expected `bool`, got `str`")
    'true or false'
    >>> requirement("Expected `int | null` - at `$.age`"), requirement("Expected `int` >= 1")
    ('an integer or null', 'an integer >= 1')
    """
    expected = _EXPECTED.match(message)
    if expected is None:
        if message.startswith("Number out of range"):
            return "a number within range"
        return f"valid ({message.partition(' - at ')[0]})"
    must = re.sub(r"`([\w. |]+)`", lambda kinds: _kinds(kinds[1]), expected["must"])
    return must.replace("text matching regex", "text that matches")


def _kinds(kinds: str) -> str:
    return " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | "))
