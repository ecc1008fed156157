"""What a text reads without escapes, by the libraries that write them; letters are known by where they were written."""

import csv
import html
import io
import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from flyball.core import readings_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def csv_cell(text: str) -> str:
    cell = io.StringIO()
    csv.writer(cell, quoting=csv.QUOTE_ALL).writerow([text])
    return cell.getvalue()[1:-3]


@given(TEXTS, st.sampled_from(["json", "json twice", "python", "csv", "url", "html"]))
def test_a_text_is_read_as_its_writer_meant_it(text: str, form: str) -> None:
    written = {
        "json": lambda: json.dumps(text)[1:-1],
        "json twice": lambda: json.dumps(json.dumps(text))[1:-1],
        "python": lambda: ascii(text)[1:-1],
        "csv": lambda: csv_cell(text),
        "url": lambda: quote(text, safe=""),
        "html": lambda: html.escape(text),
    }[form]()
    assert any(text in reading.text for reading in readings_of(f"<{written}>"))


def test_a_letter_is_known_by_where_it_was_written() -> None:
    text = r'{"v":"zo\u00eb-%C3%BCx \ud83d\ude00 \\u0061b"}'
    parts = {
        (letters, text[slice(*reading.written(start, start + len(letters)))])
        for reading in readings_of(text)
        for letters in ("zoë", "üx", "😀", "ab")
        if (start := reading.text.find(letters)) >= 0
    }
    assert parts == {("zoë", r"zo\u00eb"), ("üx", "%C3%BCx"), ("😀", r"\ud83d\ude00"), ("ab", r"\\u0061b")}
