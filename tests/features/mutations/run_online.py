"""Plants each error of `planted_online` in a copy of the engine and runs the tests of online features on it.

Run: python -m tests.features.mutations.run_online [--again]; writes report_online.md, which a later run completes.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from tests.features.mutations import run
from tests.features.mutations.planted_online import PLANTED_ONLINE

REPORT = Path(__file__).with_name("report_online.md")
HEAD = [
    "# Planted errors of the online engine and the test that finds each first",
    "",
    "| file | error | found by |",
    "|---|---|---|",
]


def found_before() -> dict[str, str]:
    """The lines of the report by error, of those that something found."""
    lines = REPORT.read_text().splitlines() if REPORT.exists() else []
    rows = {line.split("|")[2].strip(): line for line in lines if line.startswith("| `")}
    return {what: line for what, line in rows.items() if "survived" not in line}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="plant those too that were found before")
    asked = parser.parse_args()
    os.environ["PYTEST_ADDOPTS"] = "-o timeout=850"  # interpreted loops are slow
    run.TESTS[:] = ["test_online_keeping.py", "test_online_cases.py", "test_online_equals_oracle.py"]
    lines = {} if asked.again else found_before()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "src"
        shutil.copytree(run.ROOT / "src" / "flyball", source / "flyball", ignore=shutil.ignore_patterns("__pycache__"))
        for planted in PLANTED_ONLINE:
            if planted.what in lines:
                continue
            before = run.plant(planted, source)
            passes, failed = run.suite(source)
            (source / "flyball" / "features" / planted.file).write_text(before)
            if not passes and not failed.startswith("test_"):
                print(f"{planted.what}: the tests did not run to an end, so this says nothing")
                continue
            found = "**survived**" if passes else f"`{failed}`"
            lines[planted.what] = f"| `{planted.file}` | {planted.what} | {found} |"
            print(lines[planted.what], flush=True)
            kept = [lines[one.what] for one in PLANTED_ONLINE if one.what in lines]
            REPORT.write_text("\n".join([*HEAD, *kept]) + "\n")
    survived = sum("survived" in line for line in lines.values())
    print(f"{len(lines) - survived} of {len(PLANTED_ONLINE)} killed")


if __name__ == "__main__":
    main()
