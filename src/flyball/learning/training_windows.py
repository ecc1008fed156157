"""The training windows that an application declares: each candidate is fitted on all of them, and keeps the best.

The first is the usual one; another takes its place for a candidate where it is certainly better on the requests of the
test window, which none of them has seen. Where "since_drift" is declared and a change of the world is known, these are
the later half of the requests since the change, if the task's own test window reaches back before it: what was better
in a world that is gone decides nothing.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from flyball.core import counted_units, format_timestamp
from flyball.evaluation import Estimate, Report
from flyball.learning.alert_findings import last_drift_us
from flyball.learning.challengers import variant_name
from flyball.learning.freshness_report import FEWEST_EXAMPLES, difference_of
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast
from flyball.learning.split import examples_of
from flyball.policy import SINCE_DRIFT, TrainWindow
from flyball.tasks import Examples, TakesPeriods, TrainingData


class WindowedData(msgspec.Struct, frozen=True):
    """A declared window with its data: `train`, known before the test window, from `train_from_us` on, and `full`,
    known now, from `full_from_us` on; 0 for everything."""

    window: TrainWindow
    train: TrainingData
    full: TrainingData
    train_from_us: int = 0
    full_from_us: int = 0


class ChosenWindow(msgspec.Struct, frozen=True):
    """The window that a candidate learns from, from `from_us` on, and why, "" where there was nothing to choose."""

    name: str
    from_us: int
    reason: str = ""

    @property
    def sentence(self) -> str:
        """In words, for reports."""
        since = f", from {format_timestamp(self.from_us)} on" if self.from_us else ""
        return f"learned from {self.name}{since}{f': {self.reason}' if self.reason else ''}"


def windowed_examples(job: Job, past: SnapshotPast, examples: Examples) -> tuple[Examples, list[WindowedData]]:
    """The examples to evaluate on, with the data of the usual window, and every window that has data enough."""
    door, declared = job.runtime.app.task.offline(), job.windows
    if not isinstance(door, TakesPeriods):  # then only "all" may be declared
        return examples, [WindowedData(declared[0], examples.train, examples.full)]
    drift_us = 0
    if any(window.name == SINCE_DRIFT for window in declared):
        drift_us = last_drift_us(job.runtime.registry, job.run.as_of_us)
        examples = _since_drift(job, past, examples, door, drift_us)
    usable = [data for window in declared if (data := _data(job, door, window, examples, drift_us)) is not None]
    if not usable or usable[0].window != declared[0]:
        everything = WindowedData(TrainWindow(), examples.train, examples.full)
        usable = [everything, *(data for data in usable if data.window != everything.window)]
    return msgspec.structs.replace(examples, train=usable[0].train, full=usable[0].full), usable


def _since_drift(job: Job, past: SnapshotPast, examples: Examples, door: TakesPeriods, drift_us: int) -> Examples:
    """The examples, tested on the later half of the requests since the drift where the split is older than that."""
    before = door.example_times(examples.train)
    if not drift_us or int((before >= drift_us).sum()) >= FEWEST_EXAMPLES:
        return examples
    times = door.example_times(examples.full)
    known = np.sort(times[times >= drift_us])
    since = format_timestamp(drift_us)
    if len(known) < 2 * FEWEST_EXAMPLES:
        job.notes.append(
            f"{counted_units(len(known), 'example')} since the drift at {since}, {2 * FEWEST_EXAMPLES} are needed to "
            "learn from them and to test that: learned from the usual window"
        )
        return examples
    window_us = int(known[len(known) // 2]), max(examples.holdout.end_us, int(known[-1]) + 1)
    newer = examples_of(job, past, None, window_us)
    if isinstance(newer, str):
        job.notes.append(f"no test window since the drift at {since}: {newer}")
        return examples
    holdout = msgspec.structs.replace(newer.holdout, rule=f"the later half of the requests since the drift at {since}")
    return msgspec.structs.replace(newer, full=examples.full, holdout=holdout)


def _data(job: Job, door: TakesPeriods, window: TrainWindow, examples: Examples, drift_us: int) -> WindowedData | None:
    """The data of a window, None with a note where there are too few."""
    starts = [window.from_us(data.as_of_us, drift_us) for data in (examples.train, examples.full)]
    train_from_us, full_from_us = starts
    if train_from_us is None or full_from_us is None:
        return None
    if not full_from_us:
        return WindowedData(window, examples.train, examples.full)
    train, full = door.since(examples.train, train_from_us), door.since(examples.full, full_from_us)
    count = len(door.example_times(train))
    if count < FEWEST_EXAMPLES:
        job.notes.append(
            f"train_window {window.name}: {counted_units(count, 'example')} before the test window, {FEWEST_EXAMPLES} "
            "are needed: left out of this run"
        )
        return None
    return WindowedData(window, train, full, train_from_us, full_from_us)


def choose_windows(
    job: Job, report: Report, windows: Sequence[WindowedData]
) -> dict[str, tuple[WindowedData, ChosenWindow]]:
    """The window of each candidate: the usual one, or that which gains most of those that are certainly better."""
    metric = report.deciding(job.runtime.app.choose.metric)
    chosen = {}
    for name in job.challengers.candidates:
        gains = {
            data.window.name: gain
            for data in windows[1:]
            if (gain := _gain(report, metric, variant_name(name, data.window.name), name, len(windows) - 1)) is not None
        }
        certain = [window for window, gain in gains.items() if gain.low is not None and gain.low > 0]
        best = max(certain, key=lambda window: gains[window].value, default=windows[0].window.name)
        data = next(data for data in windows if data.window.name == best)
        chosen[name] = data, ChosenWindow(best, data.full_from_us, _reason(metric, best, gains, windows))
    return chosen


def _gain(report: Report, metric: str, name: str, usual: str, together: int) -> Estimate | None:
    """By how much `name` is better than `usual`, with an interval for so many comparisons at once."""
    if report.of(usual).failed or name not in report.evaluated or report.of(name).failed:
        return None
    if report.better.get(metric, "high") not in ("high", "low"):  # none is better that is only nearer to a target
        return None
    return difference_of([report], metric, name, usual, together)


def _reason(metric: str, best: str, gains: Mapping[str, Estimate], windows: Sequence[WindowedData]) -> str:
    if not gains:
        return ""
    usual = windows[0].window.name
    if best != usual:
        return f"{metric} is better by {gains[best].value:.4g} than from {usual}"
    tried = ", ".join(f"{name} ({gain.value:+z.4g})" for name, gain in gains.items())
    return f"no other window is certainly better by {metric}: {tried}"


def renamed(report: Report, chosen: Mapping[str, tuple[WindowedData, ChosenWindow]], usual: TrainWindow) -> Report:
    """The report with the chosen fit of each candidate under the candidate's name, the others as variants."""
    names = dict[str, str]()
    for candidate, (data, _) in chosen.items():
        if data.window != usual:
            names |= {
                candidate: variant_name(candidate, usual.name),
                variant_name(candidate, data.window.name): candidate,
            }
    evaluated = {
        name: msgspec.structs.replace(report.of(old), name=name)
        for name, old in sorted(
            ((names.get(old, old), old) for old in report.evaluated), key=lambda pair: "@" in pair[0]
        )
    }
    differences = {
        metric: {
            names.get(left, left): {names.get(other, other): value for other, value in others.items()}
            for left, others in pairs.items()
        }
        for metric, pairs in report.differences.items()
    }
    return msgspec.structs.replace(report, evaluated=evaluated, differences=differences)


def variants_of(
    chosen: Mapping[str, tuple[WindowedData, ChosenWindow]], windows: Sequence[WindowedData]
) -> dict[str, str]:
    """{candidate: the name of its chosen fit}, of those that learn from another window than the usual one."""
    return {
        name: variant_name(name, data.window.name)
        for name, (data, _) in chosen.items()
        if data.window != windows[0].window
    }


def window_words(
    job: Job, chosen: Mapping[str, tuple[WindowedData, ChosenWindow]], windows: Sequence[WindowedData]
) -> dict[str, str]:
    """{name in the report: the window it learned from, in words}; none where nothing but "all" is declared."""
    if job.windows == (TrainWindow(),):
        return {}
    words = {}
    for name, (data, window) in chosen.items():
        words[name] = window.sentence
        words |= {
            variant_name(name, other.window.name): ChosenWindow(other.window.name, other.full_from_us).sentence
            for other in windows
            if other.window != data.window
        }
    return words


def usual_data(job: Job, data: TrainingData) -> TrainingData:
    """`data` within the usual training window, by what was known when they were."""
    door, window = job.runtime.app.task.offline(), job.windows[0]
    from_us = window.from_us(data.as_of_us, 0)
    return door.since(data, from_us) if from_us and isinstance(door, TakesPeriods) else data
