"""What a killed run leaves behind, and its removal."""

import re
import shutil
from pathlib import Path

from flyball.registry import Registry, end_run

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
