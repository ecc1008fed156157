"""What is wrong with a text that is no JSON, in words that say what to do."""

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
