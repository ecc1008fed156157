"""Outcomes keep an interval at its level, whatever the world does; exactly once, and stamped in every answer."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.tasks.predict.drifting import DAY_US, drifting

from flyball.app import App
from flyball.core import LeaseLost, ManualClock
from flyball.outcomes import IntervalConsumer, IntervalState, Prediction, prediction_of, read_interval
from flyball.policy import trace
from flyball.provenance import replay, why
from flyball.runtime import Runtime, load_settings
from flyball.simulation import SimulationReport, simulate
from flyball.simulation.virtual import START_US

DAYS = 60


def four_standard_errors(level: float, count: int) -> float:
    return 4 * float(np.sqrt(level * (1 - level) / count))


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_it_covers_its_level_while_errors_grow_and_jump(rate: float) -> None:
    rng = np.random.default_rng(3)
    spread = np.concatenate([np.linspace(1, 5, 2_000), np.full(1_000, 20.0), np.full(2_000, 2.0)])
    state, inside = IntervalState(0.8, 0.2), []
    for actual in rng.normal(0.0, spread).tolist():
        low, high = -1.28 - state.margin, 1.28 + state.margin  # a version that knows the first day alone
        inside.append(low <= actual <= high)
        state = state.after(low, high, state.margin, actual, rate)
    assert state.covered == sum(inside)
    bound = 1 / (rate * len(inside))  # Gibbs and Candès, proposition 4.1
    assert np.mean(inside) == pytest.approx(0.8, abs=bound + 0.01)
    assert np.mean(inside[2_500:3_000]) == pytest.approx(0.8, abs=0.07)


def test_scores_are_of_the_version_itself_not_of_what_was_answered() -> None:
    state = IntervalState(0.8, 0.2).after(8.0, 22.0, margin=2.0, actual=25.0, rate=0.05)
    assert state.scores == (5.0,)  # 25 lies 5 above the 20 that the version predicted


class Drifted:
    def __init__(self, home: Path, app: App, days: int = DAYS) -> None:
        self.report: SimulationReport = simulate(app, days=days, home=home, step="12h")
        self.runtime = Runtime(app, load_settings(home), ManualClock(START_US + (days + 1) * DAY_US))

    @property
    def predictions(self) -> list[Prediction]:
        pieces = self.runtime.predictions.read((0,), 1_000_000)
        return [
            answer for piece in pieces for answer in map(prediction_of, piece.records) if answer.level == "champion"
        ]

    @property
    def inside(self) -> tuple[float, int]:
        """The share of the served answers that truly held, and how many there are."""
        rows = [(version.true["inside"], version.answers) for version in self.report.versions if version.version]
        count = sum(answers for _, answers in rows)
        return sum(share * answers for share, answers in rows) / count, count


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Drifted:
    return Drifted(tmp_path_factory.mktemp("drifting") / "home", drifting())


def test_what_is_served_covers_its_level_over_sixty_days_of_drift(drifted: Drifted) -> None:
    share, count = drifted.inside
    assert count > 5_000
    assert share == pytest.approx(0.8, abs=four_standard_errors(0.8, count))


def test_without_it_the_same_versions_cover_less(tmp_path: Path) -> None:
    share, count = Drifted(tmp_path / "home", drifting(adapt=0.0), days=30).inside
    assert share < 0.8 - four_standard_errors(0.8, count)


def test_every_answer_of_a_version_is_stamped_and_replays_bit_for_bit(drifted: Drifted) -> None:
    stamps = [prediction.interval for prediction in drifted.predictions]
    assert all(stamp is not None for stamp in stamps)
    revisions = [stamp.revision for stamp in stamps if stamp is not None]
    assert revisions == sorted(revisions)
    assert revisions[0] == 0 < revisions[-1]
    for prediction in drifted.predictions[:: len(stamps) // 12]:
        again = replay(drifted.runtime, prediction.id)
        assert (again.identical, again.differences) == (True, [])


def test_why_says_by_how_much_outcomes_moved_it(drifted: Drifted) -> None:
    last = drifted.predictions[-1]
    assert last.interval is not None
    low, middle, high = why(drifted.runtime, last.id, reasons=20).values
    moved = {part.name: part.value for part in high.because}["moved by outcomes"]
    assert moved == pytest.approx(last.interval.margin)
    assert {part.name: part.value for part in low.because}["moved by outcomes"] == pytest.approx(-moved)
    for value in (low, middle, high):
        assert sum(part.value for part in value.because) == pytest.approx(value.value)


def test_what_is_read_again_changes_nothing(drifted: Drifted, tmp_path: Path) -> None:
    """The state of a consumer that is stopped after every batch and given each batch twice is that of one run."""
    runtime, about = drifted.runtime, drifted.runtime.app.task.about
    assert about.interval is not None
    paths = tmp_path / "once.db", tmp_path / "again.db"
    for path, times in zip(paths, (1, 2), strict=True):
        for stream, log in (("predictions", runtime.predictions), ("events", runtime.log)):
            start = (0,) * len(log.ends())
            while slices := log.read(start, 4_000):
                for _ in range(times):
                    consumer = IntervalConsumer(runtime.schema, about, about.interval, path, log)
                    getattr(consumer, f"apply_{stream}")(slices)
                    start = consumer.offsets(stream, len(log.ends()))
                    consumer.close()
    once, again = map(read_interval, paths)
    assert once is not None
    assert once == again
    assert once.outcomes == len(drifted.predictions)


@pytest.mark.parametrize(
    ("ends", "level", "covered"), [((0, 2), 0.8, "some"), ((1, 1), 0.8, "none"), ((0, 2), 0.9, "")]
)
def test_an_answer_counts_by_the_interval_of_its_version(
    drifted: Drifted, tmp_path: Path, ends: tuple[int, int], level: float, covered: str
) -> None:
    """Its ends are where that version has them; one of another level is left out."""
    runtime, about = drifted.runtime, drifted.runtime.app.task.about
    assert about.interval is not None
    own = msgspec.structs.replace(about.interval, ends=ends, level=level)
    path, partitions = tmp_path / "intervals.db", len(runtime.log.ends())
    consumer = IntervalConsumer(runtime.schema, about, about.interval, path, runtime.log, lambda prediction: own)
    consumer.apply_predictions(runtime.predictions.read((0,) * len(runtime.predictions.ends()), 500))
    consumer.apply_events(runtime.log.read((0,) * partitions, 4_000))
    consumer.close()
    state = read_interval(path)
    if not covered:
        assert state is None
        return
    assert state is not None
    assert state.outcomes > 100
    assert (state.covered > 0) == (covered == "some")


def test_another_declaration_begins_again(drifted: Drifted, tmp_path: Path) -> None:
    runtime, path = drifted.runtime, tmp_path / "intervals.db"
    for level_rate in (0.02, 0.05):
        about = drifting(adapt=level_rate).task.about
        assert about.interval is not None
        consumer = IntervalConsumer(runtime.schema, about, about.interval, path)
        assert consumer.offsets("predictions", 1) == (0,)
        consumer.apply_predictions(runtime.predictions.read((0,), 100))
        assert consumer.offsets("predictions", 1) == (100,)
        consumer.close()


@pytest.mark.parametrize("change", ["within_us", "where", "latest", "censored_by"])
def test_an_edited_target_begins_again(drifted: Drifted, tmp_path: Path, change: str) -> None:
    """A state that was folded by another meaning of the label is computed again from both streams."""
    runtime, about = drifted.runtime, drifted.runtime.app.task.about
    assert about.interval is not None
    (label,) = [label for label in about.labels if label.name == about.interval.label]
    changed = {
        "within_us": label.within_us + 1,
        "where": trace(lambda event: event.at >= 0),
        "latest": True,
        "censored_by": (label.event,),
    }
    edited = msgspec.structs.replace(label, **{change: changed[change]})
    before = IntervalConsumer(runtime.schema, about, about.interval, tmp_path / "intervals.db")
    before.apply_predictions(runtime.predictions.read((0,), 100))
    before.close()
    for labels, begins in (((label,), 100), ((edited,), 0)):
        now = msgspec.structs.replace(about, labels=labels)
        consumer = IntervalConsumer(runtime.schema, now, about.interval, tmp_path / "intervals.db")
        assert consumer.offsets("predictions", 1) == (begins,)
        consumer.close()


def test_a_consumer_that_was_paused_while_another_took_over_writes_nothing(drifted: Drifted, tmp_path: Path) -> None:
    runtime, about, path = drifted.runtime, drifted.runtime.app.task.about, tmp_path / "intervals.db"
    assert about.interval is not None
    woken = IntervalConsumer(runtime.schema, about, about.interval, path, token=5)
    woken.apply_predictions(runtime.predictions.read((0,), 100))
    now = msgspec.structs.replace(about.interval, rate=0.03)
    other = IntervalConsumer(runtime.schema, about, now, path, token=7)
    other.apply_predictions(runtime.predictions.read((0,), 50))
    for write in (
        lambda: woken.apply_predictions(runtime.predictions.read((100,), 100)),
        lambda: woken.apply_events(runtime.log.read((0, 0, 0, 0), 100)),
        lambda: woken.forget_old(0),
    ):
        with pytest.raises(LeaseLost, match="must be held with token 5, got 7"):
            write()
    assert other.offsets("predictions", 1) == (50,)


def test_before_any_outcome_there_is_no_state(tmp_path: Path) -> None:
    assert read_interval(tmp_path / "intervals.db") is None
