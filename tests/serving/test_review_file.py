"""The file of reviews that processes share: whole lines once, also after a kill, and no wait for ever."""

import fcntl
from datetime import date
from pathlib import Path

import pytest

from flyball.serving.review_file import ReviewFile

DAY, NEXT = date(2026, 3, 1), date(2026, 3, 2)


def lines(file: ReviewFile, day: date = DAY) -> list[str]:
    with file.of_day(day) as shared:
        return shared.new


def add(file: ReviewFile, *texts: str, day: date = DAY) -> None:
    with file.of_day(day) as shared:
        for text in texts:
            shared.add(text)


def test_each_process_reads_the_lines_of_all_once(tmp_path: Path) -> None:
    first, second = ReviewFile(tmp_path), ReviewFile(tmp_path)
    add(first, "+a", "+b")
    assert lines(second) == ["+a", "+b"]
    add(second, "-a")
    assert lines(second) == ["-a"]
    assert lines(second) == []
    assert lines(first) == ["+a", "+b", "-a"]
    assert lines(first, NEXT) == []


def test_a_line_that_was_cut_off_is_read_when_it_is_whole(tmp_path: Path) -> None:
    file = ReviewFile(tmp_path)
    (tmp_path / f"reviews-{DAY}").write_bytes(b"+a\n+b")
    assert lines(file) == ["+a"]
    with (tmp_path / f"reviews-{DAY}").open("ab") as more:
        more.write(b"c\n")
    assert lines(file) == ["+bc"]


def test_a_lock_that_is_never_given_back_is_an_error(tmp_path: Path) -> None:
    file = ReviewFile(tmp_path)
    add(file, "+a")
    with (tmp_path / f"reviews-{DAY}").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="locked by a process that does not run"):
            lines(file)
    assert lines(file) == ["+a"]


def test_days_before_are_removed(tmp_path: Path) -> None:
    file = ReviewFile(tmp_path)
    add(file, "+a")
    add(file, "+b", day=NEXT)
    file.forget_before(NEXT)
    assert [path.name for path in tmp_path.iterdir()] == [f"reviews-{NEXT}"]
