"""Plants each error of `planted_online` in a copy of the engine and runs the tests of online features on it.

Run: python -m tests.features.mutations.run_online [--only tiles.py]; writes report_online.md.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    os.environ["PYTEST_ADDOPTS"] = "-o timeout=850"  # interpreted loops are slow
    run.TESTS[:] = ["test_online_cases.py", "test_online_keeping.py", "test_online_equals_oracle.py"]
    chosen = [one for one in PLANTED_ONLINE if asked.only in f"{one.file} {one.what}"]
    lines, survived = [], 0
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "src"
        shutil.copytree(run.ROOT / "src" / "flyball", source / "flyball", ignore=shutil.ignore_patterns("__pycache__"))
        for planted in chosen:
            before = run.plant(planted, source)
            passes, failed = run.suite(source)
            (source / "flyball" / "features" / planted.file).write_text(before)
            survived += passes
            lines.append(f"| `{planted.file}` | {planted.what} | {'**survived**' if passes else f'`{failed}`'} |")
            print(lines[-1], flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} killed")
    if not asked.only:
        REPORT.write_text("\n".join([*HEAD, *lines]) + "\n")


if __name__ == "__main__":
    main()
