"""Sizes in bytes as text, "512MB", "2GiB", and counts with their unit, "1 user"."""

import re

from flyball.core.errors import BadInput

_BYTES = {
    "B": 1,
    "KB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMG]i?B|B)")


def parse_size(text: str) -> int:
    """Whole bytes of a size; raises `BadInput` for anything but a number with a unit.

    >>> parse_size("1.5GB"), parse_size("512MiB")
    (1500000000, 536870912)
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise BadInput("size", f"a number with a unit {', '.join(_BYTES)}, such as 2GB", text)
    return round(float(match[1]) * _BYTES[match[2]])


def counted_units(count: int, unit: str) -> str:
    """A count with its unit, in singular or plural.

    >>> counted_units(3_000, "delivery"), counted_units(1, "user")
    ('3,000 deliveries', '1 user')
    """
    plural = f"{unit[:-1]}ies" if unit.endswith("y") and unit[-2:-1] not in "aeiou" else f"{unit}s"
    return f"{count:,} {unit if count == 1 else plural}"
