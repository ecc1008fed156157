"""Harm of a version that went to all at once: its answers beside those of the champion before, by final labels."""

from flyball.experiments import NOTHING, PredictionRows
from flyball.outcomes import prediction_of, records_between
from flyball.policy import metric
from flyball.releases import MetricEvidence, Release, harm_alpha
from flyball.runtime import Runtime
from flyball.statistics import rate_difference

BEFORE_US = 7 * 86_400_000_000
"""How far back the answers of the champion before are looked at."""


def late_harm(runtime: Runtime, release: Release, now_us: int) -> list[MetricEvidence]:
    """Of each harmful label of a release that made its version the champion, how much more often it follows an answer.

    A comparison over time, not a random one: what changed elsewhere at the same time looks like the version's doing.
    The interval holds at every look.
    """
    labels = {label.name for label in runtime.app.task.about.labels}
    return [_of_label(runtime, release, name, now_us) for name in release.harmful if name in labels]


def _of_label(runtime: Runtime, release: Release, name: str, now_us: int) -> MetricEvidence:
    about = runtime.app.task.about
    rows = PredictionRows(runtime.predictions, runtime.outcomes_path, about, metric.label(name, better="low"))
    first_us, until_us = release.since_us - BEFORE_US, now_us - rows.label.within_us
    followed = rows.followed(first_us)
    harmed, answers = {release.over: 0, release.candidate: 0}, {release.over: 0, release.candidate: 0}
    for record in records_between(runtime.predictions, first_us, until_us):
        prediction = prediction_of(record)
        version = prediction.assigned or prediction.version
        number = rows.number_of(prediction, followed.get(prediction.id, NOTHING))
        expected = release.over if prediction.at_us < release.since_us else release.candidate
        if version == expected and number is not None:
            answers[version] += 1
            harmed[version] += number > 0
    candidate = release.arms[-1].name
    if not all(answers.values()):
        missing = "answers of both versions whose labels are final"
        return MetricEvidence(name, candidate, "harmful", missing=missing, sentence=f"{name}: {missing} are missing")
    before, since = ((harmed[version], answers[version]) for version in (release.over, release.candidate))
    known = rate_difference(
        *before, *since, release.constants.get("n_best", 2_000.0), harm_alpha(release), higher_is_better=False
    )
    sentence = (
        f"{name} after {since[0] / since[1]:.2%} of {since[1]:,} answers by {release.candidate}, against "
        f"{before[0] / before[1]:.2%} of {before[1]:,} by {release.over} before: a rise between {known.low:+.2%} and "
        f"{known.high:+.2%}, accepted {release.harmful[name]:+.2%}"
    )
    return MetricEvidence(name, candidate, "harmful", -known.effect, -known.high, -known.low, known.missing, sentence)
