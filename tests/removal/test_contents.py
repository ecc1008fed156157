"""The kind of a file is read from its bytes."""

import gzip
import io
import zipfile

import polars as pl
import pytest

from flyball.removal.contents import encoding_of, kind_of, unpacked

PARQUET, ARROW, ZIP = io.BytesIO(), io.BytesIO(), io.BytesIO()
pl.DataFrame({"user": ["7"]}).write_parquet(PARQUET)
pl.DataFrame({"user": ["7"]}).write_ipc(ARROW)
with zipfile.ZipFile(ZIP, "w") as _archive:
    _archive.writestr("a", b"7")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PARQUET.getvalue(), "parquet"),
        (ARROW.getvalue(), "arrow"),
        (ZIP.getvalue(), "zip"),
        pytest.param(gzip.compress(b"7"), "gzip", id="gzip"),
        (b"\x89PNG\r\n\x1a\n\0", "binary"),
        (b"\xff\x01", "binary"),
        (b"", "text"),
    ],
)
def test_real_files_of_each_kind(content: bytes, kind: str) -> None:
    assert kind_of(content) == kind


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16-le", "utf-16-be"])
def test_a_text_is_read_as_it_was_written(encoding: str) -> None:
    text = ("\ufeff" if encoding.startswith("utf-16") else "") + "zo\u00eb\n"
    assert text.encode(encoding).decode(encoding_of(text.encode(encoding))) == text


def test_packed_files_are_read_and_damaged_ones_are_their_bytes() -> None:
    assert unpacked(ZIP.getvalue()) == unpacked(gzip.compress(b"7")) == [b"7"]
    for damaged in (ZIP.getvalue()[:20], gzip.compress(b"7")[:-9]):
        assert unpacked(damaged) == [damaged]
