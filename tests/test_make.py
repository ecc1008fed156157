"""The commands of the Makefile and of CI say and do what they are for."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def make(*arguments: str) -> str:
    done = subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_make_alone_lists_what_there_is_to_make() -> None:
    listed = re.findall(r"^make (\S+) +\S", make(), re.MULTILINE)
    assert {"demo", "test", "check", "audit", "contract", "bench", "engines", "clean", "reset-demo"} <= set(listed)


def test_clean_leaves_the_logs() -> None:
    assert ".flyball" not in make("-n", "clean")
    assert make("-n", "reset-demo").split() == ["rm", "-rf", ".flyball/movies-world"], (
        "real events lie in .flyball/movies"
    )


def test_ci_runs_the_same_script_as_make_check() -> None:
    assert "scripts/check" in make("-n", "check")
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert commands == ['CI=true exec "$(dirname "$0")/../scripts/check" "$@"']


@pytest.mark.parametrize("failing", ["", "setup-dev", "mypy", "ruff check", "test TESTS", "smoke"])
def test_what_a_check_runs_beside_something_else_fails_it_too(tmp_path: Path, failing: str) -> None:
    """With programs in place of its own that print their name and what is asked of them."""
    script = "\n".join(
        (
            "#!/usr/bin/env bash",
            'asked="${0##*/} $*"',
            'echo "$asked"',
            f'case "$asked" in *"{failing or "nothing fails"}"*) exit 7 ;; esac',
        )
    )
    programs = {"make", ".venv/bin/mypy", ".venv/bin/ruff", ".venv/bin/python", "scripts/smoke"}
    for name in programs:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
    check = tmp_path / "scripts" / "check"
    shutil.copy2(ROOT / "scripts" / "check", check)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CI": "", "TMPDIR": str(tmp_path)}
    done = subprocess.run([check, "tests/core"], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == (7 if failing else 0), done
    if failing:
        assert failing in done.stdout
    else:
        asked = ["make --no-print-directory setup-dev", "ruff format --check .", "ruff check .", "mypy "]
        assert [line for line in done.stdout.splitlines() if not line.startswith("python")] == [
            *asked,
            "make --no-print-directory test TESTS=tests/core",
            "smoke ",
        ]
    assert not list(tmp_path.glob("tmp.*")), "what it wrote for itself is removed"


def test_locks_hold_hashes_and_no_addresses() -> None:
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    assert len(locks) == 9
    for lock in locks:
        text = lock.read_text()
        pins = re.findall(r"^[a-zA-Z0-9._-]+(?:\[[^]]*\])?==", text, re.MULTILINE)
        assert len(pins) > 10
        assert len(re.findall(r"^    --hash=sha256:", text, re.MULTILINE)) >= len(pins), lock
        assert "://" not in text, lock


def test_the_lock_of_npm_holds_hashes_and_no_addresses() -> None:
    text = (ROOT / "scripts" / "contract" / "package-lock.json").read_text()
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert len(packages) > 10
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert "resolved" not in text
