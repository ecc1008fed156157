"""The temporal holdout split: training data, and requests of a later time to evaluate on."""

from flyball.app import App
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast
from flyball.policy import OnPerformance
from flyball.tasks import Examples, Offline


def examples_of(
    job: Job, past: SnapshotPast, offline: Offline | None = None, window_us: tuple[int, int] | None = None
) -> Examples | str:
    """The task's examples, or the reason why there are too few. `window_us`: the test window, else the task's own."""
    app = job.runtime.app
    door = offline or app.task.offline()
    examples = door.examples(past, app.gates.min_examples, job.seed, metrics_of(app), window_us)
    if not isinstance(examples, str):
        job.report("examples", examples.summary)
    return examples


def metrics_of(app: App) -> list[str]:
    """The metrics that the application's rules name, and the corrected ones that decide in their place."""
    triggering = [trigger.metric for trigger in app.retrain if isinstance(trigger, OnPerformance)]
    named = [app.choose.metric, *(gate.metric for gate in app.gates.metrics), *triggering]
    plan = app.task.offline().plan()
    corrected = [plan.corrected_name(name) for name in named] if app.choose.ips else []
    return list(dict.fromkeys([*named, *corrected]))
