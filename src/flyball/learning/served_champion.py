"""The comparison with the champion as it serves, where it had learned from part of the test window.

There its recipe is compared instead, fitted like all others on what was known before the window. For the candidate of
the same recipe that is the same model, which says nothing of what newer data is worth. So that candidate is fitted once
more, on what was known at the middle of the requests since the champion was learned, and both are evaluated on the
later half, which neither has seen.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from flyball.evaluation import CHAMPION, Challenger, Report, evaluate
from flyball.learning.champion import Champion, twin_of
from flyball.learning.continuation import Continuation
from flyball.learning.evaluate import as_it_is, features_of
from flyball.learning.fit import FitOrder, Fitted
from flyball.learning.job import Job
from flyball.learning.orders import fit_order
from flyball.learning.past import SnapshotPast
from flyball.learning.report import ServedComparison
from flyball.learning.shared_data import write_data
from flyball.learning.split import metrics_of
from flyball.learning.training_windows import usual_data
from flyball.models import load_artifact
from flyball.tasks import Examples


class ServedPlan(msgspec.Struct, frozen=True):
    """What is compared, or why not. `examples`: of a test window that the champion has not seen."""

    twin: str
    champion: Champion
    examples: Examples | None = None
    missing: str = ""


def served_plan_of(
    job: Job, past: SnapshotPast, champion: Champion | None, plan: Continuation | None
) -> ServedPlan | None:
    """How the candidate of the champion's recipe is compared with the champion as it serves; None where that is no
    question: without such a candidate, and where all candidates are compared with the champion as it is, or with its
    checkpoint, from which that candidate continues."""
    twin = twin_of(job.challengers.models, champion)
    if champion is None or not champion.saw_test_window or twin not in job.challengers.candidates:
        return None
    if plan is not None and not plan.only_compared:
        return None
    app, end_us = job.runtime.app, job.run.as_of_us + 1
    least, door = app.gates.min_examples, app.task.offline()
    if champion.version.as_of_us + 1 >= end_us:
        return ServedPlan(twin, champion, missing="since it was learned, no time has passed")
    since = door.examples(past, 2 * least, job.seed, metrics_of(app), (champion.version.as_of_us + 1, end_us))
    if isinstance(since, str):
        return ServedPlan(twin, champion, missing=f"since it was learned, {since}")
    times = sorted(since.evaluation.at_us.tolist())
    later = door.examples(past, least, job.seed, metrics_of(app), (times[len(times) // 2], end_us))
    if isinstance(later, str):
        return ServedPlan(twin, champion, missing=f"in the later half of the time since it was learned, {later}")
    return ServedPlan(twin, champion, later)


def served_orders(job: Job, past: SnapshotPast, plan: ServedPlan | None) -> list[FitOrder]:
    """The further fit that the comparison needs."""
    if plan is None or plan.examples is None:
        return []
    data = usual_data(job, plan.examples.train)
    write_data(job.work / "since-champion", data)
    model, folder = job.challengers.models[plan.twin], job.work / "trials" / "since-champion"
    return [fit_order(job, past, "served", plan.twin, model, job.work / "since-champion", folder)]


def compare_served(
    job: Job, past: SnapshotPast, plan: ServedPlan, orders: list[FitOrder], fitted: Mapping[str, Fitted | Exception]
) -> tuple[ServedComparison, Report | None]:
    """The comparison, and its report, in which the champion has the name `plan.champion.name`."""
    made = ServedComparison(version=plan.champion.version.id, candidate=plan.twin, missing=plan.missing)
    result = fitted.get(plan.twin)
    if plan.examples is None or not isinstance(result, Fitted):
        return (made if made.missing else msgspec.structs.replace(made, missing=f"its fit failed: {result}")), None
    features = features_of(job, past)
    candidate = Challenger(
        plan.twin,
        model=job.challengers.models[plan.twin],
        artifact=load_artifact(Path(orders[0].folder), result.files),
        as_of_us=plan.examples.train.as_of_us,
        features=features,
    )
    served = msgspec.structs.replace(
        as_it_is(plan.champion, features), name=plan.champion.name, role=CHAMPION, saw_test_window=False
    )
    app = job.runtime.app
    answered = {} if result.answered is None else {plan.twin: result.answered}
    report = evaluate(
        app.task,
        [candidate, served],
        plan.examples.evaluation,
        metrics=metrics_of(app),
        seed=job.seed,
        stopwatch=job.stopwatch,
        answered=answered,
    )
    metric = report.deciding(app.choose.metric)
    own, theirs = report.estimate(metric, plan.twin), report.estimate(metric, plan.champion.name)
    difference = report.difference(metric, plan.twin, plan.champion.name)
    if own is None or theirs is None or difference is None:
        failed = report.of(plan.twin).failed or report.of(plan.champion.name).failed
        return msgspec.structs.replace(made, missing=failed or f"{metric} has no value"), None
    return (
        msgspec.structs.replace(
            made,
            metric=metric,
            from_us=report.start_us,
            requests=report.requests,
            size=report.size_text,
            own=own,
            champion=theirs,
            difference=difference,
        ),
        report,
    )
