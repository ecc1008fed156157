"""What is invisible in a line, or changes how it is shown, is escaped; what people write is not."""

import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from flyball.core import printable, printable_line

MAY_STAND = "\t\n\u200c\u200d"
ESCAPED = ("Cc", "Cf", "Zl", "Zp", "Cs")


def test_exactly_the_control_and_format_characters_of_unicode_are_escaped() -> None:
    for code in range(sys.maxunicode + 1):
        letter, kind = chr(code), unicodedata.category(chr(code))
        if kind == "Cn":  # not assigned in the tables of this Python; later ones may
            continue
        assert (printable(letter) != letter) == (kind in ESCAPED and letter not in MAY_STAND), hex(code)


def test_words_and_emoji_of_the_world_stay() -> None:
    for text in ("Amélie", "می‌خواهم", "क्‍ष", "千と千尋の神隠し", "👩‍🚀 🏳️‍🌈", "café", "שלום"):
        assert printable(text) == printable_line(text) == text


@given(st.text(st.characters(codec=None)))
def test_an_escaped_text_is_the_same_in_json_and_escaping_again_changes_nothing(text: str) -> None:
    raw = json.dumps(text, ensure_ascii=False)
    shown = printable(raw)
    assert json.loads(shown) == text
    assert printable(shown) == shown


@given(st.text())
def test_a_line_stays_a_line(text: str) -> None:
    assert len(f"{printable_line(text)}.".splitlines()) == 1
    assert printable(text).count("\n") == text.count("\n")
