"""Control and bidirectional characters from outside reach no terminal, log or page; no spreadsheet runs an export."""

import ast
import csv
import json
import re
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from tests.cli.conftest import Run

import flyball
from flyball.history import spreadsheet_frame

HOSTILE = '=HYPERLINK("http://x.example")\x1b[2J\x1b]0;owned\x07\u202egpj.exe\u2066\x9b31m\nERROR forged'
CODE = Path(flyball.__file__).parent

SHOP = """
from typing import Annotated
import flyball as fb

User = Annotated[str, fb.Ref("user")]
Item = Annotated[str, fb.Ref("item")]

class Buy(fb.Event):
    user: User
    item: Item
    note: str

class Card(fb.Profile):
    item: Item
    title: str

user = fb.Entity("user")
item = fb.Entity("item", profile=Card)
app = fb.App(
    "shop", events=[Buy], task=fb.Recommend(user, item, positive=fb.outcome(Buy, within="7d"), k=3, deadline="9s"),
    candidates={"popular": fb.Popular()},
)
"""


@pytest.fixture
def hostile(run: Run) -> Run:
    """`run` beside a shop whose people, items, titles and lines are hostile."""
    Path("shop.py").write_text(SHOP)
    names = [f"{HOSTILE}{number}" for number in range(8)]
    lines = [{"type": "card", "item": name, "title": HOSTILE, "at": "2026-01-01"} for name in names]
    lines += [
        {
            "type": "buy",
            "user": f"{HOSTILE}u{user}",
            "item": names[(user * turn) % 8],
            "note": HOSTILE,
            "at": f"2026-01-{1 + (3 * turn + user) % 28:02}",
        }
        for user in range(70)
        for turn in range(3)
    ]
    texts = [json.dumps(line) for line in lines] + [f'{{"type": "buy", "user": 1{HOSTILE}', HOSTILE]
    Path("lines.jsonl").write_bytes("\n".join(texts).encode())
    return run


def visible(text: str) -> bool:
    kept = "\n\t\u200c\u200d"
    return all(letter in kept or unicodedata.category(letter) not in ("Cc", "Cf", "Zl", "Zp") for letter in text)


def test_only_the_module_for_output_writes_to_the_terminal() -> None:
    for path in sorted((CODE / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                words = ast.unparse(node.func)
                writes = words in ("print", "typer.echo", "typer.secho") or re.search(r"std(out|err)\.write$", words)
                assert not writes or path.name == "show.py", f"{path.name}:{node.lineno}: {words} shows text as it is"


READING = [
    "status",
    "quarantine list",
    "quarantine show",
    "versions list",
    "report",
    "performance",
    "exposure",
    "findings list",
    "suspects list",
    "incidents list",
    "profiles show",
    "features list",
    "cases list",
    "why",
    "recommend",
]


def test_no_command_shows_a_control_character_of_what_came_from_outside(hostile: Run) -> None:
    shown = [hostile("ingest", "shop.py", "lines.jsonl"), hostile("learn", "shop.py")]
    shown.append(hostile("ingest", "shop.py", f"{HOSTILE}.jsonl"))
    for words in READING:
        command, *more = words.split()
        for options in ([], ["--json"]):
            subject = {"quarantine show": ["1"], "recommend": [f"{HOSTILE}u3"], "why": [HOSTILE]}.get(words, [])
            shown.append(hostile(command, *more, "shop.py", *subject, *options))
    assert [ran.code for ran in shown[:2]] == [0, 0], shown[1].out
    for ran in shown:
        assert visible(ran.out), ran.out
        assert visible(ran.err), ran.err
    text = "".join(ran.out + ran.err for ran in shown)
    assert "\\u001b[2J" in text, "the hostile text was shown, escaped"
    assert not re.search(r"^ERROR forged", text, re.M), "no line of its own"


def test_an_export_runs_nothing_in_a_spreadsheet_and_is_as_it_was_for_programs(hostile: Run) -> None:
    hostile("ingest", "shop.py", "lines.jsonl")
    exported = hostile("export", "shop.py", "buy", "--out", "buy.csv")
    assert "note: 630 cells would be run as a formula" in exported.out
    with open("buy.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 210
    assert {row["note"] for row in rows} == {f"'{HOSTILE}"}
    assert all(row["user"].startswith("'=") and row["at"].startswith("2026") for row in rows)
    assert hostile("export", "shop.py", "buy", "--out", "raw.csv", "--as-is").code == 0
    with open("raw.csv", newline="") as file:
        assert {row["note"] for row in csv.DictReader(file)} == {HOSTILE}
    assert hostile("export", "shop.py", "buy", "--out", "buy.parquet").code == 0
    assert set(pl.read_parquet("buy.parquet")["note"]) == {HOSTILE}


def test_a_frame_without_formulas_stays() -> None:
    frame = pl.DataFrame({"a": ["x", None, "-5"], "b": [-1, 2, 3]})
    same, quoted = spreadsheet_frame(frame)
    assert same.equals(frame)
    assert quoted == 0
    safe, quoted = spreadsheet_frame(pl.DataFrame({"a": ["=x", None]}))
    assert safe["a"].to_list() == ["'=x", None]
    assert quoted == 1


def test_what_a_command_writes_is_read_by_its_owner_alone(hostile: Run, tmp_path: Path) -> None:
    hostile("ingest", "shop.py", "lines.jsonl")
    hostile("learn", "shop.py")
    hostile("recommend", "shop.py", "u")
    hostile("export", "shop.py", "buy", "--out", "buy.csv")
    written = [*(tmp_path / ".flyball").rglob("*"), tmp_path / ".flyball" / "shop", tmp_path / "buy.csv"]
    assert len(written) > 20
    for path in written:
        assert path.stat().st_mode & 0o077 == 0, f"{path}: {path.stat().st_mode:o}"
