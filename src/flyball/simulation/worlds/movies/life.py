"""The life of a movie service: users with hidden tastes, day by day, and the log lines of their sessions.

A step is three calls: `sessions` (those that begin before a timestamp), `decide` (what users do with the list they are
shown), and `emit` (the lines and profiles that reach the log before that timestamp). State changes only in these calls,
no clock is read, and all randomness comes from one generator, so the same calls give the same lines.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from flyball.core import BadInput
from flyball.simulation.world import Timeline
from flyball.simulation.worlds.movies import taste
from flyball.simulation.worlds.movies.behavior import Viewings, choose_from_list, hourly_rate, plan_viewings, search
from flyball.simulation.worlds.movies.catalog import GENRES, Films, genre_directions, make_films
from flyball.simulation.worlds.movies.log_lines import (
    DAY_US,
    SECOND_US,
    account_line,
    failed_request_line,
    rate_line,
    request_line,
    watch_line,
    with_inserted_character,
    with_random_film,
    write_time_ms,
    write_times,
)
from flyball.simulation.worlds.movies.users import OCCUPATIONS, Users, make_users, tribe_centers

DIMS = 16
KINDS = ("watch", "rate", "account", "request", "broken", "altered", "random_film", "duplicate")
_KIND = {kind: code for code, kind in enumerate(KINDS)}
_MINUTE_US = 60 * SECOND_US

ProfileRow = tuple[str, dict[str, Any], int]
"""Type name, fields, and the timestamp from which it holds (microseconds)."""


class Sessions(msgspec.Struct, frozen=True):
    """Sessions that begin, ordered by time: `users` int64 (b,) indices, `at_us` int64 (b,) world time."""

    users: np.ndarray
    at_us: np.ndarray

    def __len__(self) -> int:
        return len(self.users)


class Choices(msgspec.Struct, frozen=True):
    """The result of each session, int64 (b,) each.

    `film`: its index, -1 for none. `rank`: of the film in the list, -1 if it is not from the list. `start_us`,
    `minutes`: when and how long it is watched, 0 minutes for none.
    """

    film: np.ndarray
    rank: np.ndarray
    start_us: np.ndarray
    minutes: np.ndarray


class MovieBatch(msgspec.Struct, frozen=True):
    """Lines in order of arrival, new profiles, and the true number of lines of each of `KINDS` (`planted`)."""

    lines: list[bytes]
    profiles: list[ProfileRow]
    planted: dict[str, int]


class Habits(msgspec.Struct, frozen=True):
    """Rates of a world: sessions a day of one user (`by_hour`: by hour and weekday, otherwise evenly), and shares."""

    sessions_a_day: float = 0.5
    search_share: float = 0.75
    rating_share: float = 0.3
    corrupt_share: float = 0.001
    duplicate_share: float = 0.0005
    by_hour: bool = True


class MovieLife:
    """Users, films and the sessions in progress; `make_life` draws one."""

    def __init__(
        self, users: Users, films: Films, rng: np.random.Generator, start_us: int, habits: Habits | None = None
    ) -> None:
        self.users, self.films, self.habits = users, films, habits or Habits()
        self.start_us, self.now_us = start_us, start_us
        self.timeline = Timeline()
        self.film_index = {slug: i for i, slug in enumerate(films.slugs)}
        self.server = "flyball:8082"
        self.rng = rng
        self._activity = np.cumsum(users.activity, dtype=np.float64)
        self._popularity = np.cumsum(films.weight)
        self._busy_until_us = np.zeros(len(users), dtype=np.int64)
        self._tastes: np.ndarray | None = None
        self._watched: dict[int, set[int]] = {}
        self._viewings = Viewings.none()
        self._requests: list[tuple[int, int, str]] = []
        self._wire = _Wire()

    def lean(self, share: float, times: float) -> None:
        """Have the sessions of one tribe be more of all, see `Users.leaning`, and `times` as many in total."""
        self._activity = np.cumsum(self.users.leaning(share), dtype=np.float64) * times

    def turn_tastes(self, share: float) -> None:
        """Give the first `share` of the users the tastes that others had at the start."""
        if self._tastes is None:
            self._tastes = self.users.tastes
        turned = np.arange(len(self.users)) < share * len(self.users)
        others = np.roll(self._tastes, len(self.users) // 2, axis=0)
        self.users = msgspec.structs.replace(self.users, tastes=np.where(turned[:, None], others, self._tastes))

    # --- sessions -------------------------------------------------------------------------------------------------

    def sessions(self, until_us: int) -> Sessions:
        """Sessions that begin in [now, until_us): a Poisson process by hour and weekday, thinned for each user."""
        if until_us <= self.now_us:
            raise BadInput("until_us", f"after {self.now_us}", until_us)
        rng, users = self.rng, self.users
        days = (until_us - self.now_us) / DAY_US
        peak = hourly_rate.peak if self.habits.by_hour else 1.0
        n = int(rng.poisson(self.habits.sessions_a_day * days * float(self._activity[-1]) * peak))
        at_us = self.now_us + (rng.random(n) * (until_us - self.now_us)).astype(np.int64)
        who = np.searchsorted(self._activity, rng.random(n) * self._activity[-1], side="right")
        keep = np.ones(n, dtype=bool)
        if self.habits.by_hour:
            keep = rng.random(n) * peak < hourly_rate(at_us, users.shift_h[who])
        keep &= self._joined_us(who) <= at_us
        fresh = self._joining(until_us)
        who = np.concatenate([who[keep], fresh])
        at_us = np.concatenate([at_us[keep], self._joined_us(fresh) + 40 * SECOND_US])
        order = np.argsort(at_us, kind="stable")
        who, at_us = who[order], at_us[order]
        first = np.zeros(len(who), dtype=bool)
        first[np.unique(who, return_index=True)[1]] = True
        free = first & (self._busy_until_us[who] <= at_us)
        return Sessions(who[free], at_us[free])

    def decide(self, sessions: Sessions, lists: Sequence[Sequence[str] | None]) -> Choices:
        """Each user looks at the list (None for no response) and starts a film, searches for one, or leaves."""
        if len(lists) != len(sessions):
            raise BadInput("lists", f"one for each of {len(sessions)} sessions", len(lists))
        rng, films = self.rng, self.films
        shown = self._indices(lists)
        seen = [self._watched.get(user, _NOTHING) for user in sessions.users.tolist()]
        rank = choose_from_list(rng, self.users.tastes[sessions.users], films, shown, seen)
        film = np.where(rank >= 0, shown[np.arange(len(sessions)), np.maximum(rank, 0)], -1)
        searching = np.flatnonzero((rank < 0) & (rng.random(len(sessions)) < self.habits.search_share))
        film[searching] = search(
            rng,
            self.users.tastes[sessions.users[searching]],
            films,
            self._popularity,
            self.premiered(),
            [seen[i] for i in searching.tolist()],
        )
        return Choices(film, rank, *self._begin(sessions, film))

    def note_requests(self, sessions: Sessions, lists: Sequence[Sequence[str] | None], took_ms: Sequence[int]) -> None:
        """Add the recommendation request lines of the sessions."""
        stamped = self.timeline.written(sessions.at_us).tolist()
        for user, at_us, stamp, shown, took in zip(
            sessions.users.tolist(), sessions.at_us.tolist(), stamped, lists, took_ms, strict=True
        ):
            time, name = write_time_ms(stamp), str(user + 1)
            if shown:
                line = request_line(time, name, self.server, shown, took)
            else:
                line = failed_request_line(time, name, self.server, took)
            self._requests.append((at_us, user, line))

    def _begin(self, sessions: Sessions, film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        starting = np.flatnonzero(film >= 0)
        users, films = sessions.users[starting], film[starting]
        for user, chosen in zip(users.tolist(), films.tolist(), strict=True):
            self._watched.setdefault(user, set()).add(chosen)
        started = plan_viewings(
            self.rng, self.users, self.films, users, films, sessions.at_us[starting], self.habits.rating_share
        )
        self._busy_until_us[users] = started.start_us + started.minutes * _MINUTE_US + 10 * _MINUTE_US
        self._viewings = self._viewings.plus(started)
        start_us, minutes = np.zeros((2, len(sessions)), dtype=np.int64)
        start_us[starting], minutes[starting] = started.start_us, started.minutes
        return start_us, minutes

    # --- what reaches the log -------------------------------------------------------------------------------------

    def emit(self, until_us: int) -> MovieBatch:
        """The lines that arrive and the profiles that appear in [now, until_us); now becomes `until_us`."""
        if until_us <= self.now_us:
            raise BadInput("until_us", f"after {self.now_us}", until_us)
        for kind, users, at_us, lines in self._written(until_us):
            self._send(kind, users, at_us, lines)
        profiles = [*self._user_rows(self._joining(until_us)), *self._film_rows(self._premiering(until_us))]
        self._viewings = self._viewings.unfinished(until_us)
        self.now_us = until_us
        lines_, planted = self._wire.take(until_us)
        return MovieBatch(lines_, profiles, planted)

    def _written(self, until_us: int) -> Iterator[tuple[str, np.ndarray, np.ndarray, list[str]]]:
        slugs, viewings = self.films.slugs, self._viewings
        row, minute, at_us = viewings.minutes_in(self.now_us, until_us)
        users, films = viewings.user[row], viewings.film[row]
        names = (users + 1).tolist()
        yield (
            "watch",
            users,
            at_us,
            [
                watch_line(time, str(name), slugs[film], number)
                for time, name, film, number in zip(
                    write_times(self.timeline.written(at_us)), names, films.tolist(), minute.tolist(), strict=True
                )
            ],
        )
        rated = viewings.ratings_in(self.now_us, until_us)
        users, at_us = viewings.user[rated], viewings.rate_us[rated]
        yield (
            "rate",
            users,
            at_us,
            [
                rate_line(time, str(user + 1), slugs[film], stars)
                for time, user, film, stars in zip(
                    write_times(self.timeline.written(at_us)),
                    users.tolist(),
                    viewings.film[rated].tolist(),
                    viewings.stars[rated].tolist(),
                    strict=True,
                )
            ],
        )
        users = self._joining(until_us)
        at_us = self._joined_us(users)
        times = write_times(self.timeline.written(at_us))
        yield "account", users, at_us, [account_line(t, str(u + 1)) for t, u in zip(times, users.tolist(), strict=True)]
        requests, self._requests = self._requests, []
        users, at_us = (np.array([request[column] for request in requests], dtype=np.int64) for column in (1, 0))
        yield "request", users, at_us, [line for _, _, line in requests]

    def _send(self, kind: str, users: np.ndarray, at_us: np.ndarray, lines: list[str]) -> None:
        """Corrupt and repeat some lines and put all into transit."""
        rng, n = self.rng, len(lines)
        kinds = np.full(n, _KIND[kind], dtype=np.int8)
        arrival_us = at_us + _lag_us(users, at_us)
        draws = rng.random(n)
        if kind in ("watch", "rate"):
            for i in np.flatnonzero(draws < self.habits.corrupt_share).tolist():
                lines[i], kinds[i] = _corrupt(rng, lines[i])
        again = np.flatnonzero(draws > 1.0 - self.habits.duplicate_share)
        later_us = arrival_us[again] + rng.integers(1, 30 * SECOND_US, size=len(again))
        self._wire.put(arrival_us, kinds, lines)
        self._wire.put(later_us, np.full(len(again), _KIND["duplicate"], np.int8), [lines[i] for i in again.tolist()])

    # --- profiles -------------------------------------------------------------------------------------------------

    def profiles(self) -> Iterator[ProfileRow]:
        """The profiles of the users and films of the start, films first."""
        yield from self._film_rows(np.flatnonzero(self.films.premiere_day <= 0))
        yield from self._user_rows(np.flatnonzero(self.users.joins_day <= 0))

    def _user_rows(self, users: np.ndarray) -> Iterator[ProfileRow]:
        columns = self.users
        at_us = self.timeline.written(self._joined_us(users)).tolist()
        for user, at in zip(users.tolist(), at_us, strict=True):
            yield (
                "viewer",
                {
                    "user": user + 1,
                    "age": int(columns.age[user]),
                    "gender": "FM"[columns.gender[user]],
                    "occupation": OCCUPATIONS[columns.occupation[user]],
                },
                at,
            )

    def _film_rows(self, films: np.ndarray) -> Iterator[ProfileRow]:
        columns = self.films
        for film, at in zip(films.tolist(), self.timeline.written(self._premiere_us(films)).tolist(), strict=True):
            yield (
                "filmcard",
                {
                    "film": columns.slugs[film],
                    "genres": [GENRES[g] for g in np.flatnonzero(columns.genres[film]).tolist()],
                    "year": int(columns.year[film]) or None,
                    "language": columns.language[film],
                },
                at,
            )

    # --- helpers --------------------------------------------------------------------------------------------------

    @property
    def watching(self) -> bool:
        """Whether sessions that have begun will leave more lines."""
        return len(self._viewings.user) > 0 or len(self._requests) > 0 or self._wire.holds_any

    def premiered(self, now_us: int | None = None) -> np.ndarray:
        """Which films exist at `now_us` (default: now), bool (films,)."""
        now_us = self.now_us if now_us is None else now_us
        return np.asarray(self.start_us + self.films.premiere_day * DAY_US <= now_us)

    def joined(self) -> np.ndarray:
        """Which users exist now, bool (users,)."""
        return np.asarray(self.start_us + self.users.joins_day.astype(np.float64) * DAY_US <= self.now_us)

    def watched(self, user: int) -> set[int]:
        """The films that user index `user` has started."""
        return self._watched.get(user, set())

    def like_probability(self, user: int, films: Sequence[int]) -> np.ndarray:
        """The true probability that user index `user` likes each film index after starting it, float64 (films,)."""
        chosen = np.asarray(films, dtype=np.int64)
        expected = taste.affinity(
            self.users.tastes[[user]], self.films.tastes[chosen][None], self.films.quality[chosen][None]
        )
        return taste.like_probability(expected)[0]  # type: ignore[no-any-return]

    def nbytes(self) -> int:
        """Memory of the columns of users and films (texts not counted)."""
        films = sum(
            v.nbytes for f in self.films.__struct_fields__ if isinstance(v := getattr(self.films, f), np.ndarray)
        )
        return (
            self.users.nbytes() + films + self._activity.nbytes + self._popularity.nbytes + self._busy_until_us.nbytes
        )

    def _indices(self, lists: Sequence[Iterable[str] | None]) -> np.ndarray:
        """The indices of the films of lists, int64 (b, longest); -1 for padding and for unknown films."""
        indices = [[self.film_index.get(slug, -1) for slug in shown or ()] for shown in lists]
        rows = np.full((len(indices), max(1, *map(len, indices)) if indices else 1), -1, dtype=np.int64)
        for row, films in zip(rows, indices, strict=True):
            row[: len(films)] = films
        return rows

    def _joined_us(self, users: np.ndarray) -> np.ndarray:
        return self._whole_seconds(self.users.joins_day[users])

    def _premiere_us(self, films: np.ndarray) -> np.ndarray:
        return self._whole_seconds(self.films.premiere_day[films])

    def _whole_seconds(self, days: np.ndarray) -> np.ndarray:
        since_us = (np.maximum(days, 0.0).astype(np.float64) * 86_400).astype(np.int64) * SECOND_US
        return np.asarray(self.start_us + since_us)

    def _joining(self, until_us: int) -> np.ndarray:
        return self._between(self.users.joins_day, self._joined_us, until_us)

    def _premiering(self, until_us: int) -> np.ndarray:
        return self._between(self.films.premiere_day, self._premiere_us, until_us)

    def _between(self, days: np.ndarray, time_of: Callable[[np.ndarray], np.ndarray], until_us: int) -> np.ndarray:
        """Indices whose day above 0 falls in [now, until)."""
        near = np.flatnonzero((days > 0) & (days < (until_us - self.start_us) / DAY_US + 1))
        at_us = time_of(near)
        return np.asarray(near[(at_us >= self.now_us) & (at_us < until_us)])


class _Wire:
    """Lines in transit from users to the log, by time of arrival."""

    def __init__(self) -> None:
        self._arrival_us: list[np.ndarray] = []
        self._kinds: list[np.ndarray] = []
        self._lines: list[str] = []

    def put(self, arrival_us: np.ndarray, kinds: np.ndarray, lines: list[str]) -> None:
        self._arrival_us.append(arrival_us)
        self._kinds.append(kinds)
        self._lines.extend(lines)

    @property
    def holds_any(self) -> bool:
        return bool(self._lines)

    def take(self, until_us: int) -> tuple[list[bytes], dict[str, int]]:
        """The lines that arrive before `until_us`, in order of arrival, and how many of each kind."""
        arrival_us, kinds = np.concatenate(self._arrival_us), np.concatenate(self._kinds)
        order = np.argsort(arrival_us, kind="stable")
        arrived_count = int(np.searchsorted(arrival_us[order], until_us, side="left"))
        arrived, left = order[:arrived_count], order[arrived_count:]
        lines = [self._lines[i].encode("ascii") for i in arrived.tolist()]
        counts = np.bincount(kinds[arrived], minlength=len(KINDS)).tolist()
        self._arrival_us, self._kinds = [arrival_us[left]], [kinds[left]]
        self._lines = [self._lines[i] for i in left.tolist()]
        return lines, dict(zip(KINDS, counts, strict=True))


_NOTHING: frozenset[int] = frozenset()


def _corrupt(rng: np.random.Generator, line: str) -> tuple[str, int]:
    if rng.random() < 0.4:
        return with_random_film(line, rng), _KIND["random_film"]
    altered, broken = with_inserted_character(line, rng)
    return altered, _KIND["broken" if broken else "altered"]


def _lag_us(users: np.ndarray, at_us: np.ndarray) -> np.ndarray:
    """The transit time of each line: order is kept within each of two partitions, and the second is 0 to 6 s late."""
    late = np.array([zlib.crc32(b"%d" % (user + 1)) % 2 for user in users.tolist()], dtype=np.float64)
    swing = 1.0 + np.sin(at_us % DAY_US / (600.0 * SECOND_US))
    return np.asarray((late * 3.0 * swing * SECOND_US).astype(np.int64))


def make_life(
    users: int,
    films: int = 27_000,
    *,
    seed: int,
    start_us: int,
    habits: Habits | None = None,
    joins_a_day: float | None = None,
    premieres_a_day: float = 3.0,
    life: int = 0,
) -> MovieLife:
    """Draw a service with `films` films and `users` users at `start_us`; a fifth more join later.

    `joins_a_day`: by default 1 % of the users. `life`: another number gives other sessions of the same users and films.
    """
    rng_world, rng_users, rng_films = (np.random.default_rng([seed, part]) for part in range(3))
    directions = genre_directions(rng_world, DIMS)
    centers = tribe_centers(rng_world, DIMS, directions)
    joins = 0.01 * users if joins_a_day is None else joins_a_day
    return MovieLife(
        make_users(rng_users, users, centers, joins_a_day=joins, joining=-(-users // 5) if joins > 0 else 0),
        make_films(rng_films, films, directions, premieres_a_day=premieres_a_day),
        np.random.default_rng([seed, 3, life]),
        start_us,
        habits,
    )
