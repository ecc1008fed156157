"""`flyball predict`: a file in, a file out, and a summary of its rows."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run


@pytest.fixture
def served(shop: Run) -> Run:
    """A shop that took its events in and learned nothing yet: the popular list answers."""
    assert shop("ingest", "shop.py", "shop-events.jsonl").code == 0
    return shop


def write(*rows: object) -> Path:
    path = Path("requests.jsonl")
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def test_rows_are_answered_by_what_serves_now_and_counted_by_level(served: Run) -> None:
    source = write({"user": 1, "k": 3}, {"user": 2}, {"user": 3})
    ran = served("predict", "shop.py", source, "--out", "out.jsonl")
    assert (ran.code, ran.out) == (0, "3 rows: 3 popular; out.jsonl\n"), ran.err
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["user"] for row in rows] == [1, 2, 3]
    assert Path("out.jsonl.lineage.json").exists()


def test_rows_that_are_no_requests_are_counted_with_the_first_of_them(served: Run) -> None:
    source = write({"user": 1}, {"user": "x"}, {"k": 3})
    ran = served("predict", "shop.py", source, "--out", "out.csv")
    assert ran.code == 0
    assert ran.out == "3 rows: 1 popular; out.csv\n"
    assert "no answer to 2 rows, such as: visitor id must be an integer" in ran.err
    assert "Traceback" not in ran.err


def test_none_answered_is_said(served: Run) -> None:
    ran = served("predict", "shop.py", write({"k": 3}), "--out", "out.csv")
    assert "1 row: none answered; out.csv" in ran.out
    assert "no answer to 1 row, such as" in ran.err


def test_as_json_it_is_one_document_on_standard_output(served: Run) -> None:
    ran = served("predict", "shop.py", write({"user": 1}, {"user": "x"}), "--out", "out.csv", "--json")
    report = json.loads(ran.out)
    assert (report["rows"], report["failed"], report["levels"]) == (2, 1, {"popular": 1})
    assert report["first_failure"].startswith("visitor id must be an integer")


@pytest.mark.parametrize(
    ("source", "out", "words"),
    [
        ("none.jsonl", "out.csv", "none.jsonl"),
        ("requests.jsonl", "out.xlsx", ".csv, .jsonl"),
        ("requests.jsonl", "shop.py/out.csv", "shop.py"),
    ],
)
def test_files_that_cannot_be_are_one_line_and_an_exit_code(served: Run, source: str, out: str, words: str) -> None:
    write({"user": 1})
    ran = served("predict", "shop.py", source, "--out", out)
    assert ran.code != 0
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_settings_of_the_application_are_those_it_was_learned_with(served: Run) -> None:
    text = Path("shop.py").read_text()
    Path("made.py").write_text(
        text.replace("\napp = fb.App(", "\n\ndef make_app(wide: bool = False) -> fb.App:\n    return fb.App(")
    )
    ran = served(
        "predict", "made.py", write({"user": 1}), "--out", "out.csv", "--home", ".flyball/shop", "--set", "wide=true"
    )
    assert ran.code == 0, ran.err
