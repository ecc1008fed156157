"""Tallies of a simulation: every answer with its true quality and true outcome."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import msgspec

from flyball.outcomes import Prediction, prediction_record
from flyball.registry import Version
from flyball.simulation.report import Day, LearningRun, VersionTruth
from flyball.simulation.world import DAY_US, TrueOutcome, World, WorldRequest
from flyball.tasks import Response


class _Answer(msgspec.Struct):
    """One answer at `at_us`, by `level`.

    `true`: {"": its true metrics, policy: the true metrics of the answer of a reference policy}.
    """

    day: int
    at_us: int
    level: str
    version: str
    true: dict[str, dict[str, float]]
    outcomes: dict[str, float]


class TruthTally:
    """Collects answers (`answered`) and batches (`arrived`) of each day from `start_us` on, microseconds."""

    def __init__(self, world: World, start_us: int) -> None:
        self._world, self._start_us = world, start_us
        self._digest = sha256()
        self._answers: dict[int, _Answer] = {}
        self._lines: Counter[int] = Counter()
        self._champions: dict[int, str] = {}
        self.planted: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.learned: list[LearningRun] = []

    @property
    def answers(self) -> int:
        return len(self._answers)

    def digest(self) -> str:
        return self._digest.hexdigest()

    def answered(
        self, requests: Sequence[WorldRequest], predictions: Sequence[Prediction], responses: Sequence[Response]
    ) -> None:
        """Record answers, before users decide about them."""
        policies = {"": responses, **self._world.reference_policies(requests)}
        true = {name: _rows(self._world.true_quality(requests, answers)) for name, answers in policies.items()}
        for row, (request, prediction) in enumerate(zip(requests, predictions, strict=True)):
            self._digest.update(prediction_record(prediction).body)
            self._digest.update(b"%d,%s;" % (prediction.at_us, prediction.key.encode()))
            self.levels[prediction.level] += 1
            self._answers[request.number] = _Answer(
                day=(prediction.at_us - self._start_us) // DAY_US,
                at_us=prediction.at_us,
                level=prediction.level,
                version=prediction.version,
                true={name: rows[row] for name, rows in true.items()},
                outcomes={},
            )

    def arrived(
        self, at_us: int, planted: Mapping[str, int], outcomes: Iterable[TrueOutcome], champion: str | None
    ) -> None:
        """Record the batch of a step that ended at `at_us`."""
        day = (at_us - 1 - self._start_us) // DAY_US
        self._lines[day] += sum(planted.values())
        self._champions[day] = champion or ""
        self.planted.update(planted)
        for outcome in outcomes:
            if outcome.request in self._answers:
                self._answers[outcome.request].outcomes[outcome.name] = outcome.value

    def main_metric(self) -> str:
        """The first true metric of the world, "" before the first answer."""
        return next((name for answer in self._answers.values() for name in answer.true[""]), "")

    def against(self, policy: str, since_us: int, until_us: int) -> tuple[int, float, float]:
        """(how many answers there are of `[since_us, until_us)`, their mean main metric, that of a policy); 0 for none.

        Raises `KeyError` for a policy that the world does not have.
        """
        answers = [answer for answer in self._answers.values() if since_us <= answer.at_us < until_us]
        metric, count = self.main_metric(), max(1, len(answers))
        own, other = (sum(answer.true[name][metric] for answer in answers) / count for name in ("", policy))
        return len(answers), own, other

    def happened(self) -> dict[int, float]:
        """{request: its first true outcome}, of the answers for which one is known."""
        return {
            number: next(iter(answer.outcomes.values())) for number, answer in self._answers.items() if answer.outcomes
        }

    def worth_of(self, requests: Sequence[int]) -> tuple[str, float]:
        """(the last true metric of the world, its mean over the answers to `requests`); ("", 0.0) for none."""
        rows = [self._answers[number].true[""] for number in requests]
        name = [*rows[0]][-1] if rows else ""
        return name, sum(row[name] for row in rows) / max(1, len(rows))

    def share_of_levels(self, levels: Sequence[str], since_us: int, until_us: int) -> float:
        """The share of the answers given in `[since_us, until_us)` that one of `levels` gave; 0 without answers."""
        answers = [answer for answer in self._answers.values() if since_us <= answer.at_us < until_us]
        return sum(answer.level in levels for answer in answers) / max(1, len(answers))

    def per_day(self, days: int) -> list[Day]:
        rows = []
        for day in range(days):
            answers = [answer for answer in self._answers.values() if answer.day == day]
            true = _true_of(answers)
            rows.append(
                Day(
                    day=day + 1,
                    lines=self._lines[day],
                    answers=len(answers),
                    by_version=sum(answer.version != "" for answer in answers) / max(1, len(answers)),
                    outcomes=_means([answer.outcomes for answer in answers]),
                    true=true.pop("", {}),
                    references=true,
                    champion=self._champions.get(day, ""),
                )
            )
        return rows

    def versions(
        self, measured: Mapping[str, Mapping[str, float]], known: Sequence[Version], metric: str
    ) -> list[VersionTruth]:
        """One row for each version that answered, ordered by its first answer."""
        registered = {version.id: version for version in known}
        rows = []
        for name in dict.fromkeys(answer.version for answer in self._answers.values()):
            answers = [answer for answer in self._answers.values() if answer.version == name]
            version, true = registered.get(name), _true_of(answers)
            rows.append(
                VersionTruth(
                    version=name,
                    candidate=version.candidate if version else "",
                    answers=len(answers),
                    measured=dict(measured.get(name, {})),
                    outcomes=_means([answer.outcomes for answer in answers]),
                    true=true.pop("", {}),
                    references=true,
                    offline=offline_of(version, metric) if version else None,
                )
            )
        return rows

    def worth(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> dict[str, float]:
        """The true metrics of responses to these requests in the present state of the world."""
        return _means(_rows(self._world.true_quality(requests, responses)))


def _rows(columns: Mapping[str, Iterable[float]]) -> list[dict[str, float]]:
    """{name: values} as one {name: value} for each row."""
    names = list(columns)
    return [dict(zip(names, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


def _true_of(answers: Sequence[_Answer]) -> dict[str, dict[str, float]]:
    policies = dict.fromkeys(policy for answer in answers for policy in answer.true)
    return {policy: _means([answer.true[policy] for answer in answers if policy in answer.true]) for policy in policies}


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each name over the rows that have it."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in columns.items()}


def offline_of(version: Version, metric: str) -> float | None:
    """The value of `metric` in the report of `version`; None if it is not reported."""
    reported = version.metrics.get(metric)
    return float(reported["value"]) if isinstance(reported, dict) and "value" in reported else None
