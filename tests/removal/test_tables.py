"""Rows of exports go by the column that names the entity, however short the id is."""

import csv
import gzip
import io
import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.home import HomeLayout
from flyball.removal import Person
from flyball.removal.rows import RowReader
from flyball.removal.tables import CleanedTables, clean_tables, rows_without
from flyball.removal.texts import Redaction, clean_home_files

USER = frozenset(["user"])
COLUMNS = {"user": USER, "giver": USER, "receiver": USER, "guests": USER, "film": frozenset(["film"])}
IDS = [
    *("cust-100", "cust-100-7", "x-cust-100", "cust-1001", "ann lee", "ann lee jr", "ann", "anna", "7", "70", "7.0"),
    *("maria.lopez", "maria.lopez@x.example", "zo\u00eb-m\u00fcller", "zo\u00eb-m\u00fcller/2", "+4915123456", "a;b"),
    *(
        "a/b:c",
        "cust",
        "o'neil\"q",
        "\u674e\u5c0f\u9f8d\u4e00\u4e8c\u4e09",
        "\u674e\u5c0f\u9f8d\u4e00\u4e8c\u4e09\u56db",
    ),
]
"""Prefixes, suffixes and extensions of each other."""
SEVEN = [Person("user", "7")]


def cleaned(folder: Path) -> tuple[int, list[str]]:
    """How many tables an erasure changes, and which it cannot clean."""
    layout, redaction = HomeLayout(folder), Redaction(SEVEN)
    tables = clean_tables(layout, redaction, RowReader(SEVEN, COLUMNS))
    assert clean_home_files(layout, redaction, lambda words: None) == (0, [])
    return len(tables.rows), tables.unread


def test_rows_go_by_their_column_and_the_others_stay_byte_for_byte() -> None:
    reader, table = (
        RowReader(SEVEN, COLUMNS),
        'user,film,note\r\n7,a,x\r\n8,7,"two\r\nlines, 7"\r\n"7",b,y\r\n\'7,c,z\r\n77,7,7\r\n',
    )
    assert rows_without(table, reader) == ('user,film,note\r\n8,7,"two\r\nlines, 7"\r\n77,7,7\r\n', 3, True)
    assert rows_without('guests\n"[""7"", ""8""]"\n[8]\n8|7\n', reader) == ("guests\n[8]\n", 2, True)


def test_a_table_without_such_a_column_is_named_where_it_holds_the_id(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("who,n\n7,1\n")
    (tmp_path / "other.csv").write_text("who,n\n8,1\n")
    (tmp_path / "watch.csv").write_text("user,n\n7,1\n8,7\n")
    (tmp_path / "old.csv.gz").write_bytes(gzip.compress(b"user,n\n7,1\n"))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"user,n\n8,1\n"))
    assert cleaned(tmp_path) == (1, ["mine.csv", "old.csv.gz"])
    assert (tmp_path / "watch.csv").read_text() == "user,n\n8,7\n"
    assert (tmp_path / "mine.csv").read_text() == "who,n\n7,1\n"


GIFTS: list[dict[str, Any]] = [
    {"giver": 7, "receiver": 8, "film": "a", "guests": [1]},
    {"giver": 8, "receiver": 7, "film": "b", "guests": [2]},
    {"giver": 8, "receiver": None, "film": "7", "guests": [9, 7]},
    {"giver": 8, "receiver": None, "film": "7", "guests": [77]},
]


@pytest.mark.parametrize("name", ["gifts.parquet", "x/y/gifts.parquet", "x/gifts.jsonl", "x/gifts.csv", "gifts.ndjson"])
def test_tables_of_all_kinds_lose_the_rows_in_any_folder(tmp_path: Path, name: str) -> None:
    path, frame = tmp_path / name, pl.DataFrame(GIFTS)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".csv":
        texts = [json.dumps(row["guests"]) for row in GIFTS]
        frame.with_columns(pl.Series("guests", texts)).write_csv(path)
    else:
        frame.write_ndjson(path)
    assert cleaned(tmp_path) == (1, [])
    read = {".parquet": pl.read_parquet, ".csv": pl.read_csv}.get(path.suffix, pl.read_ndjson)
    assert read(path)["giver"].to_list() == [8]
    assert cleaned(tmp_path) == (0, [])


def test_rows_within_others_and_numbers_with_a_point_are_known(tmp_path: Path) -> None:
    rows = [{"request": '{"giver":7}'}, {"events": [{"giver": "7"}]}, {"giver": 7.0}, {"events": [{"giver": 7.5}]}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cleaned(tmp_path) == (1, [])
    assert (tmp_path / "rows.jsonl").read_text() == json.dumps(rows[3]) + "\n"


def test_rows_that_no_column_explains_are_left_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    pl.DataFrame({"who": ["7", "8"]}).write_parquet(folder / "who.parquet")
    pl.DataFrame({"who": ["8"]}).write_parquet(folder / "free.parquet")
    (folder / "damaged.parquet").write_bytes(b"PAR1 7")
    (folder / "who.jsonl").write_text('{"giver":8,"n":7}\n{"who":7}\n')
    (folder / "free.jsonl").write_text('{"giver":8,"n":7}\n{"who":77}\n')
    (folder / "who.jsonl.gz").write_bytes(gzip.compress(b'{"user":"\\u0037"}\n'))
    assert cleaned(tmp_path) == (0, ["x/damaged.parquet", "x/who.jsonl", "x/who.jsonl.gz", "x/who.parquet"])


def test_rows_of_a_document_go_by_their_column_however_short_the_id_is(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('[{"user": 7, "n": 1}, {"user": 8, "n": 7}, {"user": "7"}]')
    days = {"days": [{"n": 1, "events": [{"giver": 7}, {"giver": 8, "n": 7}]}, {"request": {"receiver": 7}}], "n": 7}
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "days.json").write_text(json.dumps(days))
    (tmp_path / "x" / "single.json").write_text('{"user": 7, "film": "a"}')
    (tmp_path / "who.json").write_text('[{"who": 7}]')
    (tmp_path / "free.json").write_text('[{"giver": 8, "n": 7}, {"receiver": 77}, {}]')
    assert cleaned(tmp_path) == (3, ["who.json"])
    assert json.loads((tmp_path / "rows.json").read_text()) == [{"user": 8, "n": 7}]
    assert json.loads((tmp_path / "x" / "days.json").read_text()) == {
        "days": [{"n": 1, "events": [{"giver": 8, "n": 7}]}],
        "n": 7,
    }
    assert json.loads((tmp_path / "x" / "single.json").read_text()) == {}
    assert cleaned(tmp_path) == (0, ["who.json"])


def test_copies_of_a_store_in_a_folder_are_named_and_left_whole(tmp_path: Path) -> None:
    folder = tmp_path / "old" / "of-may"
    folder.mkdir(parents=True)
    for name, user in (("events.db", "annabel"), ("kept.sqlite", "annabel"), ("other.db", "robert")):
        with closing(sqlite3.connect(folder / name)) as copy, copy:
            copy.execute("CREATE TABLE rows (user TEXT)")
            copy.execute("INSERT INTO rows VALUES (?)", (user,))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    people = [Person("user", "annabel")]
    redaction, reader = Redaction(people), RowReader(people, COLUMNS)
    named = ["old/of-may/events.db", "old/of-may/kept.sqlite"]
    assert clean_tables(HomeLayout(tmp_path), redaction, reader) == CleanedTables({}, named)
    assert clean_home_files(HomeLayout(tmp_path), redaction, lambda words: None) == (0, [])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def write_csv(path: Path, header: str, delimiter: str, encoding: str = "utf-8") -> None:
    with open(path, "w", newline="", encoding=encoding) as file:
        rows = csv.writer(file, delimiter=delimiter)
        rows.writerow([header, "film", "n"])
        rows.writerows([id, "f1", number] for number, id in enumerate(IDS))


def users_in(path: Path, encoding: str = "utf-8") -> list[str]:
    """The first cells of a table, read by other code than that under test."""
    content = path.read_bytes()
    if content.startswith(b"PAR1"):
        return list(pl.read_parquet(io.BytesIO(content))["user"])
    text = content.decode(encoding)
    if path.suffix == ".jsonl":
        return [json.loads(line)["user"] for line in text.splitlines()]
    if path.suffix == ".json":
        return [row["user"] for row in json.loads(text)]
    delimiter = next(sign for sign in ";|\t," if sign in text.split("\n")[0])
    return [row[0] for row in list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[1:]]


@settings(max_examples=12, deadline=None)
@given(st.sets(st.sampled_from(IDS), min_size=1))
def test_exactly_the_rows_of_the_erased_ids_go_in_every_format(erased: set[str]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name) / "exports"
        folder.mkdir()
        write_csv(folder / "a.csv", "user", ",")
        write_csv(folder / "semi.csv", "User ID", ";")
        write_csv(folder / "tab.tsv", "USER", "\t")
        write_csv(folder / "pipe.csv", "user_id", "|")
        write_csv(folder / "wide.csv", "user", "\t", "utf-16")
        rows = [{"user": id, "film": "f1"} for id in IDS]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "rows.json").write_text(json.dumps(rows))
        for file in ("rows.parquet", "rows.parq", "rows"):
            pl.DataFrame(rows).write_parquet(folder / file)
        people = [Person("user", id) for id in erased]
        redaction = Redaction(people, IDS)
        cleaned = clean_tables(HomeLayout(Path(name)), redaction, RowReader(people, COLUMNS))
        files = sorted(folder.iterdir())
        assert cleaned.rows == {f"exports/{path.name}": len(erased) for path in files}
        assert cleaned.unread == []
        for path in files:
            left = users_in(path, "utf-16" if path.name == "wide.csv" else "utf-8")
            assert left == [id for id in IDS if id not in erased], path.name


def test_bytes_that_are_no_text_are_left_whole_and_listed(tmp_path: Path) -> None:
    folder, text = tmp_path / "exports", "spoke with cust-100 today\n"
    folder.mkdir()
    files = {
        "notes.bin": b"\0\1" + text.encode(),
        "old.dump": gzip.compress(text.encode()),
        "packed.csv": b"\x28\xb5\x2f\xfd cust",
        "wide.txt": text.encode("utf-16"),
        "free.bin": b"\0\1 cust-1001"[:9],
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with zipfile.ZipFile(folder / "z", "w") as archive:
        archive.writestr("a.csv", "user\ncust-100\n")
    files["z"] = (folder / "z").read_bytes()
    people = [Person("user", "cust-100")]
    layout, redaction = HomeLayout(tmp_path), Redaction(people)
    named = [f"exports/{name}" for name in ("notes.bin", "old.dump", "packed.csv", "wide.txt", "z")]
    assert clean_tables(layout, redaction, RowReader(people, COLUMNS)) == CleanedTables({}, named)
    clean_home_files(layout, redaction, lambda words: None)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


@pytest.mark.parametrize("known", [["cust-100-7"], []])
def test_a_longer_id_in_a_text_stays_and_the_file_is_listed_where_it_is_unknown(
    tmp_path: Path, known: list[str]
) -> None:
    path = tmp_path / "notes.md"
    path.write_text("- spoke with cust-100 today\n- and cust-100-7, cust-100.\n")
    redaction = Redaction([Person("user", "cust-100")], known)
    listed = [] if known else ["notes.md"]
    assert clean_home_files(HomeLayout(tmp_path), redaction, lambda words: None) == (1, listed)
    assert path.read_text() == "- spoke with ******** today\n- and cust-100-7, ********.\n"
