"""Which answers truly led to a film being watched."""

from collections.abc import Sequence

import msgspec

from flyball.simulation.world import DAY_US

_COUNTS_FOR_US = DAY_US
"""How long after an answer a minute of one of its films counts for it, as the application's outcomes count."""
_MINUTE_US = 60_000_000


class _Shown(msgspec.Struct):
    request: int
    at_us: int
    films: frozenset[int]
    adopted: bool = False


class Adoptions:
    """The lists of each user's last day, and which of them were adopted: each minute of a film counts for the first
    answer within a day before it that showed the film."""

    def __init__(self) -> None:
        self._lists: dict[int, list[_Shown]] = {}

    def shown(self, user: int, request: int, at_us: int, films: Sequence[int]) -> None:
        """Note a list as it is shown."""
        self._lists.setdefault(user, []).append(_Shown(request, at_us, frozenset(films)))

    def started(self, user: int, film: int, start_us: int, minutes: int) -> list[int]:
        """Note a film that is watched from `start_us` on; the requests that are adopted by it and were not before."""
        recent = [shown for shown in self._lists.get(user, ()) if shown.at_us > start_us - 2 * _COUNTS_FOR_US]
        self._lists[user] = recent
        adopted = []
        after_us, last_us = start_us, start_us + (minutes - 1) * _MINUTE_US
        for shown in recent:
            # Minutes from `after_us` on are still nobody's: earlier answers' days have ended before them.
            if film in shown.films and after_us <= min(last_us, shown.at_us + _COUNTS_FOR_US - 1):
                if not shown.adopted:
                    adopted.append(shown.request)
                shown.adopted = True
                passed_us = max(0, shown.at_us + _COUNTS_FOR_US - start_us)
                after_us = start_us + -(-passed_us // _MINUTE_US) * _MINUTE_US
        return adopted
