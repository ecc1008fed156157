"""No cell begins as a formula does, unless it is a number; what was written can be had back."""

import sys
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import spreadsheet_cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "@SUM(A1)",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        " +a",
        "=",
        "+",
        "-",
        "+1-1",
    ],
)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert spreadsheet_cell(text) == f"'{text}"


def test_so_does_what_looks_like_the_first_letter_of_a_formula() -> None:
    letters = [chr(code) for code in range(128, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    wide = [letter for letter in letters if normalize("NFKC", letter)[0] in "=+-@"]
    assert "＝" in wide
    assert {
        text for letter in wide for text in (f"{letter}1+1", f" {letter}5") if spreadsheet_cell(text) == text
    } == set()


@pytest.mark.parametrize("blank", ["\ufeff", "\u200b", "\u00a0", "\u3000 ", "\u2060\u200f", "\u00ad"])
def test_so_does_a_formula_behind_letters_that_nobody_sees(blank: str) -> None:
    assert spreadsheet_cell(f"{blank}=1+1") == f"'{blank}=1+1"
    assert spreadsheet_cell(f"{blank}toys") == f"{blank}toys"


@pytest.mark.parametrize("text", ["-5", "+4.5", "-1,5", "-.5", "1e-3", "-1E+5", "a=b", "'=1", "", "x@y.org", "2-1"])
def test_numbers_and_other_texts_stay(text: str) -> None:
    assert spreadsheet_cell(text) == text


@given(st.one_of(st.text(), st.tuples(st.sampled_from("=@+-\t\r"), st.text()).map("".join)))
def test_what_stands_first_runs_nothing(text: str) -> None:
    cell = spreadsheet_cell(text)
    assert cell in (text, f"'{text}")
    assert cell[:1] not in ("=", "@", "\t", "\r")
    if cell[:1] in ("+", "-"):
        float(cell.replace(",", "."))
