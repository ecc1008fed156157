"""The same components in virtual time: lines in, history, learning, answers, outcomes, on a clock moved by hand.

A step asks, answers, decides, emits, ingests and lets the consumers come up. How long answers and training take is
drawn from seeded distributions: nothing real reaches an answer, so a seed gives one digest.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from flyball.app import App
from flyball.core import (
    FlyballError,
    ManualClock,
    Refused,
    Stopwatch,
    SystemStopwatch,
    new_id,
    parse_duration,
    parse_timestamp,
)
from flyball.events import Format, IngestReport, find_format, ingest
from flyball.learning import learn
from flyball.models import load_artifact, model_of
from flyball.operations import Decision, Governor, RuntimeView, Worker, feeds_of
from flyball.outcomes import Prediction, outcomes_by_version, prediction_record
from flyball.registry import Version
from flyball.runtime import Runtime, load_settings
from flyball.serving import Ask, Service
from flyball.simulation.demo import movielog_of, profile_lines
from flyball.simulation.report import Learned, Learnt, SimulationReport
from flyball.simulation.tally import Tally, offline_of
from flyball.simulation.worlds.movies.log_lines import DAY_US
from flyball.simulation.worlds.movies.seed import seed_history
from flyball.simulation.worlds.movies.world import Asks, Batch, Habits, World, make_world
from flyball.tasks import Pipeline, Query, read_histories

START_US = parse_timestamp("2026-03-02")
"""A Monday."""
_FLUSH_US = 6 * 3_600_000_000
_FIRST_EVENTS = 10_000
_MEDIAN_ANSWER_S, _SLOW_SHARE, _SLOW_BY = 0.006, 0.002, 100.0
_MEDIAN_TRAIN_S = 600.0
_JUDGED_USERS = 150
_FITTED_AT_ONCE = 2


class DrawnStopwatch:
    """A stopwatch whose every reading is a drawn moment later: durations look real and repeat.

    A copy, such as crosses to another process, starts anew: what it draws does not depend on when it was made.
    """

    def __init__(self, seeds: Sequence[int], median_s: float) -> None:
        self._seeds, self._median_s = seeds, median_s
        self._rng, self._at_s = np.random.default_rng(seeds), 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return DrawnStopwatch, (self._seeds, self._median_s)

    def read_s(self) -> float:
        self._at_s += self._median_s * float(self._rng.lognormal(0.0, 0.3))
        return self._at_s


def simulate(
    app: App,
    *,
    days: int = 7,
    users: int = 2_000,
    films: int = 27_000,
    seed: int = 1,
    home: Path | None = None,
    past_days: int = 3,
    habits: Habits | None = None,
    step: str = "1h",
    tell: Callable[[str], object] | None = None,
) -> SimulationReport:
    """Run `app` through `days` virtual days of a movie world of `users` users; same arguments, same digest.

    Before them lie `past_days` in which users searched for themselves; they are taken in as history. `home`: where its
    state is kept (default: a temporary folder); it must be new. `habits`: of the users. `step`: how often sessions are
    looked at, and how late, at most, an event comes to count. `tell` is called with a line now and then.

    Learning starts as soon as there are events for it, then as `app.retrain` says. Training and
    answering take drawn times, alike for all models, so that costs do not decide between them. Raises `BadDeclaration`
    for an application that does not speak movielog, `Refused` for a home in use.
    """
    stopwatch = SystemStopwatch()
    began_s = stopwatch.read_s()
    with _home(home) as folder:
        world = make_world(users, films, seed=seed, start_us=START_US - past_days * DAY_US, habits=habits)
        simulation = _Simulation(app, folder, world, seed, stopwatch, tell or _silent)
        simulation.begin()
        simulation.run(days, parse_duration(step))
        plain = {"users": users, "films": films, "days": days, "past_days": past_days, "seed": seed}
        return simulation.report(plain, stopwatch.read_s() - began_s)


class _Simulation:
    def __init__(
        self,
        app: App,
        home: Path,
        world: World,
        seed: int,
        stopwatch: Stopwatch,
        tell: Callable[[str], object],
    ) -> None:
        self._clock, self._tell, self._stopwatch = ManualClock(START_US), tell, stopwatch
        self._runtime = Runtime(app, load_settings(home), self._clock)
        self._movielog, self._jsonl = movielog_of(self._runtime), find_format("jsonl")
        self._rng = np.random.default_rng([seed, 10])
        self._ids = random.Random(seed)
        self._seed, self._world = seed, world
        self._k = app.task.k
        self._tally = Tally(self._world, START_US, self._k, np.random.default_rng([seed, 11]))
        self._took: list[IngestReport] = []
        self._stages: dict[str, float] = {}

    def begin(self) -> None:
        """Take the past in, then bring everything up."""
        with self._timed("world"):
            batches = list(seed_history(self._world, START_US)) or [Batch([], list(self._world.profiles()), {})]
        rows = [row for batch in batches for row in batch.profiles]
        with self._timed("ingest"):
            self._ingest(self._jsonl, "jsonl", profile_lines(rows), "world/profiles", "history")
            lines = (b"\n".join(batch.lines) + b"\n" for batch in batches if batch.lines)
            self._ingest(self._movielog, "movielog", lines, "world", "history")
        for batch in batches:
            self._tally.planted.update(batch.planted)
        self._service = Service(
            self._runtime, "virtual", self._ids, self._clock, DrawnStopwatch([self._seed, 12], 0.001)
        )
        self._worker = Worker(feeds_of(self._runtime, flush_us=_FLUSH_US))
        self._governor = Governor(
            self._runtime.app.retrain, RuntimeView(self._runtime), self._start_learning, len(rows) + _FIRST_EVENTS
        )
        self._follow()

    def run(self, days: int, step_us: int) -> None:
        """Live `days` days, then until the last film that was begun is over."""
        end_us = START_US + days * DAY_US
        while self._clock.now_us() < end_us:
            self._step(min(self._clock.now_us() + step_us, end_us))
        while self._world.watching:
            self._emit(self._clock.now_us() + step_us)
        self._follow()

    def _step(self, until_us: int) -> None:
        with self._timed("serve"):
            self._service.keeper.step()
        with self._timed("world"):
            asks = self._world.asks(until_us)
        if len(asks):
            self._serve(asks)
        self._emit(until_us)
        decision = self._governor.tick(until_us)
        if decision.kind in ("started", "finished"):
            self._tell(_words(decision, until_us))

    def _serve(self, asks: Asks) -> None:
        with self._timed("serve"):
            predictions = self._answers(asks)
            self._runtime.predictions.append([prediction_record(each) for each in predictions])
        with self._timed("truth"):
            self._tally.answered(asks, predictions)
        with self._timed("world"):
            lists = [each.items for each in predictions]
            decided = self._world.decide(asks, lists)
            self._world.note_requests(asks, lists, [each.took_us // 1_000 for each in predictions])
            self._tally.decided(asks, decided)

    def _answers(self, asks: Asks) -> list[Prediction]:
        """Answers with drawn durations; one that would be late comes from memory, as it does live."""
        questions = [
            Ask(new_id(at_us, self._ids), str(user + 1), self._k, at_us)
            for user, at_us in zip(asks.users.tolist(), asks.at_us.tolist(), strict=True)
        ]
        slow = np.where(self._rng.random(len(questions)) < _SLOW_SHARE, _SLOW_BY, 1.0)
        took_us = (1e6 * _MEDIAN_ANSWER_S * slow * self._rng.lognormal(0.0, 0.5, size=len(questions))).astype(np.int64)
        deadline_us = self._runtime.app.task.deadline_us
        engine = self._service.engine
        answers = engine.answer(questions)
        for place in np.flatnonzero(took_us >= deadline_us).tolist():
            answers[place], took_us[place] = engine.from_memory(questions[place]), deadline_us
        return [
            msgspec.structs.replace(answer, took_us=took, worker="virtual")
            for answer, took in zip(answers, took_us.tolist(), strict=True)
        ]

    def _emit(self, until_us: int) -> None:
        with self._timed("world"):
            batch = self._world.emit(until_us)
        self._clock.move_to_us(until_us)
        with self._timed("ingest"):
            if batch.profiles:
                self._ingest(self._jsonl, "jsonl", profile_lines(batch.profiles), "world/profiles")
            if batch.lines:
                self._ingest(self._movielog, "movielog", [b"\n".join(batch.lines)], "world")
        self._follow()
        self._tally.arrived(until_us, batch.planted, self._service.engine.serving.release.champion)

    def _ingest(
        self, format: Format, name: str, pieces: Iterable[bytes], source: str, mode: Literal["live", "history"] = "live"
    ) -> None:
        runtime = self._runtime
        self._took.append(
            ingest(
                pieces,
                format=format,
                schema=runtime.schema,
                log=runtime.log,
                quarantine=runtime.quarantine,
                catalogue=runtime.catalogue,
                clock=self._clock,
                mode=mode,
                # A source's lines are told apart by position, and each step starts at 1.
                source=f"{source}/{self._clock.now_us()}",
                format_name=name,
            )
        )

    def _follow(self) -> None:
        with self._timed("follow"):
            while not (progress := self._worker.step(self._clock.now_us())).idle:
                pass
        for name, lag in progress.lags.items():
            if lag.error:
                raise FlyballError(f"consumer {name} must go on, got {lag.error}")

    def _start_learning(self, now_us: int) -> "_Training":
        return _Training(self, now_us, now_us + int(1e6 * _MEDIAN_TRAIN_S * float(self._rng.lognormal(0.0, 0.3))))

    def learn(self, as_of_us: int) -> str:
        """One run of learning; what came out in one line."""
        with self._timed("learn"):
            report = learn(
                self._runtime,
                as_of_us,
                workers=_FITTED_AT_ONCE,
                seed=self._seed,
                by="simulation",
                stopwatch=DrawnStopwatch([self._seed, 13, len(self._tally.learned)], 0.002),
            )
        with self._timed("truth"):
            versions = self._learnt()
        champion, now_us = report.champion or "", self._clock.now_us()
        self._tally.learned.append(
            Learned(as_of_us, now_us, report.status, report.chosen, report.released, champion, report.reason, versions)
        )
        return f"{report.status}, champion {champion or 'none'}"

    def _learnt(self) -> list[Learnt]:
        """The versions registered since the last run, and what their lists are worth for the same users."""
        runtime, known = self._runtime, [one.version for run in self._tally.learned for one in run.versions]
        there = np.flatnonzero(self._world.joined())
        users = self._rng.choice(there, size=min(_JUDGED_USERS, len(there)), replace=False)
        found = []
        for version in runtime.registry.versions():
            if version.id not in known:
                true = self._tally.worth(users, self._lists(version, users)) if version.artifact else None
                offline = offline_of(version, runtime.app.choose.metric)
                found.append(Learnt(version.id, version.candidate, version.state, offline, true))
        return found

    def _lists(self, version: Version, users: np.ndarray) -> list[list[str]]:
        runtime, now_us = self._runtime, self._clock.now_us()
        artifact = load_artifact(runtime.artifacts / version.artifact, version.artifact_files)
        model = model_of(artifact, {type(each) for each in runtime.app.candidates.values()})
        names = [str(user + 1) for user in users.tolist()]
        histories, _ = read_histories(runtime.state, runtime.signals, names)
        queries = [Query(name, self._k, now_us=now_us) for name in names]
        shown = Pipeline(runtime.app.task, artifact, model, runtime.features).answer(
            queries, histories, self._service.engine.serving.catalog
        )
        return [[each.item for each in items] for items in shown]

    def due(self, at_us: int) -> bool:
        return self._clock.now_us() >= at_us

    def report(self, plain: Mapping[str, int], seconds: float) -> SimulationReport:
        """What came out; `plain`: the arguments of the simulation."""
        runtime, tally = self._runtime, self._tally
        with self._timed("truth"):
            tally.judge_rest()
        measured = outcomes_by_version(runtime.outcomes_path, runtime.clock.now_us())
        events, flagged, quarantined = (Counter[str]() for _ in range(3))
        for took in self._took:
            events.update(took.accepted)
            flagged.update(took.flagged)
            quarantined.update(took.quarantined)
        return SimulationReport(
            app=runtime.app.name,
            **plain,
            digest=tally.digest(),
            metric=runtime.app.choose.metric,
            lines=tally.planted.total(),
            planted=dict(tally.planted),
            events=dict(events),
            flagged=flagged.total(),
            quarantined=dict(quarantined),
            duplicates=sum(took.duplicates for took in self._took),
            answers=tally.answers,
            levels=dict(sorted(tally.levels.items())),
            versions=tally.versions(measured, runtime.registry.versions(), runtime.app.choose.metric),
            learned=tally.learned,
            per_day=tally.per_day(plain["days"]),
            seconds=seconds,
            stages={name: round(spent, 3) for name, spent in self._stages.items()},
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        before_s = self._stopwatch.read_s()
        yield
        self._stages[stage] = self._stages.get(stage, 0.0) + self._stopwatch.read_s() - before_s


class _Training:
    """A run of learning that begins now and is through at `end_us`."""

    def __init__(self, simulation: _Simulation, as_of_us: int, end_us: int) -> None:
        self._simulation, self._as_of_us, self._end_us = simulation, as_of_us, end_us

    def poll(self) -> str | None:
        if not self._simulation.due(self._end_us):
            return None
        return self._simulation.learn(self._as_of_us)


@contextmanager
def _home(home: Path | None) -> Iterator[Path]:
    if home is None:
        with tempfile.TemporaryDirectory(prefix="flyball-simulation-") as folder:
            yield Path(folder)
    else:
        if home.exists() and any(home.iterdir()):
            raise Refused(f"home of a simulation must be new or empty, got {home}")
        home.mkdir(parents=True, exist_ok=True)
        yield home


def _words(decision: Decision, now_us: int) -> str:
    return f"day {(now_us - START_US) / DAY_US:.1f}: learning {decision.kind}: {decision.words}"


def _silent(_: str) -> None: ...
