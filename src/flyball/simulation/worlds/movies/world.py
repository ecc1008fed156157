"""The movie service as a `World`: requests, movielog lines and profiles, true adoption, true quality of lists."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec
import numpy as np

from flyball.core import BadInput, Doubles
from flyball.simulation.world import DrillScale, PushAttack, Timeline, TrueOutcome, WorldBatch, WorldRequest
from flyball.simulation.worlds.movies.adoption import Adoptions
from flyball.simulation.worlds.movies.life import Habits, ProfileRow, Sessions, make_life
from flyball.simulation.worlds.movies.lists import Best, best_lists, list_quality, rankings
from flyball.simulation.worlds.movies.poison import push_films
from flyball.tasks import RankedItem, Response

_MORE_DEMAND, _OTHER_MIX = 4.0, 0.5
"""At a shift of demand of 1: how many times as many sessions in addition, and how far their mix shifts."""


class MovieWorld:
    """Users of a movie service. Its lines are in movielog format; profiles (viewer, film card) are JSON lines.

    `users`: at the start; a fifth more join later. `items`: films. `k`: items of a list. `sessions_a_day`: of one user.
    `search_share`: of the sessions in which the list was not used, those in which the user searches a film.
    `rating_share`: of the films that are rated. `corrupt_share`, `duplicate_share`: of lines that are corrupted, and of
    those that are sent twice. `premieres_a_day`: new films a day.

    True outcome: `adopted`, a film of the list was watched within a day. True metrics: `quality`, the mean probability
    that the user likes an item of the list after starting it; `ndcg`, with these probabilities as gains; `taken`, the
    probability that an item is started from the list.
    """

    DRILL = DrillScale(
        {"past_days": 2, "users": 3_000, "items": 200, "sessions_a_day": 1.0, "search_share": 0.2},
        margin=0.03,
        of_data={"users": 400},
        # So many lists, worth so much, that a day shows the loss of half of it: docs/how-to/drill-a-shift.md.
        of_shift={"users": 800, "items": 600, "past_days": 21, "search_share": 0.75},
        of_shift_candidates=("item_knn", "ease"),
        shift_step_h=6,
        of_monitors={"users": 300, "items": 200, "search_share": 0.2},
        warm_days=2,
    )
    SHIFTS: ClassVar[Mapping[str, str]] = {
        "covariate": "a third of the sessions are those of one of twelve groups of taste",
        "concept": "users get the tastes that others had",
        "demand": "five times as many sessions, more of them of one group of taste",
    }

    def __init__(
        self,
        *,
        seed: int,
        start_us: int,
        users: int = 2_000,
        items: int = 27_000,
        k: int = 20,
        sessions_a_day: float = 0.5,
        search_share: float = 0.75,
        rating_share: float = 0.3,
        corrupt_share: float = 0.001,
        duplicate_share: float = 0.0005,
        premieres_a_day: float = 3.0,
    ) -> None:
        habits = Habits(sessions_a_day, search_share, rating_share, corrupt_share, duplicate_share)
        self._life = make_life(
            users, items, seed=seed, start_us=start_us, habits=habits, premieres_a_day=premieres_a_day
        )
        self._k, self._start_us, self._begun = k, start_us, False
        self._adoptions = Adoptions()
        self._outcomes: list[TrueOutcome] = []
        self._numbers = 0
        self._shifted: dict[str, float] = {}
        self._reference_rng = np.random.default_rng([seed, 11])
        self._best: tuple[Sequence[WorldRequest], Best] | None = None

    def shift(self, kind: str, share: float) -> None:
        if self._shifted.get(kind, 0.0) == share:
            return
        self._shifted[kind] = share
        if kind == "concept":
            self._life.turn_tastes(share)
            return
        demand = self._shifted.get("demand", 0.0)
        self._life.lean(max(self._shifted.get("covariate", 0.0), _OTHER_MIX * demand), 1 + _MORE_DEMAND * demand)

    @property
    def rng(self) -> np.random.Generator:
        return self._life.rng

    @rng.setter
    def rng(self, rng: np.random.Generator) -> None:
        self._life.rng = rng

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        life = self._life
        # If a day passes in minutes, hours and weekdays have no meaning, and nights would only stop the lines.
        life.habits = msgspec.structs.replace(life.habits, by_hour=timeline.speed == 1.0)
        sessions = life.sessions(until_us)
        first, self._numbers = self._numbers, self._numbers + len(sessions)
        return [
            WorldRequest(first + row, at_us, {"user": user + 1})
            for row, (user, at_us) in enumerate(zip(sessions.users.tolist(), sessions.at_us.tolist(), strict=True))
        ]

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        life, sessions = self._life, _sessions(requests)
        lists = [None if response is None else [item.item for item in response.items] for response in responses]
        choices = life.decide(sessions, lists)
        if not len(took_us):
            return
        life.note_requests(sessions, lists, [us // 1_000 for us in took_us])
        for request, user, items in zip(requests, sessions.users.tolist(), lists, strict=True):
            known = [life.film_index.get(slug, -1) for slug in (items or ())[: self._k]]
            self._adoptions.shown(user, request.number, request.at_us, known)
            self._outcomes.append(TrueOutcome(request.number, "adopted", 0.0))
        columns = (sessions.users, choices.film, choices.start_us, choices.minutes)
        for user, film, start_us, minutes in zip(*(column.tolist() for column in columns), strict=True):
            if film >= 0:
                self._adoptions.started(user, film, start_us, minutes)

    def emit(self, until_us: int, timeline: Timeline) -> WorldBatch:
        life = self._life
        life.timeline = timeline
        if not self._begun:
            if until_us != self._start_us:
                raise BadInput("the first until_us", f"the start {self._start_us}", until_us)
            self._begun = True
            return WorldBatch([("jsonl", _profile_lines(list(life.profiles())))])
        batch = life.emit(until_us)
        adopted = [TrueOutcome(number, "adopted", 1.0) for number in self._adoptions.until(until_us)]
        outcomes, self._outcomes = self._outcomes + adopted, []
        lines = [("jsonl", _profile_lines(batch.profiles)), ("movielog", batch.lines)]
        return WorldBatch([part for part in lines if part[1]], batch.planted, outcomes, life.watching)

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, Doubles]:
        users, seen = self._users_seen(requests)
        shown = np.full((len(requests), self._k), -1, dtype=np.int64)
        for row, response in zip(shown, responses, strict=True):
            films = [self._life.film_index.get(item.item, -1) for item in response.items[: self._k]]
            row[: len(films)] = films
        quality = list_quality(self._life, users, shown, seen, self._k, self._best_of(requests))
        return {"quality": quality.quality, "ndcg": quality.ndcg, "taken": quality.taken}

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        users, seen = self._users_seen(requests)
        best, now_us = self._best_of(requests), _time_of(requests)
        lists = rankings(self._life, self._reference_rng, users, seen, self._k, best, now_us)
        return {name: [self._response(row) for row in rows.tolist()] for name, rows in lists.items()}

    def push_attack(self, rng: np.random.Generator, accounts: int, begin_us: int) -> PushAttack:
        """Lines of accounts that push films, for the drill of poisoning; the world is not changed."""
        return push_films(self._life, rng, accounts, begin_us)

    def _best_of(self, requests: Sequence[WorldRequest]) -> Best:
        """The best lists for these requests, cached until a call with other requests."""
        if self._best is None or self._best[0] is not requests:
            users, seen = self._users_seen(requests)
            self._best = requests, best_lists(self._life, users, seen, self._k, _time_of(requests))
        return self._best[1]

    def _users_seen(self, requests: Sequence[WorldRequest]) -> tuple[np.ndarray, list[set[int]]]:
        users = _sessions(requests).users
        return users, [self._life.watched(user) for user in users.tolist()]

    def _response(self, films: Sequence[int]) -> Response:
        return Response(tuple(RankedItem(self._life.films.slugs[film], 0.0) for film in films if film >= 0))


def _sessions(requests: Sequence[WorldRequest]) -> Sessions:
    users = np.array([request.fields["user"] - 1 for request in requests], dtype=np.int64)
    return Sessions(users, np.array([request.at_us for request in requests], dtype=np.int64))


def _time_of(requests: Sequence[WorldRequest]) -> int | None:
    return requests[0].at_us if requests else None


def _profile_lines(rows: Sequence[ProfileRow]) -> list[bytes]:
    encode = msgspec.json.Encoder().encode
    return [encode({"type": kind, "at": at, **fields}) for kind, fields, at in rows]
