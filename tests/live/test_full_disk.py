"""A store on a full disk refuses what it cannot keep, loses and doubles nothing, and goes on when there is room."""

import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec
import pytest
from tests.live.full_disk import AT_ONCE, KINDS, Outcome

ROOT = Path(__file__).parents[2]
MOUNT = "mount -t tmpfs -o size=16m tmpfs"

pytestmark = pytest.mark.live


def on_small_disk(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a namespace in which `folder` is a disk of 16 MB, which goes with it."""
    script = f"{MOUNT} {shlex.quote(str(folder))} && exec {command}"
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
    )


@cache
def mounts(folder: Path) -> bool:
    return on_small_disk(folder, "true").returncode == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_loses_and_doubles_nothing(kind: str, tmp_path: Path) -> None:
    if not mounts(tmp_path):
        pytest.skip("no disk may be mounted here")
    done = on_small_disk(tmp_path, f"{sys.executable} -m tests.live.full_disk {kind} {shlex.quote(str(tmp_path))}")
    assert done.returncode == 0, done.stderr
    outcome = msgspec.json.decode(done.stdout, type=Outcome)
    assert (outcome.refused, outcome.missing, outcome.twice) == (3, 0, 0)
    assert outcome.acknowledged > AT_ONCE
