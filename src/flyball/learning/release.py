"""Chooses the winner of a run and starts its release, as the application declares."""

import msgspec

from flyball.core import Refused, format_timestamp
from flyball.evaluation import Report, choose
from flyball.learning.job import Job
from flyball.learning.report import failure_text
from flyball.registry import Version
from flyball.releases import ReleaseState, current, declared_arrangement, start_release


class Decision(msgspec.Struct, frozen=True):
    """The `chosen` version, whether it serves all requests now (`released`), the reason or the release that was
    started, and the `champion` now."""

    chosen: str
    released: bool
    reason: str
    champion: str | None


def release(job: Job, report: Report, versions: list[Version], before: ReleaseState) -> Decision:
    """Choose among the versions that passed and start a release, unless the release state was changed meanwhile.

    The gates compare each candidate with the champion, so one that passed is not worse. A version that was learned as
    of an earlier time than the champion is not released.
    """
    passed = {version.candidate: version for version in versions if version.state == "candidate"}
    if not passed:
        return Decision("", False, "no candidate passed its gates", before.champion)
    name, reason = choose(job.runtime.app.choose, report, list(passed))
    version = passed[name]
    known_us = 0 if before.champion is None else job.runtime.registry.version(before.champion).as_of_us
    if job.run.as_of_us < known_us:
        reason = (
            f"{version.id} knows the past up to {format_timestamp(job.run.as_of_us)} only, the champion "
            f"{before.champion} up to {format_timestamp(known_us)}; release it by hand if that is meant"
        )
        return Decision(version.id, False, reason, before.champion)
    app, registry, now_us = job.runtime.app, job.runtime.registry, job.runtime.clock.now_us()
    about = app.task.about
    try:
        change = start_release(
            registry,
            app.release,
            [version.id],
            job.runtime.actor(job.by, reason, now_us),
            constants=job.runtime.release_constants(before.champion, now_us),
            serial=before.serial,
            arrangement=declared_arrangement(registry, app.name, about.arrangement, job.by, now_us),
        )
    except Refused as error:
        return Decision(version.id, False, failure_text(error), current(job.runtime.registry).champion)
    job.report("release", change.message, name)
    released = change.state.champion == version.id
    return Decision(version.id, released, f"{change.message}: {reason}", change.state.champion)
