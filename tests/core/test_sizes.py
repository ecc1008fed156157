"""Sizes in words."""

import pytest

from flyball.core import BadInput, counted_units, parse_size


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


@pytest.mark.parametrize(
    ("count", "unit", "text"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (1, "prediction", "1 prediction"),
        (1_200, "entity", "1,200 entities"),
        (2, "day", "2 days"),
        (1, "row in quarantine", "1 row in quarantine"),
    ],
)
def test_a_count_has_its_unit_in_the_right_number(count: int, unit: str, text: str) -> None:
    assert counted_units(count, unit) == text
