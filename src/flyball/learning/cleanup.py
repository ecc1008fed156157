"""Removes the files that killed runs and retired versions leave behind."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from flyball.core import format_duration
from flyball.files import FileStore
from flyball.models import has_artifact, remove_artifact, unregistered_artifacts
from flyball.registry import INTERRUPTED, REMOVED, AuditEntry, Registry, add_entry, elsewhere, end_run
from flyball.releases import current, versions_in_service

WORK = "learning"
"""The name of the temporary folder of learning inside the home."""

REACH = 3
"""The number of earlier champions whose artifacts are always kept for a rollback."""

_ARTIFACT = re.compile(r"\A\.?(?P<run>r\d+)-")


def artifact_name(run_id: str, candidate: str) -> str:
    """The folder name of a run's artifact; unique, since run ids are never reused."""
    return f"{run_id}-{candidate}"


def clean_leftovers(registry: Registry, home: Path, artifacts: Path | FileStore, now_us: int) -> list[str]:
    """Close interrupted runs, remove unregistered artifacts and the work folder; returns notes on what was done.

    Call it only while holding the lock of learning, so that no run of this process is under way; those of other
    processes, such as on another machine, go on. Files with names that no run makes are kept.
    """
    notes = []
    unended = [run for run in registry.runs() if run.ended_us is None]
    others = elsewhere(registry.database) if unended else set()
    for run in unended:
        if f"run {run.id}" not in others:
            end_run(registry, run, "interrupted", now_us, report={"reason": INTERRUPTED})
            notes.append(f"run {run.id} was interrupted; it left no half version")
    notes += [f"removed unfinished artifact {name}" for name in remove_unregistered(registry, artifacts)]
    shutil.rmtree(home / WORK, ignore_errors=True)
    return notes


def remove_unregistered(registry: Registry, artifacts: Path | FileStore) -> list[str]:
    """Remove the artifacts, complete or not, that belong to no version and to no run under way in another process;
    returns their names."""
    others = elsewhere(registry.database)
    named = {version.artifact for version in registry.versions()}
    unnamed = [
        name
        for name in unregistered_artifacts(artifacts, named)
        if (made := _ARTIFACT.match(name)) and f"run {made['run']}" not in others
    ]
    for name in unnamed:
        remove_artifact(artifacts, name)
    return unnamed


def remove_outdated(
    registry: Registry, artifacts: Path | FileStore, keep_runs: int, keep_us: int, now_us: int, by: str = "learn"
) -> list[str]:
    """Remove outdated artifacts; returns the ids of their versions, which stay registered.

    Outdated are artifacts of versions that never served and are older than the last `keep_runs` runs, and of versions
    out of service for longer than `keep_us`, whose answers can be replayed until then. Those of the champion and of the
    `REACH` champions before it are always kept, for a rollback.
    """
    versions, state = registry.versions(), current(registry)
    runs = sorted({int(version.run[1:]) for version in versions if version.artifact})[-keep_runs:]
    drafted = (version for release in state.releases for version in release.versions)
    kept_ids = {*versions_in_service(state), *state.trail[-REACH:], *drafted}
    served = last_served_us(registry.audit())
    removed = []
    for version in versions:
        if version.id in kept_ids or not version.artifact or not has_artifact(artifacts, version.artifact):
            continue
        if version.id in served:
            outdated = now_us - served[version.id] > keep_us
            reason = f"it has been out of service for longer than {format_duration(keep_us)}"
        else:
            outdated = version.state == "candidate" and int(version.run[1:]) not in runs
            reason = f"it never served and is older than the last {keep_runs} runs"
        if outdated:
            removed.append(version.id)
            entry = AuditEntry(
                at_us=now_us,
                by=by,
                action=REMOVED,
                subject=version.id,
                reason=reason,
                before={"artifact": version.artifact},
                after={},
            )
            add_entry(registry, entry)
            remove_artifact(artifacts, version.artifact)
    return removed


def last_served_us(audit: Sequence[AuditEntry]) -> dict[str, int]:
    """{version: when it last stopped being champion or previous champion}, or became it, of all that ever were.

    The previous champion counts as in service, since it answers where the champion cannot.
    """
    served_us: dict[str, int] = {}
    for entry in audit:
        for state in (entry.before, entry.after):
            for role in ("champion", "previous"):
                if entry.action in ("promote", "rollback") and state.get(role):
                    served_us[str(state[role])] = max(entry.at_us, served_us.get(str(state[role]), entry.at_us))
    return served_us
