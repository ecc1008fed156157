"""`flyball suspects` as a user types it: listing, holding, and a version that was learned without those held."""

from pathlib import Path

from tests.cli.conftest import Run
from tests.monitoring.suspects.homes import books

UNTIL = ["--until", "2026-01-26"]


def test_suspects_are_listed_held_learned_without_and_released(run: Run, tmp_path: Path) -> None:
    books(tmp_path)
    home = ["--home", str(tmp_path / "home")]
    listed = run("suspects", "list", "books.py", *UNTIL, *home)
    assert "12 suspects, 0 held before" in listed.out
    assert "targets the same as of a" in listed.out
    plain = run("suspects", "list", "books.py", *UNTIL, *home, "--json").last
    names = sorted(suspect["account"] for suspect in plain["suspects"])
    assert names == sorted(f"a{number}" for number in range(12))
    assert "holds 12 readers" in run("suspects", "hold", "books.py", *names, *home, "--reason", "copies").out
    assert "0 suspects, 12 held before" in run("suspects", "list", "books.py", *UNTIL, *home).out
    learned = run("learn", "books.py", "--workers", "1", *home)
    assert "note: 12 readers left out of training or counted less" in learned.out, learned.err
    again = run("learn", "books.py", "--without-suspects", "--as-of", "2026-01-26", "--workers", "1", *home)
    assert "note: 12 readers left out" in again.out, "held later than the run's time, but left out of it"
    assert run("suspects", "release", "books.py", "a0", *home).code == 0
    assert len(run("suspects", "held", "books.py", *home, "--json").last["held"]) == 11
    of_version = run("suspects", "held", "books.py", "--version", "v1", *home, "--json").last
    assert of_version == {"version": "v1", "entity": "reader", "shares": dict.fromkeys(names, 0.0)}
    assert "v1 was learned without 12 readers" in run("suspects", "held", "books.py", "--version", "v1", *home).out
    assert "copies" in run("suspects", "held", "books.py", *home).out


def test_wrong_words_say_what_to_do(run: Run, tmp_path: Path) -> None:
    books(tmp_path, count=0, readers=20)
    home = ["--home", str(tmp_path / "home")]
    assert "0 tested; 0 suspects" in run("suspects", "list", "books.py", *UNTIL, *home).out
    assert "no reader is held" in run("suspects", "held", "books.py", *home).out
    assert "no held reader 'x'" in run("suspects", "release", "books.py", "x", *home).err
    assert "must be 0 or more and below 1" in run("suspects", "hold", "books.py", "x", "--share", "2", *home).err
    assert "entity of the accounts must be one of the task (reader, book)" in (
        run("suspects", "list", "books.py", "--entity", "card", *home).err
    )
    both = run("suspects", "held", "books.py", "--version", "v1", "--at", "2026-01-01", *home)
    assert "--at must be given without --version" in both.err
