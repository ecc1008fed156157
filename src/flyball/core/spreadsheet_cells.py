"""Cells of CSV files that spreadsheets do not run as formulas."""

import re

_WIDE = "\u207a\u207c\u208a\u208c\u2a75\u2a76\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
"""All letters that Unicode's compatibility form (NFKC) turns into one of = + - @, or into a text that begins so: some
spreadsheets and what reads the file before them do that."""
_BLANK = r"[\s\u00ad\u200b-\u200f\u2060\ufeff]*"
"""What a spreadsheet may take away before it looks at the first letter, or does not show."""
_FORMULA = re.compile(
    rf"\A{_BLANK}[=@{_WIDE}]|\A[\t\r\n]|\A{_BLANK}[+-](?!(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?\Z)"
)
"""What Excel, LibreOffice and Google Sheets may run; a signed number is none. Source: OWASP, "CSV Injection"."""


def spreadsheet_cell(text: str) -> str:
    """The text as a cell that is shown and not run: an apostrophe stands before what would be a formula.

    >>> [spreadsheet_cell(text) for text in ("=HYPERLINK(A1)", "+49 30", "-1.5e3", "Alien")]
    ["'=HYPERLINK(A1)", "'+49 30", '-1.5e3', 'Alien']
    """
    return f"'{text}" if _FORMULA.match(text) else text
