"""What a text reads without its escapes: those of JSON and Python, CSV, URLs and HTML, and where each letter stands."""

import html
import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_OF_STRINGS = re.compile(
    rf"{_PAIR}|\\u[0-9a-fA-F]{{4}}|\\U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{{4}}|\\x[0-9a-fA-F]{{2}}"
    r"|\\[\"'\\/bfnrt]"
)
_OF_OTHERS = re.compile(r"(?:%[0-9a-fA-F]{2})+|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|quot|amp|apos|lt|gt);|\"\"")
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LEVELS = 3
"""So many times a document may stand as a text in another one."""


class Unescaped(msgspec.Struct, frozen=True):
    """A text without escapes. `starts`: where each of its letters begins in the text as it was written, and the end."""

    text: str
    starts: Sequence[int]

    def written(self, start: int, end: int) -> tuple[int, int]:
        """The bounds, in the text as it was written, of the letters from `start` to `end`."""
        return self.starts[start], self.starts[end]


def readings_of(text: str) -> Iterator[Unescaped]:
    """The text as it stands, and what it reads without escapes where it has some.

    >>> [reading.text for reading in readings_of(r'zo\\u00eb%21')]
    ['zo\\\\u00eb%21', 'zo\\\\u00eb!', 'zoë%21', 'zoë!']
    """
    reading = Unescaped(text, range(len(text) + 1))
    for _ in range(_LEVELS):
        yield reading
        other = _without(reading, _OF_OTHERS, _of_others)
        if other is not reading:
            yield other
        shorter = _without(reading, _OF_STRINGS, _of_strings)
        if shorter is reading:
            return
        reading = shorter
    yield reading


def _without(reading: Unescaped, escapes: "re.Pattern[str]", letters_of: Callable[[str], str]) -> Unescaped:
    text, starts = reading.text, reading.starts
    pieces, new_starts, done = list[str](), list[int](), 0
    for match in escapes.finditer(text):
        letters = letters_of(match[0])
        pieces += [text[done : match.start()], letters]
        new_starts += starts[done : match.start()]
        # the letters of a run of percent signs have three characters for a byte; of others there is a single letter
        offset = match.start()
        for letter in letters:
            new_starts.append(starts[offset])
            offset += 3 * len(letter.encode(errors="surrogateescape")) if match[0][0] == "%" else 0
        done = match.end()
    if not pieces:
        return reading
    return Unescaped("".join((*pieces, text[done:])), [*new_starts, *starts[done:]])


def _of_strings(escape: str) -> str:
    kind, digits = escape[1], escape[2:]
    if kind == "u" and len(digits) > 4:
        return chr(0x10000 + ((int(digits[:4], 16) - 0xD800) << 10) + int(digits[6:], 16) - 0xDC00)
    return chr(int(digits, 16)) if digits else _CONTROLS.get(kind, kind)


def _of_others(escape: str) -> str:
    if escape[0] == "%":
        return bytes.fromhex(escape.replace("%", "")).decode(errors="surrogateescape")
    return '"' if escape[0] == '"' else html.unescape(escape)[:1]
