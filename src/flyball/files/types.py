"""The protocol of a store of files, and what it returns."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

ABSENT = ""
"""The tag of a file that is not there."""

_DAY_US = 86_400_000_000


class StoredFile(msgspec.Struct, frozen=True):
    """The bytes of a file, and the tag that a write passes to replace exactly these."""

    content: bytes
    tag: str


class FileInfo(msgspec.Struct, frozen=True):
    """The name of a file, its size in bytes, and when it was written by the store's clock."""

    name: str
    size: int
    written_us: int


class FileStore(Protocol):
    """Files by name, such as "parts/buy/000000001.parquet".

    `folder`: where this machine has them: the store itself, or its cache. `is_shared`: whether other machines may write
    to it, which no lock of this one keeps out. `where`: the store in messages, without secrets.

    `read` returns a file that may be replaced, None where there is none. `write` stores bytes, or the content of a
    local file, as a whole; None removes the file. With a tag, inside `writing`, it raises `StoreUnavailable` unless the
    present file has it (`ABSENT`: unless there is none). `local` is the path of a file that is never replaced; raises
    `FileNotFoundError`. `names` lists the files below a prefix, ordered by name. `writing` keeps other writers of this
    machine out. All raise `StoreUnavailable` for a store that does not answer in time.
    """

    @property
    def folder(self) -> Path: ...

    @property
    def is_shared(self) -> bool: ...

    @property
    def where(self) -> str: ...

    def read(self, name: str) -> StoredFile | None: ...

    def write(self, name: str, content: bytes | Path | None, tag: str | None = None) -> None: ...

    def local(self, name: str) -> Path: ...

    def names(self, prefix: str = "") -> list[FileInfo]: ...

    def writing(self) -> AbstractContextManager[None]: ...


def unfinished(files: FileStore, infos: Sequence[FileInfo], kept: Collection[str]) -> list[str]:
    """The names of files that writers who died have left: those that are not `kept`.

    Where other machines write too, only those written a day before the newest file or earlier: the others may be listed
    soon.
    """
    newest_us = max((info.written_us for info in infos), default=0)
    settled_us = newest_us - _DAY_US if files.is_shared else newest_us
    return [info.name for info in infos if info.name not in kept and info.written_us <= settled_us]
