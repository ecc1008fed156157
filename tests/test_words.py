"""Retired words stay retired: one standard term for one thing, in sources, tests and pages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

INSTEAD = {
    "hint": "weak positive",
    "hints": "weak positives",
    "ladder": "fallback levels",
    "rung": "fallback level",
    "newcomer": "cold-start item",
    "newcomers": "cold-start items",
    "contestant": "candidate",
    "contestants": "candidates",
    "flattered": "saw the test window",
    "judge": "evaluate",
    "judged": "evaluated",
    "judges": "evaluates",
    "judging": "evaluation",
    "weighed": "weighted",
    "weighing": "weighting",
    "chance of finding": "propensity",
    "benched": "taken out by its circuit breaker",
    "follower": "consumer",
    "followers": "consumers",
    "keeper": "refresher",
    "lifeline": "parent-death pipe",
    "breather": "backpressure",
    "pulse": "heartbeat",
    "leftovers": "cleanup",
    "hand-over": "shared data",
    "shelf": "item index",
    "lifted": "encoded",
    "lifting": "encoding",
    "stranger": "unknown user",
    "colour": "color",
    "colours": "colors",
    "behaviour": "behavior",
    "catalogue": "catalog",
    "catalogues": "catalogs",
    "artefact": "artifact",
    "artefacts": "artifacts",
    "learnt": "learned",
    "favour": "favor",
    "favours": "favors",
    "favoured": "favored",
    "neighbour": "neighbor",
    "neighbours": "neighbors",
    "centre": "center",
    "optimise": "optimize",
    "normalise": "normalize",
    "normalised": "normalized",
}
"""{retired word: the field's term}; `docs/reference/glossary.md` gives the terms and their sources."""

EXEMPT = {
    ("src/flyball/simulation/worlds/movies/titles.py", "*"): "common nouns that invented titles are made of",
    ("tests/test_words.py", "*"): "the list itself",
    ("*", "hint in code"): "Python's type hints, and the hint in an error message",
}
"""{(file, word): why it may stand there}."""

_RETIRED = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, INSTEAD))})(?![\w-])", re.IGNORECASE)
_TYPE_HINTS = re.compile(r"type hints?|get_type_hints|\bhints?\b(?=[\[\],:)}]| in | =|$)|in hints\b|\(hint|\{hint")


def pages_and_sources() -> Iterator[Path]:
    for folder, pattern in (("src", "*.py"), ("tests", "*.py"), ("docs", "*.md"), ("benchmarks", "*.py")):
        yield from sorted((ROOT / folder).rglob(pattern))
    yield from (ROOT / "README.md", ROOT / "CHANGELOG.md")


def retired(text: str, file: str) -> list[str]:
    """`line: word -> term` of each retired word in a file's text."""
    if (file, "*") in EXEMPT:
        return []
    return [
        f"{file}:{number}: {word} -> {INSTEAD[word.lower()]}"
        for number, line in enumerate(text.splitlines(), 1)
        for word in _RETIRED.findall(_TYPE_HINTS.sub("", line) if file.endswith(".py") else line)
    ]


def test_no_retired_word_stands() -> None:
    found = [
        message
        for path in pages_and_sources()
        for message in retired(path.read_text(), path.relative_to(ROOT).as_posix())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("the judge", ["x.py:1: judge -> evaluate"]),
        ("A Ladder of rungs, a rung", ["x.py:1: Ladder -> fallback levels", "x.py:1: rung -> fallback level"]),
        ("by the chance of finding", ["x.py:1: chance of finding -> propensity"]),
        ("misjudged, judge_fairly, shelf_life", []),
        ("hints = get_type_hints(struct)", []),
        ("1 for a positive, a quarter for a hint.", ["x.py:1: hint -> weak positive"]),
    ],
)
def test_what_counts_as_a_retired_word(line: str, expected: list[str]) -> None:
    assert retired(line, "x.py") == expected


def test_exempt_files_are_there() -> None:
    assert [file for file, _ in EXEMPT if file != "*" and not (ROOT / file).exists()] == []
