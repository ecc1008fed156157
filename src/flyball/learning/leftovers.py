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
    named = {version.artifact for version in registry.versions()}
    for path in sorted(artifacts.glob("*")) if artifacts.is_dir() else []:
        if path.name not in named and _ARTIFACT.match(path.name):
            shutil.rmtree(path)
            told.append(f"removed unfinished artifact {path.name}")
    shutil.rmtree(home / WORK, ignore_errors=True)
    return told
