"""Plants each error in a copy of the engine and runs the tests of features on it, interpreted; writes report.md.

Run: python -m tests.features.mutations.run [--only seen.py]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.features.mutations.planted import PLANTED, Planted

ROOT = Path(__file__).parents[3]
REPORT = Path(__file__).with_name("report.md")
TESTS = ["test_offline_oracle.py", "test_declarations.py", "test_feature_laws.py"]


def suite(source: Path) -> tuple[bool, str]:
    """(whether the tests pass on the package under `source`, the test that failed first)."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(source),
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("FLYBALL_EXAMPLES", None)
    tests = [str(ROOT / "tests" / "features" / name) for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", "-rfE", *tests]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    failed = next((line.split("::")[-1].split(" ")[0] for line in done.stdout.splitlines() if "::" in line), "")
    return done.returncode == 0, failed


def plant(planted: Planted, source: Path) -> str:
    """Change the copy; returns the text as it was."""
    path = source / "flyball" / "features" / planted.file
    before = path.read_text()
    assert before.count(planted.right) == 1, f"{planted.file}: {planted.right!r} must occur once"
    path.write_text(before.replace(planted.right, planted.wrong))
    return before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    chosen = [one for one in PLANTED if asked.only in f"{one.file} {one.what}"]
    lines, survived = [], 0
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "src"
        shutil.copytree(ROOT / "src" / "flyball", source / "flyball", ignore=shutil.ignore_patterns("__pycache__"))
        passes, failed = suite(source)
        assert passes, f"without a planted error all tests must pass, got {failed}"
        for planted in chosen:
            began = time.perf_counter()
            before = plant(planted, source)
            passes, failed = suite(source)
            (source / "flyball" / "features" / planted.file).write_text(before)
            survived += passes
            found = "**survived**" if passes else f"`{failed}`"
            lines.append(f"| `{planted.file}` | {planted.what} | {found} |")
            print(f"{lines[-1]} {time.perf_counter() - began:.0f} s", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} killed")
    if not asked.only:
        head = [
            "# Planted errors and the test that finds each first",
            "",
            f"{len(chosen) - survived} of {len(chosen)} killed.",
        ]
        REPORT.write_text("\n".join([*head, "", "| file | error | found by |", "|---|---|---|", *lines]) + "\n")
    sys.exit(survived > 0)


if __name__ == "__main__":
    main()
