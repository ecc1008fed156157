"""Parts of a CSV are put together as if they were one; no cell of it runs in a spreadsheet."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from flyball.core import spreadsheet_cell
from flyball.serving.answer_parts import columns_of, join_parts, write_rows

CELLS = st.text(st.sampled_from('ab ,"\n\r=-\u00e9'), max_size=4)


@given(
    parts=st.lists(
        st.lists(st.dictionaries(st.sampled_from(["a", 'b"', "c\nd", "e,f"]), CELLS, min_size=1), min_size=1),
        min_size=1,
        max_size=3,
    )
)
def test_parts_of_a_csv_are_put_together(parts: list[list[dict[str, str]]]) -> None:
    """Whether all have the same columns (they are copied) or not."""
    with TemporaryDirectory() as folder:
        for number, rows in enumerate(parts):
            write_rows(Path(folder) / f"{number:06d}.csv", "csv", rows, as_is=True)
        join_parts(Path(folder), Path(folder) / "out.csv", "csv")
        with open(Path(folder) / "out.csv", newline="") as file:
            joined = list(csv.DictReader(file))
    names = dict.fromkeys(name for rows in parts for row in rows for name in row)
    assert joined == [{name: row.get(name, "") for name in names} for rows in parts for row in rows]


@given(st.lists(st.dictionaries(st.sampled_from(["a", "=b"]), CELLS, min_size=1), min_size=1))
def test_names_and_cells_are_those_that_no_spreadsheet_runs(rows: list[dict[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "part.csv"
        quoted = write_rows(path, "csv", rows)
        with open(path, newline="") as file:
            read = list(csv.DictReader(file))
    names = columns_of(rows)
    assert read == [{spreadsheet_cell(name): spreadsheet_cell(row.get(name, "")) for name in names} for row in rows]
    assert quoted == sum(cell != spreadsheet_cell(cell) for row in rows for cell in row.values())
