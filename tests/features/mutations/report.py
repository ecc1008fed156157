"""The lists of planted errors, the tests that must find them, and the report of which test did."""

import hashlib
from pathlib import Path

import msgspec
from tests.features.mutations.planted import PLANTED, Planted
from tests.features.mutations.planted_online import PLANTED_ONLINE

REPORT = Path(__file__).with_name("report.md")
SURVIVED, ENDLESS = "survived", "no end"


class Listed(msgspec.Struct, frozen=True):
    """Errors of one engine, and the files of tests that run on each, until one fails."""

    engine: str
    planted: tuple[Planted, ...]
    tests: tuple[str, ...]


LISTS = {
    "offline": Listed(
        "offline engine",
        PLANTED,
        (
            "test_sort_kernels.py",
            "test_chunks.py",
            "test_threads.py",
            "test_value_edges.py",
            "test_aggregate.py",
            "test_declarations.py",
            "test_offline_oracle.py",
            "test_feature_laws.py",
        ),
    ),
    "online": Listed(
        "online engine",
        PLANTED_ONLINE,
        (
            "test_int128.py",
            "test_value_edges.py",
            "test_online_keeping.py",
            "test_online_cases.py",
            "test_online_equals_oracle.py",
        ),
    ),
}

Found = dict[tuple[str, str], str]
"""By (list, digest of the error): the test that failed first, `SURVIVED` or `ENDLESS`."""


def digest(planted: Planted) -> str:
    """Changes with the file and the texts, so that a row about another error is not taken for one about this."""
    texts = "\0".join((planted.file, planted.right, planted.wrong))
    return hashlib.sha256(texts.encode()).hexdigest()[:8]


def read() -> Found:
    """What the report says, of errors on the lists or not."""
    found, name = {}, ""
    for line in REPORT.read_text().splitlines() if REPORT.exists() else []:
        if line.startswith("## "):
            name = line.removeprefix("## The ").removesuffix(" engine")
        elif line.startswith("| `"):
            cells = [cell.strip(" `*") for cell in line.strip("|").split("|")]
            found[name, cells[2]] = cells[3]
    return found


def write(found: Found) -> None:
    """The report over the lists; what was not tried is not in it."""
    lines = ["# Planted errors and the test that finds each first", ""]
    lines += ["Written by `python -m tests.features.mutations.run`, which plants each error alone in a copy of the"]
    lines += ["package and runs the tests of its list on that copy, with the JIT disabled, until one fails. The digest"]
    lines += ["is of the file and of the texts before and after."]
    for name, listed in LISTS.items():
        rows = [(one, found[name, digest(one)]) for one in listed.planted if (name, digest(one)) in found]
        killed = sum(by != SURVIVED for _, by in rows)
        lines += ["", f"## The {listed.engine}", "", f"{len(listed.planted)} listed, {len(rows)} tried, {killed} found"]
        lines += [f"by {', '.join(f'`{test}`' for test in listed.tests)}.", ""]
        lines += ["| file | error | digest | found by |", "|---|---|---|---|"]
        lines += [
            f"| `{one.file}` | {one.what} | `{digest(one)}` | {f'**{by}**' if by == SURVIVED else f'`{by}`'} |"
            for one, by in rows
        ]
    REPORT.write_text("\n".join(lines) + "\n")
