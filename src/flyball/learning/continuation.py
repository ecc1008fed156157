"""Whether the champion's candidate continues from what the champion had learned, and what that saves.

A version of a candidate that can continue keeps a second artifact, its checkpoint: the model that was evaluated, which
knew nothing of the test window then. The next run continues both: the checkpoint to evaluate it on a later window,
which it has not seen either, and the version itself to serve. So what is evaluated was made as what serves is made.
"""

import shutil
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import FlyballError, counted_units
from flyball.evaluation import Report
from flyball.learning.challengers import feature_hashes_of
from flyball.learning.champion import Champion
from flyball.learning.cleanup import artifact_name
from flyball.learning.fit import FitOrder, FitStart, Fitted
from flyball.learning.job import Job
from flyball.learning.report import TrainingReport
from flyball.learning.scheduler import FitResults
from flyball.learning.snapshot import left_out_of
from flyball.learning.training_windows import ChosenWindow
from flyball.models import artifact_folder, code_of, code_of_task, kind_of, load_artifact, params_of
from flyball.policy import ALL_DATA, TrainWindow
from flyball.registry import Version
from flyball.tasks import ContinuesCandidates, Examples, TakesPeriods, TrainingData

CHECKPOINT = "checkpoint"
"""The folder of the checkpoint inside that of a version's artifact."""


class TrainingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How a version was trained, as the registry keeps it.

    `continued_from`: the version it continued from, with `new` examples, the `steps`-th time in a row; "" for one that
    was fitted on all of its `examples`, for `reason`. `fit_s`: what the last fit on everything took. `checkpoint_us`,
    `checkpoint_examples`, `files`: when the examples of the checkpoint were known, how many they were, and its files,
    {name: sha256}, {} without one. `left_out`: a digest of the accounts that were left out of training, "" for none.
    `window`: the training window, from `from_us` on, for `window_reason`; "" where nothing but "all" is declared.
    """

    continued_from: str = ""
    new: int = 0
    steps: int = 0
    reason: str = ""
    examples: int = 0
    fit_s: float = 0.0
    checkpoint_us: int = 0
    checkpoint_examples: int = 0
    files: dict[str, str] = {}
    left_out: str = ""
    window: str = ""
    from_us: int = 0
    window_reason: str = ""

    @property
    def sentence(self) -> str:
        if self.window:
            chosen = ChosenWindow(self.window, self.from_us, self.window_reason).sentence
            return f"continued from {self.continued_from}, {chosen}" if self.continued_from else chosen
        if not self.continued_from:
            return f"fitted on everything: {self.reason}"
        row = "" if self.steps == 1 else f", {self.steps} times in a row"
        return f"continued from {self.continued_from} with {counted_units(self.new, 'new example')}{row}"


class Continuation(msgspec.Struct, frozen=True):
    """`candidate` continues from the champion `version`: `trial` from its checkpoint, to be evaluated, and `full` from
    what serves. `only_compared`: it is fitted on everything all the same, and continued to compare the two."""

    candidate: str
    version: str
    trial: FitStart
    full: FitStart
    new: int
    steps: int
    fit_s: float
    only_compared: str = ""


def continued_name(champion: Champion) -> str:
    """The name of the champion's continued model where it is only compared."""
    return f"{champion.name}:continued"


def continuation_of(job: Job, champion: Champion | None, examples: Examples) -> Continuation | str:
    """How the champion's candidate continues, or why it is fitted on everything; "" where that is what is declared."""
    training, door = job.runtime.app.training, job.runtime.app.task.offline()
    if training is None:
        return ""
    if champion is None:
        return "there is no champion to continue from"
    version = champion.version
    if not isinstance(door, ContinuesCandidates):
        return f"candidates of {type(job.runtime.app.task).__name__} cannot continue"
    if reason := _changed(job, version) or door.unable_to_continue(champion.model) or _rejected(job, version):
        return reason
    record = record_of(version)
    if record.window not in ("", ALL_DATA):
        return f"{version.id} was learned from {record.window}"
    try:
        folder = artifact_folder(job.runtime.artifact_files, f"{version.artifact}/{CHECKPOINT}", record.files)
        load_artifact(folder, record.files)
    except FlyballError:
        return f"{version.id} has no checkpoint{' that can be read' if record.files else ''}"
    if record.left_out != _left_out(job):
        return f"other accounts are left out than when {version.id} was learned"
    if record.checkpoint_us > examples.train.as_of_us or version.as_of_us > examples.full.as_of_us:
        return f"{version.id} was evaluated on a later test window"
    earlier = door.unseen(examples.train, record.checkpoint_us, record.checkpoint_examples)
    new = door.unseen(examples.full, version.as_of_us, record.examples)
    if isinstance(earlier, str) or isinstance(new, str):
        return f"{earlier if isinstance(earlier, str) else new}: some came late or were removed"
    if not new:
        return f"nothing is new since {version.id}"
    steps = record.steps + 1
    return Continuation(
        version.candidate,
        version.id,
        FitStart(str(folder), record.files, record.checkpoint_us),
        FitStart(str(champion.folder), version.artifact_files, version.as_of_us),
        new,
        steps,
        record.fit_s,
        f"after {counted_units(record.steps, 'run')} that continued" if steps >= training.refit_every else "",
    )


def record_of(version: Version) -> TrainingRecord:
    """How a version was trained."""
    return msgspec.convert(version.training, TrainingRecord)


def records_of(
    job: Job,
    plan: Continuation | str,
    examples: Examples,
    trials: Sequence[FitOrder],
    fitted: FitResults,
    refitted: FitResults,
    elsewhere: Collection[str] = (),
) -> dict[str, TrainingRecord]:
    """How each candidate was trained; none where all are always fitted on everything, and none of `elsewhere`, those
    that were fitted on another training window.

    Keeps the evaluated models of those that can continue as their checkpoints, beside what serves.
    """
    door = job.runtime.app.task.offline()
    if job.runtime.app.training is None or not isinstance(door, ContinuesCandidates):
        return {}
    records, folder_of = dict[str, TrainingRecord](), {order.name: Path(order.folder) for order in trials}
    for name in job.challengers.candidates:
        if name in elsewhere:
            continue
        record, trial = _record(job, plan, name), fitted.get(name)
        unable = door.unable_to_continue(job.challengers.models[name])
        if isinstance(trial, Fitted) and isinstance(refitted.get(name), Fitted) and not unable:
            kept = job.runtime.artifacts / artifact_name(job.run.id, name) / CHECKPOINT
            shutil.move(folder_of[name], kept)
            record = msgspec.structs.replace(
                record,
                examples=_count(door, examples.full),
                fit_s=record.fit_s if record.continued_from else trial.seconds,
                checkpoint_us=examples.train.as_of_us,
                checkpoint_examples=_count(door, examples.train),
                files=trial.files,
                left_out=_left_out(job),
            )
        records[name] = record
    return records


def with_windows(
    job: Job, records: Mapping[str, TrainingRecord], chosen: Mapping[str, tuple[object, ChosenWindow]]
) -> dict[str, TrainingRecord]:
    """The records with the training window of each candidate, where another than "all" is declared."""
    if job.windows == (TrainWindow(),):
        return dict(records)
    return {
        name: msgspec.structs.replace(
            records.get(name, TrainingRecord()),
            window=window.name,
            from_us=window.from_us,
            window_reason=window.reason,
        )
        for name, (_, window) in chosen.items()
    }


def training_report(
    job: Job, plan: Continuation | str, champion: Champion | None, fitted: FitResults, report: Report
) -> TrainingReport | None:
    """What the run's report says of it; None where all are always fitted on everything."""
    if not plan:
        return None
    if isinstance(plan, str) or champion is None:
        return TrainingReport(candidate="", sentence=f"fitted on everything: {plan}")
    name, metric = plan.candidate, job.runtime.app.choose.metric
    continued = fitted.get(continued_name(champion) if plan.only_compared else name)
    on_everything, sentence = fitted.get(name), _record(job, plan, name).sentence
    made = TrainingReport(
        candidate=name,
        sentence=sentence,
        seconds=continued.seconds if isinstance(continued, Fitted) else None,
        fit_s=plan.fit_s or None,
    )
    if not plan.only_compared:
        return made
    difference = None
    if isinstance(continued, Fitted) and isinstance(on_everything, Fitted):
        difference = report.difference(metric, continued_name(champion), name)
    fit_s = on_everything.seconds if isinstance(on_everything, Fitted) else None
    return msgspec.structs.replace(made, fit_s=fit_s, metric=metric, difference=difference)


def _record(job: Job, plan: Continuation | str, name: str) -> TrainingRecord:
    """How a candidate was trained, without its checkpoint."""
    if isinstance(plan, str):
        return TrainingRecord(reason=plan)
    if plan.candidate != name:
        return TrainingRecord(reason=f"the champion {plan.version} is one of {plan.candidate}")
    if plan.only_compared:
        return TrainingRecord(reason=plan.only_compared)
    return TrainingRecord(continued_from=plan.version, new=plan.new, steps=plan.steps, fit_s=plan.fit_s)


def _changed(job: Job, version: Version) -> str:
    """What was declared otherwise when the version was learned, "" for nothing that matters to a candidate."""
    task, candidate = job.runtime.app.task, job.runtime.app.candidates.get(version.candidate)
    if candidate is None or kind_of(candidate) != version.kind or _plain(params_of(candidate)) != version.params:
        return f"{version.candidate} is not declared as it was when {version.id} was learned"
    now = {
        "features": (feature_hashes_of(task, candidate), version.features),
        "declaration": (task.about.declaration, version.declaration),
        "code": ({**code_of_task(task), **code_of(candidate)}, version.code),
    }
    for what, (declared, learned) in now.items():
        if _plain(declared) != _plain(learned):
            return f"the {what} changed since {version.id} was learned"
    return ""


def _rejected(job: Job, version: Version) -> str:
    for later in job.runtime.registry.versions():
        if later.state == "rejected" and later.training.get("continued_from") == version.id:
            return f"{later.id}, which continued from {version.id}, was rejected"
    return ""


def _left_out(job: Job) -> str:
    """A digest of the accounts that are left out: what a model learned from them would stay in it if it continued."""
    shares = left_out_of(job).shares
    return blake2b(msgspec.json.encode(shares, order="sorted"), digest_size=16).hexdigest() if shares else ""


def _count(door: Any, data: TrainingData) -> int:
    return len(door.example_times(data)) if isinstance(door, TakesPeriods) else 0


def _plain(value: Any) -> Any:
    """As the registry gives it back."""
    return msgspec.json.decode(msgspec.json.encode(value))
