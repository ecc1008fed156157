"""Simulation in virtual time: the components of a service on a manual clock, from lines and learning to outcomes.

In a step the world sends requests, the service answers, users decide, the world emits lines, and these are ingested and
applied by the consumers. The durations of answers and of training are drawn from seeded distributions; no real time
affects an answer, so a seed gives one digest.
"""

import random
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.app import App
from flyball.core import (
    BadInput,
    FlyballError,
    ManualClock,
    Refused,
    Stopwatch,
    SystemStopwatch,
    new_id,
    parse_duration,
    parse_timestamp,
)
from flyball.events import IngestReport
from flyball.home import HomeLayout
from flyball.learning import CaseLog, learn
from flyball.operations import (
    Consumer,
    EvidenceWatch,
    Governor,
    GovernorDecision,
    MeasuredNow,
    ReleaseControl,
    RuntimeState,
    StepReport,
    Worker,
    consumers_of,
)
from flyball.outcomes import Prediction, outcomes_by_version, prediction_record, response_of
from flyball.registry import Version
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service
from flyball.simulation.past import by_format, ingest_pieces, live_past, pieces_of
from flyball.simulation.report import LearnedVersion, LearningRun, SimulationReport
from flyball.simulation.tally import TruthTally, offline_of
from flyball.simulation.world import (
    DAY_US,
    Timeline,
    World,
    WorldRequest,
    open_world,
    shown_settings,
)
from flyball.tasks import Request, Response, request_of

START_US = parse_timestamp("2026-03-02")
"""A Monday."""
_SHORTEST_STEP_US = 60_000_000
_FLUSH_US = 6 * 3_600_000_000
_FIRST_EVENTS = 1_000
_MEDIAN_ANSWER_S, _SLOW_SHARE, _SLOW_BY = 0.006, 0.002, 100.0
_MEDIAN_TRAIN_S = 600.0
_RECENT_REQUESTS, _SAMPLED_REQUESTS = 2_000, 150
_TIMELINE = Timeline()


class DrawnStopwatch:
    """A stopwatch that advances by a random time at each reading: durations look real and are reproducible.

    A pickled copy, such as one in another process, starts at 0: its readings do not depend on when it was copied.
    `median_s`: the median advance, seconds.
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
    seed: int = 1,
    home: Path | None = None,
    past_days: int | None = None,
    step: str = "1h",
    report_progress: Callable[[str], object] | None = None,
    **settings: Any,
) -> SimulationReport:
    """Run `app` through `days` virtual days of its world; same arguments, same digest.

    The days before are `past_days` without a service (default: as the application's world says), ingested as history.
    `home`: the folder of its state (default: a temporary one); it must be new. `step`: the virtual time of one step,
    1 minute or more, and the longest delay until an event has an effect. `report_progress` is called with lines of
    text. `settings`: of the world, which replace those of the application, such as `users=500`.

    Learning starts as soon as there are enough events, then as `app.retrain` says. The durations of training and of
    answers are random and the same for all models, so that they do not decide between candidates. Raises
    `BadDeclaration` for an application without a world, `BadInput` for an unknown setting or a short step, `Refused`
    for a home in use.
    """
    stopwatch, step_us = SystemStopwatch(), parse_duration(step)
    began_s = stopwatch.read_s()
    if step_us < _SHORTEST_STEP_US:
        raise BadInput("step", "1m or longer", step)
    if past_days is None:
        past_days = app.world.past_days if app.world else 0
    start_us = START_US - past_days * DAY_US
    world = open_world(app.world, app.name, seed=seed, start_us=start_us, **settings)
    shown = shown_settings(app.world, app.name, settings)
    with _home(home) as folder:
        simulation = Simulation(app, folder, world, seed, stopwatch, report_progress or _silent)
        simulation.begin(start_us)
        simulation.run(days, step_us)
        return simulation.report(shown, days, past_days, stopwatch.read_s() - began_s)


class Simulation:
    """An application in its world, simulated step by step.

    Subclasses plant faults in `prepare`, `delayed`, `arriving` and `consumers`. `flush_us`: how long the history may
    wait for more. `fitted_at_once`: how many processes fit candidates.
    """

    flush_us = _FLUSH_US
    fitted_at_once = 2

    def __init__(
        self,
        app: App,
        home: Path,
        world: World,
        seed: int,
        stopwatch: Stopwatch,
        report_progress: Callable[[str], object],
    ) -> None:
        self._clock, self._report_progress, self._stopwatch = ManualClock(START_US), report_progress, stopwatch
        self._runtime = Runtime(app, load_settings(home), self._clock)
        self._rng = np.random.default_rng([seed, 10])
        self._sample_rng = np.random.default_rng([seed, 14])
        self._ids = random.Random(seed)
        self._seed, self._world = seed, world
        self._tally = TruthTally(self._world, START_US)
        self._recent: deque[WorldRequest] = deque(maxlen=_RECENT_REQUESTS)
        self._pending = False
        self._took: list[IngestReport] = []
        self._stages: dict[str, float] = {}

    def begin(self, start_us: int) -> None:
        """Ingest the past, then start the service, the consumers and the governor."""
        with self._timed("world"):
            batches = list(live_past(self._world, start_us, START_US))
        with self._timed("ingest"):
            for format, lines in by_format(batches).items():
                self._ingest(format, (piece for piece in pieces_of(lines)), "history")
        for batch in batches:
            self._tally.planted.update(batch.planted)
        self._pending = batches[-1].pending
        self.start(sum(len(lines) for _, lines in batches[0].lines))

    def start(self, profiles: int = 0) -> None:
        """Start the service, the consumers and the governor; `profiles`: how many lines of the past are profiles."""
        self._service = Service(
            self._runtime, "virtual", self._ids, self._clock, DrawnStopwatch([self._seed, 12], 0.001)
        )
        self._worker = Worker(self.consumers())
        runtime = self._runtime
        watch = EvidenceWatch(
            runtime, lambda now_us: MeasuredNow(runtime, now_us, DrawnStopwatch([self._seed, 15], 0.0))
        )
        self._governor = Governor(
            runtime.app.retrain,
            RuntimeState(runtime, watch),
            self._start_learning,
            profiles + _FIRST_EVENTS,
            cases=CaseLog(runtime.registry, runtime.app.name),
        )
        self._releases = ReleaseControl(self._runtime, "simulation")
        self._follow()

    def run(self, days: int, step_us: int) -> None:
        """Simulate `days` days, then until no events are pending."""
        end_us = START_US + days * DAY_US
        while self._clock.now_us() < end_us:
            self._step(min(self._clock.now_us() + step_us, end_us))
        while self._pending:
            self._emit(self._clock.now_us() + step_us)
        self._follow()

    def _step(self, until_us: int) -> None:
        with self._timed("serve"):
            self._service.refresher.step()
        self.prepare()
        with self._timed("world"):
            requests = self._world.requests(until_us, _TIMELINE)
        if requests:
            self._serve(requests)
        self._emit(until_us)
        for line in self._releases.step(until_us):
            self._report_progress(f"day {(until_us - START_US) / DAY_US:.1f}: {line}")
        decision = self._governor.tick(until_us)
        if decision.kind in ("started", "finished"):
            self._report_progress(_words(decision, until_us))

    def _serve(self, requests: Sequence[WorldRequest]) -> None:
        with self._timed("serve"):
            predictions = self._answers(requests)
            self._runtime.predictions.append([prediction_record(prediction) for prediction in predictions])
        responses = [response_of(prediction) for prediction in predictions]
        with self._timed("truth"):
            self._tally.answered(requests, predictions, responses)
        with self._timed("world"):
            self._world.decide(requests, responses, [prediction.took_us for prediction in predictions])
        self._recent.extend(requests)

    def _answers(self, requests: Sequence[WorldRequest]) -> list[Prediction]:
        """Answers with random durations; a late answer is replaced by the fallback, as in live service."""
        event_type = self._runtime.app.task.about.request
        questions: list[Request] = [
            request_of(event_type, new_id(request.at_us, self._ids), request.at_us, request.fields)
            for request in requests
        ]
        slow = np.where(self._rng.random(len(questions)) < _SLOW_SHARE, _SLOW_BY, 1.0)
        took_us = (1e6 * _MEDIAN_ANSWER_S * slow * self._rng.lognormal(0.0, 0.5, size=len(questions))).astype(np.int64)
        deadline_us = self._runtime.app.task.about.deadline_us
        engine = self._service.engine
        answers = engine.answer(questions)
        took_us = self.delayed(answers, took_us)
        for row in np.flatnonzero(took_us >= deadline_us).tolist():
            answers[row], took_us[row] = engine.from_fallback(questions[row], "late"), deadline_us
        return [
            msgspec.structs.replace(answer, took_us=took, worker="virtual")
            for answer, took in zip(answers, took_us.tolist(), strict=True)
        ]

    def consumers(self) -> list[Consumer]:
        """What follows the log, in this order."""
        return consumers_of(self._runtime, flush_us=self.flush_us)

    def followed(self, progress: StepReport) -> None:
        """Called when the consumers have done what they can; raises `FlyballError` if one failed."""
        for name, lag in progress.lags.items():
            if lag.error:
                raise FlyballError(f"consumer {name} must go on, got {lag.error}")

    def prepare(self) -> None:
        """Called before the requests of a step are answered."""

    def delayed(self, answers: Sequence[Prediction], took_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """The durations of the answers, microseconds, shape (answers,), given the random ones in `took_us`."""
        return took_us

    def arriving(self, format: str, lines: Sequence[bytes]) -> Sequence[bytes]:
        """The lines that reach the log now, given those that the world sent."""
        return lines

    def _emit(self, until_us: int) -> None:
        with self._timed("world"):
            batch = self._world.emit(until_us, _TIMELINE)
        self._pending = batch.pending
        self._clock.move_to_us(until_us)
        with self._timed("ingest"):
            for format, lines in batch.lines:
                self._ingest(format, [b"\n".join(self.arriving(format, lines))])
        self._follow()
        champion = self._service.engine.serving.release.champion
        self._tally.arrived(until_us, batch.planted, batch.outcomes, champion)

    def _ingest(
        self, format: str, pieces: Iterable[bytes], mode: Literal["live", "history"] = "live", name: str = ""
    ) -> None:
        # Lines of a source are identified by their position, which starts at 1 in each step.
        source = f"world/{format}/{name}{self._clock.now_us()}"
        self._took.append(ingest_pieces(self._runtime, format, pieces, source, mode))

    def _follow(self) -> None:
        with self._timed("follow"):
            while not (progress := self._worker.step(self._clock.now_us())).idle:
                pass
        self.followed(progress)

    def _start_learning(self, now_us: int, case_ids: tuple[str, ...]) -> "_Training":
        end_us = now_us + int(1e6 * _MEDIAN_TRAIN_S * float(self._rng.lognormal(0.0, 0.3)))
        return _Training(self, now_us, end_us, case_ids)

    def learn(self, as_of_us: int, case_ids: tuple[str, ...] = ()) -> str:
        """Do one run of learning; returns its result in one line."""
        with self._timed("learn"):
            report = learn(
                self._runtime,
                as_of_us,
                workers=self.fitted_at_once,
                seed=self._seed,
                by="simulation",
                stopwatch=DrawnStopwatch([self._seed, 13, len(self._tally.learned)], 0.002),
                cases=case_ids,
            )
        with self._timed("truth"):
            versions = self._learned_versions()
        champion, now_us = report.champion or "", self._clock.now_us()
        self._tally.learned.append(
            LearningRun(
                as_of_us, now_us, report.status, report.chosen, report.released, champion, report.reason, versions
            )
        )
        return f"{report.status}, champion {champion or 'none'}"

    def _learned_versions(self) -> list[LearnedVersion]:
        """The versions registered since the last run, with the true metrics of their answers to recent requests."""
        runtime, known = self._runtime, {version.version for run in self._tally.learned for version in run.versions}
        now_us, recent = self._clock.now_us(), self._recent
        chosen = self._sample_rng.choice(len(recent), size=min(_SAMPLED_REQUESTS, len(recent)), replace=False)
        requests = [WorldRequest(recent[row].number, now_us, recent[row].fields) for row in chosen.tolist()]
        learned = []
        for version in runtime.registry.versions():
            if version.id not in known:
                is_testable = version.artifact and requests
                true = self._tally.worth(requests, self._responses(version, requests)) if is_testable else {}
                offline = offline_of(version, runtime.app.choose.metric)
                learned.append(LearnedVersion(version.id, version.candidate, version.state, offline, true))
        return learned

    def _responses(self, version: Version, requests: Sequence[WorldRequest]) -> list[Response]:
        runtime = self._runtime
        loaded = self._service.refresher.loader.load(version, warm_at_us=None)
        event_type = runtime.app.task.about.request
        request_events = [
            request_of(event_type, str(request.number), request.at_us, request.fields) for request in requests
        ]
        return loaded.pipeline.answer(request_events, loaded.online.contexts(request_events)[0])

    def due(self, at_us: int) -> bool:
        return self._clock.now_us() >= at_us

    def report(
        self, settings: dict[str, int | float | str], days: int, past_days: int, seconds: float
    ) -> SimulationReport:
        """The report at the end; `settings`: of the world, `seconds`: real time."""
        runtime, tally = self._runtime, self._tally
        by_version = outcomes_by_version(runtime.outcomes_path, runtime.clock.now_us())
        # Outcomes so far, also of open windows: the true metrics do not wait for windows to close either.
        measured = {
            version: {name: label.so_far for name, label in outcomes.labels.items() if label.so_far is not None}
            for version, outcomes in by_version.items()
        }
        events, flagged, quarantined = (Counter[str]() for _ in range(3))
        for took in self._took:
            events.update(took.accepted)
            flagged.update(took.flagged)
            quarantined.update(took.quarantined)
        return SimulationReport(
            app=runtime.app.name,
            seed=self._seed,
            settings=settings,
            days=days,
            past_days=past_days,
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
            per_day=tally.per_day(days),
            seconds=seconds,
            stages={name: round(spent, 3) for name, spent in self._stages.items()},
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        before_s = self._stopwatch.read_s()
        yield
        self._stages[stage] = self._stages.get(stage, 0.0) + self._stopwatch.read_s() - before_s


class _Training:
    """A run of learning that begins now and ends at `end_us`."""

    def __init__(self, simulation: Simulation, as_of_us: int, end_us: int, case_ids: tuple[str, ...]) -> None:
        self._simulation, self._as_of_us, self._end_us = simulation, as_of_us, end_us
        self._case_ids = case_ids

    def poll(self) -> str | None:
        if not self._simulation.due(self._end_us):
            return None
        return self._simulation.learn(self._as_of_us, self._case_ids)


@contextmanager
def _home(home: Path | None) -> Iterator[Path]:
    if home is None:
        with tempfile.TemporaryDirectory(prefix="flyball-simulation-") as folder:
            yield Path(folder)
    else:
        if home.exists() and any(home.iterdir()):
            raise Refused(f"home of a simulation must be new or empty, got {home}: choose another --home")
        home.mkdir(parents=True, exist_ok=True)
        HomeLayout(home).simulated.write_text("made by flyball simulate: no event in it happened\n")
        yield home


def _words(decision: GovernorDecision, now_us: int) -> str:
    return f"day {(now_us - START_US) / DAY_US:.1f}: learning {decision.kind}: {decision.words}"


def _silent(_: str) -> None: ...
