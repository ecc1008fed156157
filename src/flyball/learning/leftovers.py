"""What a killed run leaves behind, and its removal."""

import re
import shutil
from pathlib import Path

from flyball.registry import AuditEntry, Registry, add_entry, end_run
from flyball.releases import current

WORK = "learning"
"""The folder, inside the home, of what is needed only while learning."""

_ARTIFACT = re.compile(r"\A\.?r\d+-")


def artifact_name(run_id: str, candidate: str) -> str:
    """The folder of a run's artifact: run ids are never used twice, so neither is this."""
    return f"{run_id}-{candidate}"


def clean_leftovers(registry: Registry, home: Path, artifacts: Path, now_us: int) -> list[str]:
    """Close runs that never ended, remove artifacts no version names and the work folder; tells what was done.

    Call it only while holding the lock of learning. Files whose names no run made are left alone.
    """
    told = []
    for run in registry.runs():
        if run.status == "running":
            end_run(registry, run, "interrupted", now_us, report={"reason": "the process ended before the run did"})
            told.append(f"run {run.id} was interrupted; it left no half version")
    told += [f"removed unfinished artifact {name}" for name in remove_unregistered(registry, artifacts)]
    shutil.rmtree(home / WORK, ignore_errors=True)
    return told


def remove_unregistered(registry: Registry, artifacts: Path) -> list[str]:
    """Remove the artifacts, whole or half, that no version names; gives their names."""
    if not artifacts.is_dir():
        return []
    named = {version.artifact for version in registry.versions()}
    unnamed = [path for path in sorted(artifacts.iterdir()) if path.name not in named and _ARTIFACT.match(path.name)]
    for path in unnamed:
        shutil.rmtree(path)
    return [path.name for path in unnamed]


def remove_outdated(registry: Registry, artifacts: Path, keep_runs: int, now_us: int) -> list[str]:
    """Remove the artifacts of versions that never served and are older than the last `keep_runs` runs; gives their ids.

    What served is kept: it can be gone back to, and its answers explained. The versions stay registered, without files.
    """
    versions, state = registry.versions(), current(registry)
    runs = sorted({int(version.run[1:]) for version in versions if version.artifact})[-keep_runs:]
    held = {state.champion, state.previous, *state.trail, *(arm.version for arm in state.arms)}
    gone = [
        version
        for version in versions
        if version.state == "candidate"
        and version.id not in held
        and version.artifact
        and int(version.run[1:]) not in runs
        and (artifacts / version.artifact).is_dir()
    ]
    for version in gone:
        entry = AuditEntry(
            at_us=now_us, by="learn", action="remove artifact", subject=version.id,
            reason=f"it never served and is older than the last {keep_runs} runs",
            before={"artifact": version.artifact}, after={},
        )  # fmt: skip
        add_entry(registry, entry)
        shutil.rmtree(artifacts / version.artifact)
    return [version.id for version in gone]
