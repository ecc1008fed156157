"""Evaluates candidates, baselines and the champion on the same requests of the test window, which none has seen."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from flyball.evaluation import BASELINE, CANDIDATE, CHAMPION, Challenger, Report, evaluate
from flyball.learning.challengers import Challengers, plain_name
from flyball.learning.champion import Champion, recipe_name, twin_of
from flyball.learning.continuation import Continuation
from flyball.learning.fit import FitOrder, Fitted
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast, event_names
from flyball.learning.report import failure_text
from flyball.learning.split import metrics_of
from flyball.models import load_artifact
from flyball.tasks import Examples, OfflineFeatures


def evaluate_all(
    job: Job,
    examples: Examples,
    past: SnapshotPast,
    champion: Champion | None,
    trials: list[FitOrder],
    fitted: Mapping[str, Fitted | Exception],
    plan: Continuation | None = None,
) -> Report:
    """Evaluate all challengers, `fitted` by `trials` on what was known before the test window, on its requests."""
    app, twin = job.runtime.app, twin_of(job.challengers.models, champion)
    answered = {
        name: result.answered
        for name, result in fitted.items()
        if isinstance(result, Fitted) and result.answered is not None
    }
    features = features_of(job, past)
    challengers = [
        _challenger(job, order, fitted[order.name], champion, examples.train.as_of_us, features) for order in trials
    ]
    if champion is not None and plan is not None and not plan.only_compared:
        challengers += [_checkpoint(champion, plan, features)] if champion.saw_test_window else []
    elif champion is not None and twin:
        same = next(challenger for challenger in challengers if challenger.name == twin)
        challengers.append(msgspec.structs.replace(same, name=recipe_name(champion), role=CHAMPION))
        answered |= {challengers[-1].name: answered[twin]} if twin in answered else {}
    if champion is not None:
        challengers.append(as_it_is(champion, features))
    report = evaluate(
        app.task,
        challengers,
        examples.evaluation,
        metrics=metrics_of(app),
        seed=job.seed,
        stopwatch=job.stopwatch,
        answered=answered,
    )
    job.report("evaluate", f"{len(challengers)} challengers on {report.size_text}")
    job.notes.extend(report.notes)
    return report


def _role(challengers: Challengers, name: str) -> str:
    if name in challengers.candidates:
        return CANDIDATE
    return BASELINE if name in challengers.baselines else CHAMPION


def features_of(job: Job, past: SnapshotPast) -> OfflineFeatures | None:
    """The declared features of the requests of the test window, as known and applied then; None without any."""
    about = job.runtime.app.task.about
    if not about.feature_groups:
        return None
    return OfflineFeatures(about.feature_groups, past.frames(event_names(about)), apply_delay_us=past.lag.features_us)


def _challenger(
    job: Job,
    order: FitOrder,
    result: Fitted | Exception,
    champion: Champion | None,
    as_of_us: int,
    features: OfflineFeatures | None,
) -> Challenger:
    name = plain_name(order.name)
    role = _role(job.challengers, name)
    if isinstance(result, Exception):
        return Challenger(order.name, role, failed=failure_text(result))
    recipe = None if champion is None else champion.model
    return Challenger(
        name=order.name,
        role=role,
        model=recipe if order.recipe else job.challengers.models[name],
        artifact=load_artifact(Path(order.folder), result.files),
        as_of_us=as_of_us,
        train_s=result.seconds,
        bytes=result.size,
        features=features,
    )


def _checkpoint(champion: Champion, plan: Continuation, features: OfflineFeatures | None) -> Challenger:
    """The champion as it was evaluated, before it had learned from what is tested now."""
    start = plan.trial
    return Challenger(
        name=champion.name,
        role=CHAMPION,
        model=champion.model,
        artifact=load_artifact(Path(start.folder), start.files),
        as_of_us=start.as_of_us,
        features=features,
    )


def as_it_is(champion: Champion, features: OfflineFeatures | None) -> Challenger:
    """The champion's own artifact as a challenger."""
    return Challenger(
        name=champion.beside if champion.saw_test_window else champion.name,
        role=CHAMPION,
        model=champion.model,
        artifact=load_artifact(champion.folder, champion.version.artifact_files),
        as_of_us=champion.version.as_of_us,
        train_s=0.0,
        bytes=sum(path.stat().st_size for path in champion.folder.iterdir() if path.is_file()),
        features=features,
        saw_test_window=champion.saw_test_window,
    )
