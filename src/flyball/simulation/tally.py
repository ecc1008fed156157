"""Keeps the books of a simulation: every answer, what it was truly worth, and what its user truly did next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec
import numpy as np

from flyball.outcomes import Prediction, VersionOutcomes, prediction_record
from flyball.registry import Version
from flyball.simulation.report import Day, Learned, Truth, VersionTruth
from flyball.simulation.worlds.movies.log_lines import DAY_US, SECOND_US
from flyball.simulation.worlds.movies.truth import RANKINGS, Judged, best_lists, judge, rankings
from flyball.simulation.worlds.movies.world import Asks, Decided, World

_COUNTS_FOR_US = DAY_US
"""How long after an answer a minute of one of its films counts for it, as outcomes count."""
_MINUTE_US = 60 * SECOND_US
_AT_ONCE = 512
_NOTHING = np.zeros((1 + len(RANKINGS), 3))


class _Answer(msgspec.Struct):
    """One answer. `worth`: rows are the list itself and then `RANKINGS`, columns the fields of `Truth`."""

    user: int
    at_us: int
    day: int
    version: str
    personal: bool
    shown: tuple[int, ...]
    seen: frozenset[int]
    worth: np.ndarray
    adopted: bool = False


class Tally:
    """Answers as they come (`answered`), decisions (`decided`), lines by day (`arrived`), days from `start_us` on."""

    def __init__(self, world: World, start_us: int, k: int, rng: np.random.Generator) -> None:
        self._world, self._start_us, self._k, self._rng = world, start_us, k, rng
        self._digest = sha256()
        self._answers: list[_Answer] = []
        self._judged = 0
        self._open: dict[int, list[_Answer]] = {}
        self._lines: Counter[int] = Counter()
        self._champions: dict[int, str] = {}
        self.planted: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.learned: list[Learned] = []

    @property
    def answers(self) -> int:
        return len(self._answers)

    def digest(self) -> str:
        return self._digest.hexdigest()

    def answered(self, asks: Asks, predictions: Sequence[Prediction]) -> None:
        """Note answers, before anybody has acted on them."""
        world, index = self._world, self._world.film_index
        for user, prediction in zip(asks.users.tolist(), predictions, strict=True):
            self._digest.update(prediction_record(prediction).body)
            self._digest.update(b"%d,%s;" % (prediction.at_us, prediction.user.encode()))
            self.levels[prediction.level] += 1
            answer = _Answer(
                user=user,
                at_us=prediction.at_us,
                day=(prediction.at_us - self._start_us) // DAY_US,
                version=prediction.version,
                personal="model" in prediction.sources,
                shown=tuple(index.get(item, -1) for item in prediction.items[: self._k]),
                seen=frozenset(world.watched(user)),
                worth=_NOTHING,
            )
            self._answers.append(answer)
            self._open.setdefault(user, []).append(answer)
        if len(self._answers) - self._judged >= _AT_ONCE:
            self.judge_rest()

    def decided(self, asks: Asks, decided: Decided) -> None:
        """Note films started: each minute counts for the first answer within a day before it that showed the film."""
        columns = (asks.users, decided.film, decided.start_us, decided.minutes)
        for user, film, start_us, minutes in zip(*(column.tolist() for column in columns), strict=True):
            if film < 0:
                continue
            recent = [each for each in self._open.get(user, ()) if each.at_us > start_us - 2 * _COUNTS_FOR_US]
            self._open[user] = recent
            after_us, end_us = start_us, start_us + (minutes - 1) * _MINUTE_US
            for answer in recent:
                # Minutes from `after_us` on are still nobody's: earlier answers' days have ended before them.
                if film in answer.shown and after_us <= min(end_us, answer.at_us + _COUNTS_FOR_US - 1):
                    answer.adopted = True
                    passed = max(0, answer.at_us + _COUNTS_FOR_US - start_us)
                    after_us = start_us + -(-passed // _MINUTE_US) * _MINUTE_US

    def arrived(self, at_us: int, planted: Mapping[str, int], champion: str | None) -> None:
        """Note the lines of a step that ended at `at_us`."""
        day = (at_us - 1 - self._start_us) // DAY_US
        self._lines[day] += sum(planted.values())
        self._champions[day] = champion or ""
        self.planted.update(planted)

    def per_day(self, days: int) -> list[Day]:
        rows = []
        for day in range(days):
            answers = [each for each in self._answers if each.day == day]
            worth = _mean([each.worth for each in answers])
            rows.append(
                Day(
                    day + 1,
                    self._lines[day],
                    len(answers),
                    _share([each.personal for each in answers]),
                    _share([each.adopted for each in answers]),
                    float(worth[0, 0]),
                    float(worth[1 + RANKINGS.index("popular"), 0]),
                    self._champions.get(day, ""),
                )
            )
        return rows

    def versions(
        self, measured: Mapping[str, VersionOutcomes], known: Sequence[Version], metric: str
    ) -> list[VersionTruth]:
        """One row for each version that answered, in the order in which they first did."""
        registered = {version.id: version for version in known}
        rows = []
        for name in dict.fromkeys(each.version for each in self._answers):
            mine = [each for each in self._answers if each.version == name]
            worth, version = _mean([each.worth for each in mine]), registered.get(name)
            rows.append(
                VersionTruth(
                    version=name,
                    model=version.candidate if version else "",
                    answers=len(mine),
                    personalised=_share([each.personal for each in mine]),
                    adoption=_so_far(measured.get(name), "adopted"),
                    liked=_so_far(measured.get(name), "positive"),
                    true_adoption=_share([each.adopted for each in mine]),
                    true=_truth(worth[0]),
                    beside={ranking: _truth(worth[1 + place]) for place, ranking in enumerate(RANKINGS)},
                    offline=offline_of(version, metric) if version else None,
                )
            )
        return rows

    def judge_rest(self) -> None:
        """Find out what the answers not judged yet were worth."""
        answers, world = self._answers[self._judged :], self._world
        self._judged = len(self._answers)
        if not answers:
            return
        users, seen = np.array([each.user for each in answers]), [each.seen for each in answers]
        shown, now_us = self._rows([each.shown for each in answers]), answers[0].at_us
        best = best_lists(world, users, seen, self._k, now_us)
        others = rankings(world, self._rng, users, seen, self._k, best, now_us)
        lists = [shown, *(others[name] for name in RANKINGS)]
        worth = np.stack([_columns(judge(world, users, each, seen, self._k, best)) for each in lists], axis=1)
        for answer, row in zip(answers, worth, strict=True):
            answer.worth = row

    def worth(self, users: np.ndarray, lists: Sequence[Sequence[str]]) -> Truth:
        """What lists for these users would be worth now."""
        index = self._world.film_index
        shown = self._rows([[index.get(item, -1) for item in items[: self._k]] for items in lists])
        seen = [self._world.watched(user) for user in users.tolist()]
        return _truth(_columns(judge(self._world, users, shown, seen, self._k)).mean(axis=0))

    def _rows(self, films: Sequence[Sequence[int]]) -> np.ndarray:
        shown = np.full((len(films), self._k), -1, dtype=np.int64)
        for row, mine in zip(shown, films, strict=True):
            row[: len(mine)] = mine
        return shown


def _so_far(outcomes: VersionOutcomes | None, label: str) -> float:
    """The share of all answers that have the label by the end of the simulation, those still open among them."""
    return 0.0 if outcomes is None else outcomes.labels[label].so_far or 0.0


def _columns(judged: Judged) -> np.ndarray:
    return np.stack([judged.quality, judged.ndcg, judged.taken], axis=1)


def _mean(worth: list[np.ndarray]) -> np.ndarray:
    return np.mean(worth, axis=0) if worth else _NOTHING


def _share(holds: list[bool]) -> float:
    return sum(holds) / len(holds) if holds else 0.0


def _truth(row: np.ndarray) -> Truth:
    return Truth(*(float(value) for value in row))


def offline_of(version: Version, metric: str) -> float | None:
    """What the report of `version` said."""
    found = version.figures.get(metric)
    return float(found["value"]) if isinstance(found, dict) and "value" in found else None
