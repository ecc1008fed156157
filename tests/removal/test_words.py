"""An id is known in every way in which lines, logs and tables write it, and not within another one."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from flyball.events import ErasedPeople, Quarantined, open_quarantine
from flyball.removal import Person, id_pattern
from flyball.removal.quarantine import lines_about
from flyball.removal.rows import RowReader
from flyball.removal.texts import Redaction
from flyball.removal.words import stands_in

from .homes import cinema

IDS = ["zoë-müller", "日本太郎さん", "o'neil\"q", "annika", "zoë müller"]

USER = {"user": frozenset(["user"])}


def lines_of(id: str) -> list[bytes]:
    """Bad lines that name a person, by different writers."""
    return [
        b'{"user":%s,"minute":"free"}' % json.dumps(id).encode(),
        b'{"user":%s,"minute":"free"}' % json.dumps(id, ensure_ascii=False).encode(),
        b'{"user":"%s","minute":' % "".join(rf"\u{ord(letter):04x}" for letter in id).encode(),
        b'watch,"%s",free' % id.replace('"', '""').encode(),
        b"watch\t%s\tfree" % id.encode(),
        b'{"url":"/buy?user=%s&minute=free"' % quote(id, safe="").encode(),
    ]


@pytest.mark.parametrize("id", [*IDS, "é\u202eabc"])
def test_a_line_in_quarantine_is_known_however_it_writes_the_id(id: str) -> None:
    quarantine = open_quarantine("memory://")
    lines = [*lines_of(id), b'{"user":"somebody","minute":"free"}']
    quarantine.put([Quarantined(1, "bad", "", line, "web", at, "jsonl") for at, line in enumerate(lines, 1)])
    assert lines_about(quarantine, RowReader([Person("user", id)], USER)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("id", IDS)
def test_no_such_line_is_taken_after_the_erasure(id: str, tmp_path: Path) -> None:
    people, schema = ErasedPeople(tmp_path / "erased.json"), cinema(tmp_path).schema
    people.add([("user", id)], 1)
    lines = [*lines_of(id), b'{"user":"somebody","minute":"free"}', b'"' + rb"\"" * 30_000]
    assert people.among_lines(schema, lines) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "line", ["annä", r"ann\u00e4", "ann%C3%A4", "äann", r"\u00e4ann", "ann1", "1ann", "ann_", "ann\u0301", "аннann"]
)
def test_an_id_within_a_longer_word_of_any_script_is_none(line: str) -> None:
    assert not stands_in(id_pattern([Person("user", "ann")]), line.encode())


@pytest.mark.parametrize("line", ["ann", r"\nann\u0020x", "%3Dann%26", "ä ann–b", "→ann", r"{\"user\":\"ann\"}"])
def test_an_id_between_other_signs_is_a_word(line: str) -> None:
    assert stands_in(id_pattern([Person("user", "ann")]), line.encode())


def test_lines_that_are_no_utf_8_are_searched_as_latin_1() -> None:
    pattern = id_pattern([Person("user", "zoë-müller")])
    assert stands_in(pattern, "watch;zoë-müller;1".encode("latin-1"))


def test_logs_and_texts_lose_the_id_in_every_form_and_keep_their_length() -> None:
    redaction = Redaction([Person("user", "zoë-müller"), Person("user", "é1")])
    log = 'a zoë-müller, "zo\\u00eb-m\\u00fcller" ü user=zo%C3%AB-m%C3%BCller; user "\\u00e91" é1\n'
    masked = redaction.log(log.encode())
    assert len(masked) == len(log.encode())
    assert masked.decode() == (f'a {"*" * 12}, "{"*" * 20}" ü user={"*" * 20}; user "{"*" * 7}" é1\n')
    assert redaction.text(r'refused "zo\u00eb-müller", user é1') == 'refused "[erased]", user [erased]'
    assert redaction.rows([b'{"v":"zo\\u00eb-m\\u00fcller"}\n', b'{"v":"zo"}\n']) == [b'{"v":"zo"}\n']


def test_a_name_in_other_letters_is_somebody_else() -> None:
    assert Redaction([Person("user", "ann1")]).log(b"User Ann1, USER ann1") == b"User Ann1, USER ****"


@pytest.mark.parametrize(("format", "header"), [("jsonl", b""), ("csv", b"user,minute"), ("csv", b"user;minute\n")])
def test_a_line_of_a_longer_id_stays_in_quarantine_where_it_reads_as_a_row(format: str, header: bytes) -> None:
    quarantine, ids = open_quarantine("memory://"), ["ann lee", "ann lee jr", "ann", "x-ann lee", "ann lee-2"]
    sign = ";" if b";" in header else ","
    lines = [(f"{id}{sign}free" if header else json.dumps({"user": id, "minute": "free"})).encode() for id in ids]
    quarantine.put([Quarantined(1, "bad", "", line, "web", at, format, header=header) for at, line in enumerate(lines)])
    for number, id in enumerate(ids, 1):
        assert lines_about(quarantine, RowReader([Person("user", id)], USER)) == [number]


def test_a_cut_line_of_a_known_longer_id_stays_in_quarantine() -> None:
    quarantine, ids = open_quarantine("memory://"), ["ann lee", "ann lee jr", "ann lee-2"]
    lines = [f'{{"user":"{id}","minute":'.encode() for id in ids]
    quarantine.put([Quarantined(1, "bad", "", line, "web", at, "jsonl") for at, line in enumerate(lines)])
    assert lines_about(quarantine, RowReader([Person("user", "ann lee")], USER), ids) == [1]
