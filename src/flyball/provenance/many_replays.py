"""Many answers of the log, computed again in tasks of a compute: processes of this machine, or a cluster.

Each task opens the stores of the application by itself and replays some answers, so a worker that dies costs those
alone; they are tried as often as the compute says. The report is the same wherever the tasks run.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from flyball.app import AppSource
from flyball.compute import Compute, Needs, run_tasks
from flyball.core import FlyballError, ManualClock, counted_units
from flyball.outcomes import Prediction, prediction_of, records_between
from flyball.provenance.recompute import WHY_NOT, Replay, replay
from flyball.runtime import Runtime, open_runtime
from flyball.settings import Settings

AT_ONCE = 20
"""How many answers a task replays: some seconds of work, so that little is lost with it."""
_SHOWN = 20


class ManyReplays(msgspec.Struct, frozen=True):
    """`replayed` of the `answers` of versions in the log; `identical` of them, bit for bit. `failures`: {reason: how
    many could not be computed again}. `different`: the first ones that are not identical."""

    answers: int
    replayed: int
    identical: int
    failures: dict[str, int] = {}
    different: list[Replay] = []

    @property
    def all_identical(self) -> bool:
        """Whether each was computed again and is identical."""
        return self.identical == self.replayed

    def text(self) -> str:
        """As text for people."""
        rows = [f"{self.identical:,} of {self.replayed:,} identical, bit for bit (of {self.answers:,} in the log)"]
        rows += [f"{count:,} cannot be replayed: {reason}" for reason, count in self.failures.items()]
        changed = [replayed for replayed in self.different if replayed.replayable]
        rows += [f"{replayed.id}: {line}" for replayed in changed for line in replayed.differences]
        return "\n".join(rows + ([WHY_NOT] if changed else []))


def replay_many(
    runtime: Runtime,
    count: int,
    compute: Compute | None = None,
    progress: Callable[[str], object] = lambda text: None,
    at_once: int = AT_ONCE,
) -> ManyReplays:
    """Replay `count` of the answers in the log, evenly chosen; `compute`: where, None for this process.

    Raises `Refused` for needs that no machine of the compute meets.
    """
    made, chosen = evenly_chosen(runtime, count)
    ids = [answer.id for answer in chosen]
    parts = [ids[start : start + at_once] for start in range(0, len(ids), at_once)]
    results: dict[int, list[Replay]] = {}
    for part, replays in _replayed(runtime, parts, compute):
        results[part] = replays
        done = sum(len(parts[number]) for number in results)
        progress(f"{done:,} of {counted_units(len(ids), 'answer')} replayed")
    ordered = [replayed for part in sorted(results) for replayed in results[part]]
    failures: dict[str, int] = {}
    for replayed in ordered:
        if not replayed.replayable:
            reason = "; ".join(replayed.notes)
            failures[reason] = failures.get(reason, 0) + 1
    changed = [replayed for replayed in ordered if not replayed.identical]
    return ManyReplays(made, len(ids), len(ids) - len(changed), failures, changed[:_SHOWN])


def replay_elsewhere(source: AppSource, settings: Settings, now_us: int, ids: Sequence[str]) -> list[Replay]:
    """As a task: the replays of these answers, in this order."""
    runtime = open_runtime(source, settings, ManualClock(now_us))
    try:
        return [replay(runtime, prediction) for prediction in ids]
    finally:
        runtime.close()


def _replayed(
    runtime: Runtime, parts: Sequence[Sequence[str]], compute: Compute | None
) -> Iterator[tuple[int, list[Replay]]]:
    """(number of a part, its replays), as each ends."""
    if compute is None:
        for number, ids in enumerate(parts):
            yield number, [replay(runtime, prediction) for prediction in ids]
        return
    calls = [(runtime.source, runtime.settings, runtime.clock.now_us(), ids) for ids in parts]
    for number, replays in run_tasks(compute, replay_elsewhere, calls, Needs()):
        if isinstance(replays, FlyballError):
            raise replays
        if isinstance(replays, Exception):  # the task was lost as often as it may be: its answers are not known
            replays = [Replay(name, "", "", False, False, [], [str(replays)]) for name in parts[number]]
        yield number, replays


def evenly_chosen(runtime: Runtime, count: int) -> tuple[int, Iterator[Prediction]]:
    """(how many answers of versions the log has, `count` of them, evenly chosen, in its order)."""
    made = sum(1 for _ in _answers(runtime))
    taken = min(made, count)
    numbers = {number * made // taken for number in range(taken)}
    return made, (answer for number, answer in enumerate(_answers(runtime)) if number in numbers)


def _answers(runtime: Runtime) -> Iterator[Prediction]:
    """The answers of versions in the log, which may be too many for the memory."""
    answers = (prediction_of(record) for record in records_between(runtime.predictions, 0))
    return (answer for answer in answers if answer.version)
