"""Whether the keys of a window, such as its users, are a sample of all keys, and how alike their rows then are."""

from flyball.monitoring.profiles.table import TableProfile

FEWEST_KEYS = 10
_LARGEST_SHARE = 0.5


def dependence(now: TableProfile, usual: TableProfile, column: str) -> float:
    """How many rows of `column` count as one where the keys of a window are a sample, such as users; else 1.

    `usual`: the windows before. Where most of all keys come in each window, as machines do, how windows differ says
    more. Infinite for fewer than 10 keys of a sample: they say nothing.
    """
    keys, known = now.keys.estimate(), usual.keys.estimate()
    if not keys or keys > _LARGEST_SHARE * known:
        return 1.0
    return now.column(column).alike if keys >= FEWEST_KEYS else float("inf")
