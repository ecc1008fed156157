"""Published inputs with expected outputs, computed by `flyball.statistics`: one line each with the difference.

Run: python benchmarks/vectors.py --vectors FOLDER [--all]

FOLDER holds JSON files of the projects' own test values (GrowthBook, confseq, Spotify's confidence, expan, G*Power,
interleaving, VowpalWabbit); they are not part of the repository. Without FOLDER nothing is compared. `--all` prints
every line; else the lines of one kind are summed up, and those that differ by convention are printed with the reason.
The exit code is 1 where a value differs without a documented reason.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from published.answers import interleaving, off_policy
from published.design import design_of_experiments
from published.growthbook import growthbook_rest, growthbook_tests
from published.lines import Line
from published.sequences import confseq, error_rates, spotify_bounds

FILES: dict[str, Callable[[dict[str, Any]], Iterator[Line]]] = {
    "gbstats_frequentist": growthbook_tests,
    "gbstats_misc": growthbook_rest,
    "confseq_uniform_boundaries": confseq,
    "spotify_group_sequential_bounds": spotify_bounds,
    "experiment_design": design_of_experiments,
    "interleaving": interleaving,
    "ope": off_policy,
    "measured_here": error_rates,
}
VERDICTS = ("same", "by convention", "not offered", "DIFFERS")


def compare(folder: Path) -> dict[str, list[Line]]:
    """{file: its lines} for each file of `FILES` that is in the folder."""
    paths = {name: folder / f"{name}.json" for name in FILES}
    return {name: list(FILES[name](json.loads(path.read_text()))) for name, path in paths.items() if path.exists()}


def show(lines: dict[str, list[Line]], everything: bool) -> None:
    """Print the counts by file, then lines: all of them, or only those that are not the same."""
    print(f"{'file':34}" + "".join(f"{verdict:>15}" for verdict in VERDICTS) + f"{'largest difference':>20}")
    for name, found in lines.items():
        counts = [sum(line.verdict == verdict for line in found) for verdict in VERDICTS]
        largest = max((abs(line.difference) for line in found if line.verdict == "same"), default=0.0)
        print(f"{name:34}" + "".join(f"{count:>15}" for count in counts) + f"{largest:>20.1e}")
    reasons: dict[str, list[Line]] = {}
    for found in lines.values():
        for line in found:
            if line.verdict != "same" and not everything:
                reasons.setdefault(f"{line.verdict}: {line.why or 'no reason is documented'}", []).append(line)
            elif everything:
                print(f"  {line.verdict:14} {text(line)}")
    for reason, group in reasons.items():
        print(f"\n{reason}")
        worst = max(group, key=lambda line: abs(line.difference))
        print(f"  {text(worst)}" + (f" (the largest of {len(group)})" if len(group) > 1 else ""))


def text(line: Line) -> str:
    """Name, ours, theirs and the difference."""
    ours = "-" if line.ours is None else f"{line.ours:.6g}"
    return f"{line.name}: ours {ours}, theirs {line.theirs:.6g}, difference {line.difference:+.1e}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, help="the folder of the JSON files")
    parser.add_argument("--all", action="store_true", help="print every line")
    asked = parser.parse_args(arguments)
    if asked.vectors is None:
        print("nothing compared: published values are not part of the repository; give their folder with --vectors")
        return 0
    lines = compare(asked.vectors)
    if not lines:
        parser.error(f"--vectors must be a folder with one of {', '.join(f'{name}.json' for name in FILES)}")
    show(lines, asked.all)
    return int(any(line.verdict == "DIFFERS" for found in lines.values() for line in found))


if __name__ == "__main__":
    sys.exit(main())
