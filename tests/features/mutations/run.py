"""Plants each error in a copy of the engine and runs the tests of features on it, interpreted; writes report.md.

Run: python -m tests.features.mutations.run [--only seen.py] [--continue]
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
TIMEOUT_S = 900
"""Far beyond what the tests take without an error, so that only an endless loop meets it."""
TESTS = ["test_offline_oracle.py", "test_folds.py", "test_declarations.py", "test_feature_laws.py"]


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
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return False, f"no end in {TIMEOUT_S} s"
    failed = next(
        (line.split("::")[-1].split(" ")[0] for line in done.stdout.splitlines() if "::" in line), "importing it"
    )
    return done.returncode == 0, failed


def plant(planted: Planted, source: Path) -> str:
    """Change the copy; returns the text as it was."""
    path = source / "flyball" / "features" / planted.file
    before = path.read_text()
    assert before.count(planted.right) == 1, f"{planted.file}: {planted.right!r} must occur once"
    path.write_text(before.replace(planted.right, planted.wrong))
    return before


def known() -> dict[tuple[str, str], str]:
    """What the report says found each error, where something did."""
    lines = REPORT.read_text().splitlines() if REPORT.exists() else []
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {(row[0].strip("`"), row[1]): row[2].strip("`") for row in rows if "survived" not in row[2]}


def write(found: dict[tuple[str, str], str]) -> None:
    """The report over the whole list; what was not tried is not in it."""
    tried = [one for one in PLANTED if (one.file, one.what) in found]
    killed = [one for one in tried if found[one.file, one.what]]
    lines = ["# Planted errors and the test that finds each first", "", f"{len(killed)} of {len(tried)} killed.", ""]
    lines += ["| file | error | found by |", "|---|---|---|"]
    for one in tried:
        test = found[one.file, one.what]
        lines.append(f"| `{one.file}` | {one.what} | {f'`{test}`' if test else '**survived**'} |")
    REPORT.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="plant those whose file or error has this in it")
    parser.add_argument("--continue", action="store_true", dest="go_on", help="leave out what the report has killed")
    asked = parser.parse_args()
    found = known() if asked.go_on or asked.only else {}
    chosen = [one for one in PLANTED if asked.only in f"{one.file} {one.what}"]
    if asked.go_on:
        chosen = [one for one in chosen if (one.file, one.what) not in found]
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
            found[planted.file, planted.what] = "" if passes else failed
            write(found)
            took = time.perf_counter() - began
            print(
                f"{planted.file}: {planted.what}: {found[planted.file, planted.what] or 'SURVIVED'} ({took:.0f} s)",
                flush=True,
            )
    survived = [one for one in chosen if not found[one.file, one.what]]
    print(f"{len(chosen) - len(survived)} of {len(chosen)} killed")
    sys.exit(bool(survived))


if __name__ == "__main__":
    main()
