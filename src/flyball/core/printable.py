"""Text from outside, for terminals and logs: what is invisible there, or changes how the line is shown, is escaped."""

import re

_INVISIBLE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
"""Control and format characters of Unicode, line and paragraph separators and halves of surrogate pairs, except tab,
line feed and the joiners U+200C and U+200D, without which Persian, Hindi and many emoji cannot be written."""

_IN_TEXT, _IN_LINE = re.compile(f"[{_INVISIBLE}]"), re.compile(f"[{_INVISIBLE}\t\n]")


def printable(text: str) -> str:
    """The text with its control and bidirectional characters escaped as in JSON; its lines stay lines.

    >>> printable("safe \\x1b[2J \\u202egpj.exe")
    'safe \\\\u001b[2J \\\\u202egpj.exe'
    """
    return text if text.isascii() and text.isprintable() else _IN_TEXT.sub(_escaped, text)


def printable_line(text: str) -> str:
    """As `printable`, in one line: line feeds and tabs are escaped, too.

    >>> printable_line("u1\\nERROR forged")
    'u1\\\\nERROR forged'
    """
    return text if text.isascii() and text.isprintable() else _IN_LINE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    letter = match[0]
    if letter in "\t\n":
        return "\\t" if letter == "\t" else "\\n"
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
