"""The contract of every store of files.

The test of a backend calls each function of `CHECKS` with a function that opens the store, empty at first, and gives
each call a cache of its own: two stores that it opened are two machines, unless they are one folder.
"""

import threading
from collections.abc import Callable

import msgspec

from flyball.core import StoreUnavailable
from flyball.files import ABSENT, FileStore, StoredFile

Open = Callable[[], FileStore]

_WRITERS, _ROUNDS = 4, 5


def check_an_unwritten_store_is_empty(open_files: Open) -> None:
    files = open_files()
    assert files.read("manifest.json") is None
    assert files.names() == []
    assert _is_missing(files, "parts/a.parquet")
    files.write("manifest.json", None)  # what is not there may be removed


def check_a_file_is_read_as_it_was_written(open_files: Open) -> None:
    files, other = open_files(), open_files()
    for content in (b"", b"one", bytes(range(256)) * 5_000):
        files.write("parts/watch/a b.parquet", content)
        stored = other.read("parts/watch/a b.parquet")
        assert stored is not None
        assert stored.content == content
    source = files.folder / "source"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(b"from a file")
    files.write("copied", source)
    assert _content(other.read("copied")) == b"from a file"


def check_a_local_file_has_the_content(open_files: Open) -> None:
    files, other = open_files(), open_files()
    files.write("parts/a.parquet", b"rows")
    path = other.local("parts/a.parquet")
    assert path.read_bytes() == b"rows"
    assert path == other.folder / "parts/a.parquet"
    assert other.local("parts/a.parquet") == path
    files.write("parts/a.parquet", None)
    assert _is_missing(files, "parts/a.parquet")
    assert _is_missing(open_files(), "parts/a.parquet")


def check_names_are_those_below_a_prefix_in_order(open_files: Open) -> None:
    files = open_files()
    for name in ("b", "a/2", "a/1/deep", "ab", "a/10"):
        files.write(name, name.encode())
    assert [info.name for info in files.names()] == ["a/1/deep", "a/10", "a/2", "ab", "b"]
    assert [info.name for info in files.names("a/")] == ["a/1/deep", "a/10", "a/2"]
    assert [info.name for info in files.names("a/1")] == ["a/1/deep", "a/10"]
    assert [info.size for info in files.names("a/1")] == [8, 4]
    assert all(info.written_us > 0 for info in files.names())
    assert files.names("c/") == []


def check_a_write_with_a_tag_replaces_what_was_read_only(open_files: Open) -> None:
    files, other = open_files(), open_files()
    with files.writing():
        files.write("manifest.json", b"1", ABSENT)
    before = files.read("manifest.json")
    assert before is not None
    with other.writing():
        other.write("manifest.json", b"2", before.tag)
    for tag in (before.tag, ABSENT):
        with files.writing():
            try:
                files.write("manifest.json", b"3", tag)
            except StoreUnavailable:
                continue
        raise AssertionError("a file that changed meanwhile must not be replaced")
    assert _content(files.read("manifest.json")) == b"2"


def check_of_many_writers_none_overwrites_another(open_files: Open) -> None:
    """Each adds its numbers to one file; every number is there once at the end."""
    faults: list[BaseException] = []

    def add(writer: int) -> None:
        files = open_files()
        try:
            for number in range(_ROUNDS):
                while not _added(files, writer * _ROUNDS + number):
                    pass
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=add, args=(writer,)) for writer in range(_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
    assert sorted(msgspec.json.decode(_content(open_files().read("numbers")))) == list(range(_WRITERS * _ROUNDS))


def _added(files: FileStore, number: int) -> bool:
    with files.writing():
        stored = files.read("numbers")
        numbers = [] if stored is None else msgspec.json.decode(stored.content)
        try:
            files.write("numbers", msgspec.json.encode([*numbers, number]), ABSENT if stored is None else stored.tag)
        except StoreUnavailable:
            return False
    return True


def _content(stored: StoredFile | None) -> bytes:
    assert stored is not None
    return stored.content


def _is_missing(files: FileStore, name: str) -> bool:
    try:
        files.local(name)
    except FileNotFoundError:
        return True
    return False


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
