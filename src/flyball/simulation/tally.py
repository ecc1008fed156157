"""Keeps the books of a simulation: every answer, what it was truly worth, and what its user truly did next."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256

import msgspec
import numpy as np

from flyball.outcomes import Figures, Prediction, prediction_record
from flyball.registry import Version
from flyball.simulation.lines import DAY_US
from flyball.simulation.report import Day, Learned, Truth, VersionTruth
from flyball.simulation.truth import RANKINGS, Judged, best_lists, judge, rankings
from flyball.simulation.world import Asks, Decided, World

_TAKEN_FOR_US = DAY_US
"""How long after an answer a start of one of its films counts for it, as declared in the movies application."""


class _Answer(msgspec.Struct):
    """One answer. `worth`: rows are the list itself and then `RANKINGS`, columns the fields of `Truth`."""

    at_us: int
    day: int
    version: str
    personal: bool
    shown: frozenset[int]
    worth: np.ndarray
    adopted: bool = False


class Tally:
    """Answers as they come (`answered`), decisions (`decided`), lines by day (`arrived`)."""

    def __init__(self, world: World, k: int, rng: np.random.Generator) -> None:
        self._world, self._k, self._rng = world, k, rng
        self._digest = sha256()
        self._answers: list[_Answer] = []
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
        world, k = self._world, self._k
        index = world.film_index
        shown = np.full((len(asks), k), -1, dtype=np.int64)
        for row, prediction in zip(shown, predictions, strict=True):
            films = [index.get(item, -1) for item in prediction.items[:k]]
            row[: len(films)] = films
        seen = [world.watched(user) for user in asks.users.tolist()]
        for place, prediction in enumerate(predictions):
            self._digest.update(prediction_record(prediction).body)
            self._digest.update(b"%d,%s;" % (prediction.at_us, prediction.user.encode()))
            self.levels[prediction.level] += 1
            there = frozenset(film for film in shown[place].tolist() if film >= 0)
            day = (prediction.at_us - world.start_us) // DAY_US
            personal = "model" in prediction.sources
            answer = _Answer(prediction.at_us, day, prediction.version, personal, there, _NOTHING)
            self._answers.append(answer)
            self._open.setdefault(int(asks.users[place]), []).append(answer)
        for answer, worth in zip(
            self._answers[len(self._answers) - len(asks) :], self._worth(asks, shown, seen), strict=True
        ):
            answer.worth = worth

    def decided(self, asks: Asks, decided: Decided) -> None:
        """Note films started: each counts for the first answer within a day before it that showed it."""
        films, starts = decided.film.tolist(), decided.start_us.tolist()
        for user, film, start_us in zip(asks.users.tolist(), films, starts, strict=True):
            if film < 0:
                continue
            recent = [each for each in self._open.get(user, ()) if each.at_us > start_us - 2 * _TAKEN_FOR_US]
            self._open[user] = recent
            for answer in recent:
                if start_us - _TAKEN_FOR_US <= answer.at_us <= start_us and film in answer.shown:
                    answer.adopted = True
                    break

    def arrived(self, at_us: int, planted: Mapping[str, int], champion: str | None) -> None:
        """Note the lines of a step that ended at `at_us`."""
        day = (at_us - 1 - self._world.start_us) // DAY_US
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

    def versions(self, measured: Mapping[str, Figures], known: Sequence[Version], metric: str) -> list[VersionTruth]:
        """One row for each version that answered, in the order in which they first did."""
        registered = {version.id: version for version in known}
        rows = []
        for name in dict.fromkeys(each.version for each in self._answers):
            mine = [each for each in self._answers if each.version == name]
            worth, figures, version = _mean([each.worth for each in mine]), measured.get(name), registered.get(name)
            rows.append(
                VersionTruth(
                    version=name,
                    model=version.candidate if version else "",
                    answers=len(mine),
                    personalised=_share([each.personal for each in mine]),
                    adoption=(figures.adoption or 0.0) if figures else 0.0,
                    liked=(figures.positive or 0.0) if figures else 0.0,
                    true_adoption=_share([each.adopted for each in mine]),
                    true=_truth(worth[0]),
                    beside={ranking: _truth(worth[1 + place]) for place, ranking in enumerate(RANKINGS)},
                    metric=metric,
                    offline=_offline(version, metric),
                )
            )
        return rows

    def _worth(self, asks: Asks, shown: np.ndarray, seen: Sequence[Collection[int]]) -> np.ndarray:
        """float64 (b, 1 + rankings, 3)."""
        best = best_lists(self._world, asks.users, seen, self._k)
        others = rankings(self._world, self._rng, asks.users, seen, self._k, best)
        lists = [shown, *(others[name] for name in RANKINGS)]
        judged: list[Judged] = [judge(self._world, asks.users, each, seen, self._k, best) for each in lists]
        columns = [np.stack([each.quality, each.ndcg, each.taken], axis=1) for each in judged]
        return np.stack(columns, axis=1)


_NOTHING = np.zeros((1 + len(RANKINGS), 3))


def _mean(worth: list[np.ndarray]) -> np.ndarray:
    return np.mean(worth, axis=0) if worth else _NOTHING


def _share(holds: list[bool]) -> float:
    return sum(holds) / len(holds) if holds else 0.0


def _truth(row: np.ndarray) -> Truth:
    return Truth(*(float(value) for value in row))


def _offline(version: Version | None, metric: str) -> float | None:
    if version is None:
        return None
    found = version.figures.get(metric)
    return float(found["value"]) if isinstance(found, dict) and "value" in found else None
