"""What starting costs: imports, the command line, the installed size.

Run: `python benchmarks/startup.py`. Prints medians of fresh processes.
"""

import json
import statistics
import subprocess
import sys
import time
from importlib.metadata import distribution, requires
from pathlib import Path


def median_s(command: list[str], runs: int = 7) -> float:
    """Median seconds of a whole process, the first run (cold caches) left out."""
    seconds = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def closure(name: str, seen: set[str] | None = None) -> set[str]:
    """The installed packages that `name` needs, without extras."""
    import re

    seen = set() if seen is None else seen
    if name in seen:
        return seen
    seen.add(name)
    for requirement in requires(name) or []:
        if "extra ==" in requirement:
            continue
        needed = re.split(r"[ ;<>=!~\[(]", requirement)[0].lower()
        try:
            distribution(needed)
        except Exception:  # a requirement for another platform is not installed
            continue
        closure(needed, seen)
    return seen


def installed_bytes(packages: set[str]) -> dict[str, int]:
    sizes = {}
    for package in packages:
        files = [Path(str(file.locate())) for file in distribution(package).files or []]
        sizes[package] = sum(file.stat().st_size for file in files if file.is_file())
    return sizes


def main() -> None:
    python = sys.executable
    bare = median_s([python, "-c", "pass"])
    facade = median_s([python, "-c", "import flyball"])
    declared = median_s([python, "-c", "import flyball.apps.movies"])
    version = median_s([str(Path(python).parent / "flyball"), "--version"])
    sizes = installed_bytes(closure("flyball"))
    results = {
        "import_flyball_s": round(facade - bare, 3),
        "import_movies_application_s": round(declared - bare, 3),
        "flyball_version_s": round(version, 3),
        "installed_mb": round(sum(sizes.values()) / 1e6),
        "largest": {name: round(size / 1e6) for name, size in sorted(sizes.items(), key=lambda p: -p[1])[:6]},
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
