"""The answers that were adopted: a film of their list was watched."""

from collections.abc import Sequence

import msgspec

from flyball.simulation.world import DAY_US

_COUNTS_FOR_US = DAY_US
"""The time after an answer within which a minute of one of its films counts, as in the outcomes of the application."""
_KEPT_US = 2 * DAY_US
_MINUTE_US = 60_000_000


class _Shown(msgspec.Struct, frozen=True):
    request: int
    at_us: int
    films: frozenset[int]


class _Watch(msgspec.Struct, frozen=True):
    film: int
    start_us: int
    last_us: int


class Adoptions:
    """The recent lists of each user, and which of them were adopted.

    A list is adopted by the first minute of one of its films after it, within a day. A minute counts for one list only:
    the earliest one that it is the first minute for. Lists and films must be noted before `until` passes their time.
    """

    def __init__(self) -> None:
        self._lists: dict[int, list[_Shown]] = {}
        self._watches: dict[int, list[_Watch]] = {}
        self._first_us: dict[tuple[int, int], tuple[int, int, int]] = {}  # (request, film): first minute, at, user
        self._taken: dict[tuple[int, int], list[int]] = {}  # (user, film): minutes that a list was adopted by
        self._adopted: set[int] = set()

    def shown(self, user: int, request: int, at_us: int, films: Sequence[int]) -> None:
        """Note a list that is shown at `at_us`."""
        shown = _Shown(request, at_us, frozenset(films))
        self._lists.setdefault(user, []).append(shown)
        self._watches[user] = [begun for begun in self._watches.get(user, ()) if begun.last_us >= at_us]
        for watch in self._watches[user]:
            self._note(user, shown, watch)

    def started(self, user: int, film: int, start_us: int, minutes: int) -> None:
        """Note a film that is watched from `start_us` on."""
        watch = _Watch(film, start_us, start_us + (minutes - 1) * _MINUTE_US)
        self._watches.setdefault(user, []).append(watch)
        self._lists[user] = [shown for shown in self._lists.get(user, ()) if shown.at_us > start_us - _KEPT_US]
        for shown in self._lists[user]:
            self._note(user, shown, watch)

    def until(self, until_us: int) -> list[int]:
        """The requests whose lists were adopted since the last call and before `until_us`."""
        due = sorted((*first, key) for key, first in self._first_us.items() if first[0] < until_us)
        adopted = []
        for first_us, _, user, (request, film) in due:
            del self._first_us[request, film]
            watch_times = self._taken.setdefault((user, film), [])
            if first_us in watch_times:
                continue
            watch_times[:] = [minute for minute in watch_times if minute > first_us - _KEPT_US] + [first_us]
            if request not in self._adopted:
                adopted.append(request)
            self._adopted.add(request)
        return adopted

    def _note(self, user: int, shown: _Shown, watch: _Watch) -> None:
        if watch.film not in shown.films:
            return
        passed_us = max(0, shown.at_us - watch.start_us)
        first_us = watch.start_us + -(-passed_us // _MINUTE_US) * _MINUTE_US
        if first_us <= min(watch.last_us, shown.at_us + _COUNTS_FOR_US):
            key, first = (shown.request, watch.film), (first_us, shown.at_us, user)
            self._first_us[key] = min(first, self._first_us.get(key, first))
