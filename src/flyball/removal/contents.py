"""What kind a file is, by its bytes: its name may say something else."""

import gzip
import io
import re
import zipfile
import zlib

_KINDS = {
    b"PAR1": "parquet",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"SQLite format 3\0": "database",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"ARROW1": "arrow",
}
_UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
OPAQUE = ("zstd", "bzip2", "xz")
"""Kinds in which nothing is looked for, so that they may hold an id."""


def kind_of(content: bytes) -> str:
    """The kind of a file: `text`, `binary` or a known format.

    >>> kind_of(b"PAR1"), kind_of("zo\u00eb".encode("utf-16")), kind_of(b"a\\0b"), kind_of(b"a")
    ('parquet', 'text', 'binary', 'text')
    """
    for start, kind in _KINDS.items():
        if content.startswith(start):
            return kind
    return "text" if encoding_of(content) else "binary"


def encoding_of(content: bytes) -> str:
    """How the bytes of a text are read: by their mark as UTF-16, else as UTF-8 or Latin-1; "" of other bytes."""
    for mark, encoding in _UTF_16.items():
        if content.startswith(mark):
            return encoding if _is_read(content, encoding) else ""
    if b"\0" in content:
        return ""
    if _is_read(content, "utf-8"):
        return "utf-8"
    return "" if _CONTROL.search(content) else "latin-1"


def _is_read(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def unpacked(content: bytes) -> list[bytes]:
    """What a file of gzip or zip holds; where it is damaged, its own bytes."""
    try:
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return [archive.read(name) for name in archive.namelist()]
        return [gzip.decompress(content)]
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError):
        return [content]
