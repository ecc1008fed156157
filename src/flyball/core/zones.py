"""Time zones by name, and local times in them."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from flyball.core.errors import BadInput


def find_zone(name: str) -> tzinfo:
    """The zone of a name such as Europe/Berlin, with its summer times; raises `BadInput` for an unknown one."""
    if name == "UTC":
        return UTC  # known also where the system has no table of zones
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # not a path, a folder of zones, none of that name
        raise BadInput("zone", "one the system knows, such as UTC or Europe/Berlin", name) from None


def with_zone(local: datetime, zone: tzinfo) -> datetime:
    """`local`, which names no offset, as a time in `zone`.

    Of an hour that the clocks repeat when summer time ends, the first pass is meant. A time that they skip when it
    begins never was: raises `BadInput`, since it shows that the zone is a wrong one.
    """
    first = local.replace(tzinfo=zone, fold=0)
    if zone is UTC:
        return first
    ahead, later = first.utcoffset(), local.replace(tzinfo=zone, fold=1).utcoffset()
    if ahead is not None and later is not None and ahead < later:
        must = f"one that clocks in {zone} showed: they skipped this hour (is it the right zone?)"
        raise BadInput("time", must, str(local))
    return first
