"""Time zones by name, and local times in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from flyball.core.errors import BadInput

_QUARTER_US = 900_000_000


def find_zone(name: str) -> tzinfo:
    """The time zone called `name`, such as Europe/Berlin; raises `BadInput` for an unknown one."""
    if name == "UTC":
        return UTC  # works also where the system has no time zone database
    from zoneinfo import ZoneInfo  # takes 2 ms of every command, and most name no zone

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # respectively: an invalid path, a folder, no such zone
        raise BadInput("zone", "one the system knows, such as UTC or Europe/Berlin", name) from None


def with_zone(local: datetime, zone: tzinfo) -> datetime:
    """`local`, a time without an offset, as a time in `zone`.

    Of an hour that repeats when summer time ends, the first is taken. Raises `BadInput` for a time that is skipped when
    summer time begins: it never occurred, so the zone is likely wrong.
    """
    first = local.replace(tzinfo=zone, fold=0)
    if zone is UTC:
        return first
    ahead, later = first.utcoffset(), local.replace(tzinfo=zone, fold=1).utcoffset()
    if ahead is not None and later is not None and ahead < later:
        must = f"one that clocks in {zone} showed: they skipped this hour (is it the right zone?)"
        raise BadInput("time", must, str(local))
    return first


def local_days(at_us: Sequence[int], zone: tzinfo) -> list[int]:
    """The calendar day in `zone` of each time, as a number: of 1 January 1970 it is 0.

    Clocks change on a quarter of an hour, so the day is looked up once for each quarter.

    >>> local_days([0, 82_800_000_000], find_zone("Europe/Berlin"))  # 23:00 UTC is midnight there
    [0, 1]
    """
    quarters = {at // _QUARTER_US for at in at_us}
    first = datetime(1970, 1, 1).toordinal()
    day_of = {
        quarter: datetime.fromtimestamp(quarter * _QUARTER_US // 1_000_000, zone).toordinal() - first
        for quarter in quarters
    }
    return [day_of[at // _QUARTER_US] for at in at_us]
