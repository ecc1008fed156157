"""Plants each error in a copy of the package and runs the tests of its list on it, interpreted; writes report.md.

Run: python -m tests.mutations.run [offline] [online] [calibration] [decisions] [releases] [outcomes]
[statistics] [experiments] [comparison]
[--only seen.py] [--continue] [--jobs 2]
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from tests.mutations import report
from tests.mutations.planted import Planted
from tests.mutations.report import LISTS

ROOT = Path(__file__).parents[2]
CPU_S = 150
"""The processor's time, whatever else it does: three times what the tests take; an endless loop takes more."""
TESTS_FAILED, NOT_COLLECTED = 1, 2


class NoVerdict(Exception):
    """The tests were cut off, which says nothing about the error."""


def suite(source: Path, tests: tuple[str, ...]) -> str:
    """The test that failed first on the package under `source`, or that none did. Raises `NoVerdict`."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(source),
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "POLARS_MAX_THREADS": "1",
    }
    environment.pop("TEST_EXAMPLES", None)
    bounded = ["sh", "-c", f'ulimit -c 0; ulimit -S -t {CPU_S}; exec "$@"', "sh"]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-o", "timeout=3600", "--tb=no", "-rfE"]
    options += ["--hypothesis-profile=planted"]
    files = [str(ROOT / "tests" / name) for name in tests]
    command = [*bounded, sys.executable, "-m", "pytest", *options, *files]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode == -signal.SIGXCPU:
        return report.ENDLESS
    failed = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if done.returncode == 0 and not failed:
        return report.SURVIVED
    if done.returncode not in (TESTS_FAILED, NOT_COLLECTED) or not failed:
        raise NoVerdict(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-600:]}")
    return failed[0].split("::")[-1] if "::" in failed[0] else f"importing {Path(failed[0]).name}"


def package_of(source: Path) -> Path:
    """Where the tests on this copy take the package from."""
    command = [sys.executable, "-c", "import flyball; print(flyball.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()).parent


@contextmanager
def plant(planted: Planted, room: str, source: Path) -> Iterator[None]:
    """The copy with the error in it."""
    path = source / "flyball" / room / planted.file
    before = path.read_text()
    if before.count(planted.right) != 1:
        raise ValueError(f"{planted.file}: {planted.right!r} must occur once, got {before.count(planted.right)}")
    path.write_text(before.replace(planted.right, planted.wrong))
    try:
        yield
    finally:
        path.write_text(before)


def copied(folder: Path) -> Path:
    source = folder / "src"
    shutil.copytree(ROOT / "src" / "flyball", source / "flyball", ignore=shutil.ignore_patterns("__pycache__"))
    if package_of(source) != source / "flyball":
        raise ValueError(f"the tests must import {source / 'flyball'}, got {package_of(source)}")
    return source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lists", nargs="*", choices=[[], *LISTS], default=[], help="which lists; none given: all")
    parser.add_argument("--only", default="", help="plant those whose file or error has this in it")
    parser.add_argument("--continue", action="store_true", dest="go_on", help="leave out what the report has as found")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    asked = parser.parse_args()
    names = asked.lists or list(LISTS)
    if not any(asked.only in f"{planted.file} {planted.what}" for name in names for planted in LISTS[name].planted):
        parser.error(f"--only must name a planted error or its file, got {asked.only!r}: nothing would be tried")
    found = report.read()
    chosen = [
        (name, one)
        for name in names
        for one in LISTS[name].planted
        if asked.only in f"{one.file} {one.what}"
        and not (asked.go_on and found.get((name, report.digest(one)), report.SURVIVED) != report.SURVIVED)
    ]
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for place in range(asked.jobs):
            copies.put(copied(Path(folder).resolve() / str(place)))

        def on_a_copy(name: str, planted: Planted | None) -> tuple[str, float]:
            source, began = copies.get(), time.perf_counter()
            try:
                if planted is None:
                    return suite(source, LISTS[name].tests), time.perf_counter() - began
                with plant(planted, LISTS[name].room, source):
                    return suite(source, LISTS[name].tests), time.perf_counter() - began
            finally:
                copies.put(source)

        with ThreadPoolExecutor(asked.jobs) as pool:
            for name, (by, took) in zip(names, pool.map(lambda name: on_a_copy(name, None), names), strict=True):
                print(f"{name}: without an error: {by} ({took:.0f} s)", flush=True)
                if by != report.SURVIVED:
                    raise ValueError(f"without a planted error all tests of {name} must pass, got {by}")
            tried = [(name, one, pool.submit(on_a_copy, name, one)) for name, one in chosen]
            unfound = 0
            for name, one, future in tried:
                try:
                    by, took = future.result()
                except NoVerdict as error:
                    print(f"{one.file}: {one.what}: {error}", flush=True)
                    unfound += 1
                    continue
                unfound += by == report.SURVIVED
                found[name, report.digest(one)] = by
                report.write(found)
                print(f"{one.file}: {one.what}: {by} ({took:.0f} s)", flush=True)
    print(f"{len(chosen) - unfound} of {len(chosen)} found")
    sys.exit(unfound > 0)


if __name__ == "__main__":
    main()
