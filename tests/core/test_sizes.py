"""Sizes in words."""

import pytest

from flyball.core import BadInput, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0B", 0),
        ("7B", 7),
        ("1KB", 1000),
        ("2 MB", 2_000_000),
        ("2.5GB", 2_500_000_000),
        ("1KiB", 1024),
        ("512MiB", 512 * 1024**2),
        ("3GiB", 3 * 1024**3),
    ],
)
def test_a_number_with_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "2", "GB", "2gb", "-1GB", "1,5GB", "2GB ", "2TB", "1e3MB", "2GB\n"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="such as 2GB"):
        parse_size(text)
