"""Retired words stay retired: one standard term for one thing, in sources, tests and pages; no name is empty."""

import ast
import builtins
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from token import NAME, STRING
from tokenize import COMMENT, generate_tokens

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
    "told": "reported",
    "instant": "time, timestamp",
    "instants": "times, timestamps",
    "figure": "metric",
    "figures": "metrics",
    "anew": "again",
    "afresh": "again",
    "seldom": "rarely",
    "lest": "so that ... not",
    "fortnight": "two weeks",
    "mend": "correct",
    "mends": "corrects",
    "mended": "corrected",
    "made again": "rebuilt",
    "handed over": "passed",
    "hands over": "passes",
    "go on with": "continue with",
    "goes on with": "continues with",
    "declared no more": "no longer declared",
    "per cent": "percent",
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
    ("src/flyball/registry/migrations/versions/revision_0001.py", "figures"): "a column's name of then",
    ("src/flyball/registry/migrations/versions/revision_0002.py", "figure"): "a column's name of then",
    ("src/flyball/registry/migrations/versions/revision_0003.py", "figures"): "a column's name of then",
    ("src/flyball/registry/migrations/versions/revision_0003.py", "figure"): "a column's name of then",
    ("tests/registry/test_searches.py", "figures"): "a column's name of then",
    ("tests/mutations/planted.py", "*"): "what errors are called, which their digests hold",
    ("tests/mutations/planted_online.py", "*"): "what errors are called, which their digests hold",
    ("tests/mutations/planted_outcomes.py", "*"): "what errors are called, which their digests hold",
    ("tests/mutations/planted_releases.py", "*"): "what errors are called, which their digests hold",
    ("tests/test_words.py", "*"): "the list itself",
}
"""{(file, word): why it may stand there}."""

VAGUE = {
    "asked",
    "each",
    "found",
    "given",
    "had",
    "held",
    "knew",
    "mine",
    "nth",
    "one",
    "place",
    "places",
    "puts",
    "rest",
    "tell",
    "told",
    "want",
    "wanted",
    "whole",
}
"""What no variable, parameter, attribute, field or function is called: none says what it holds."""

VAGUE_EXEMPT = {
    ("features/offline/chunks.py", "whole"): "a column in one piece, beside its chunks",
}

_BRITISH = re.compile(
    r"(?<![^\W_])(?:minim|maxim|recogn|general|factor|standard|quant|regular|vector|organ|summar|initial|serial|penal|"
    r"parameter|random|categor|character|optim|normal|final|visual|special|synchron|equal)"
    r"is(?:e|ed|es|ing|ation|ations|er|ers)\b|\bfavourites?\b",
    re.IGNORECASE,
)
"""Spellings of British English that are no words of `INSTEAD`."""

_RETIRED = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, INSTEAD))})(?![\w-])", re.IGNORECASE)
_OTHER_MEANINGS = re.compile(r"\btype hints?\b|\btold apart\b")
_TYPE_HINT = re.compile(r"\bhints?\b")


def pages_and_sources() -> Iterator[Path]:
    for folder, pattern in (
        ("src", "*.py"),
        ("src", "*.html"),
        ("tests", "*.py"),
        ("docs", "*.md"),
        ("benchmarks", "*.py"),
    ):
        yield from sorted((ROOT / folder).rglob(pattern))
    yield from (ROOT / "README.md", ROOT / "CHANGELOG.md")


def lines_of(text: str, file: str) -> Iterator[tuple[int, str]]:
    """(line, what to search there). Of Python: comments and texts; names, of tests and of files word by word.

    A name `hint` is a type hint where a module reads annotations, and nowhere else.
    """
    if not file.endswith(".py"):
        yield from enumerate(text.splitlines(), 1)
        return
    yield 0, Path(file).stem.replace("_", " ")
    reads_annotations = "get_type_hints" in text or "get_args" in text or "__metadata__" in text
    for token in generate_tokens(StringIO(text).readline):
        if token.type == NAME:
            name = token.string.replace("_", " ") if token.string.startswith("test_") else token.string
            yield token.start[0], _TYPE_HINT.sub("", name) if reads_annotations else name
        elif token.type in (STRING, COMMENT):
            yield from enumerate(token.string.split("\n"), token.start[0])


def retired(text: str, file: str) -> list[str]:
    """`line: word -> term` of each retired word in a file's name and text."""
    if (file, "*") in EXEMPT:
        return []
    messages = []
    for number, line in lines_of(text, file):
        for word in _RETIRED.findall(_OTHER_MEANINGS.sub("", line)):
            if (file, word.lower()) not in EXEMPT:
                messages.append(f"{file}:{number}: {word} -> {INSTEAD[word.lower()]}")
        messages += [f"{file}:{number}: {word} -> American spelling" for word in _BRITISH.findall(line)]
    return messages


def names_in(source: str) -> Iterator[tuple[int, str]]:
    """(line, name) of everything that a module names itself."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(ctx=ast.Store(), id=name) | ast.Attribute(ctx=ast.Store(), attr=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name


def vague(source: str, file: str) -> list[str]:
    """`line: name` of each name that does not say what it holds."""
    return [
        f"{file}:{line}: {name}"
        for line, name in sorted(names_in(source))
        if name.strip("_") in VAGUE and (file, name.strip("_")) not in VAGUE_EXEMPT
    ]


def test_no_retired_word_stands() -> None:
    assert [
        message
        for path in pages_and_sources()
        for message in retired(path.read_text(), path.relative_to(ROOT).as_posix())
    ] == []


def test_every_name_says_what_it_holds() -> None:
    source = ROOT / "src" / "flyball"
    assert [
        message
        for path in sorted(source.rglob("*.py"))
        for message in vague(path.read_text(), path.relative_to(source).as_posix())
    ] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("found = 1", ["x.py:1: found"]),
        ("[one for one in rows]", ["x.py:1: one"]),
        ("def _tell(place): self.held = place.found", ["x.py:1: _tell", "x.py:1: held", "x.py:1: place"]),
        ("class Table:\n    asked: int = 0", ["x.py:2: asked"]),
        ("for index, row in enumerate(found): table.asked(row, one=1)", []),
    ],
)
def test_what_counts_as_a_vague_name(line: str, expected: list[str]) -> None:
    assert vague(line, "x.py") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("# the judge", ["x.py:1: judge -> evaluate"]),
        ("'A Ladder of rungs, a rung'", ["x.py:1: Ladder -> fallback levels", "x.py:1: rung -> fallback level"]),
        ('"by the chance of finding"', ["x.py:1: chance of finding -> propensity"]),
        ("misjudged = judge_fairly(shelf_life)", []),
        ("# Minimise it", ["x.py:1: Minimise -> American spelling"]),
        ("# optimizer, precise, exercise, promise, otherwise", []),
        ("def test_a_stranger_is_told(): ...", ["x.py:1: stranger -> unknown user", "x.py:1: told -> reported"]),
        ("hints = get_type_hints(struct)  # type hints", []),
        ("hints = [1]", ["x.py:1: hints -> weak positives"]),
        ("hints = get_type_hints(struct)  # a hint", ["x.py:1: hint -> weak positive"]),
        ("'both are told apart'  # 1 for a hint.", ["x.py:1: hint -> weak positive"]),
    ],
)
def test_what_counts_as_a_retired_word(line: str, expected: list[str]) -> None:
    assert retired(line, "x.py") == expected


STALE_EXEMPT = {
    ("evaluation/published/dataset.py", "user_artists.dat"): "a file of a data set",
    ("tasks/metrics/reliability.py", "calibration_curve"): "scikit-learn's function",
    ("tasks/recommend/metrics/ranking.py", "map_cut"): "trec_eval's measure",
    ("experiments/result.py", "pre"): "an element of HTML",
    ("settings.py", "FLYBALL_EVENTS"): "an environment variable, made from a setting's name",
}
"""{(file, what stands in backticks): why the source has no such name}."""

_MARKED = re.compile(r"`([A-Za-z_][\w.]*)(?:\(\))?`", re.ASCII)


def known_names(sources: dict[str, str]) -> tuple[set[str], tuple[str, ...]]:
    """(every name and word of a short text, beginnings of names that are put together) of sources."""
    names, beginnings = set(dir(builtins)), set[str]()
    for file, source in sources.items():
        names |= {token.string for token in generate_tokens(StringIO(source).readline) if token.type == NAME}
        names |= {part.removesuffix(".py") for part in file.split("/")}
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 60:
                names |= set(re.findall(r"\w+", node.value))
                if re.fullmatch(r"\w+_", node.value):
                    beginnings.add(node.value)
    return names, tuple(beginnings)


def stale_names(source: str, file: str, names: set[str], beginnings: tuple[str, ...]) -> list[str]:
    """`file: name` of what stands in backticks in a docstring and is no name of the source, digits at its end aside."""
    docstrings = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return [
        f"{file}: {marked}"
        for text in docstrings
        for marked in _MARKED.findall(re.sub(r"^\s*>>>.*$", "", text, flags=re.M))
        if (file, marked) not in STALE_EXEMPT
        for part in marked.split(".")
        if part.rstrip("0123456789_") not in names | {""} and part not in names and not part.startswith(beginnings)
    ]


def test_what_a_docstring_names_is_there() -> None:
    root = ROOT / "src" / "flyball"
    sources = {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*.py"))}
    names, beginnings = known_names(sources)
    assert [m for file, source in sources.items() for m in stale_names(source, file, names, beginnings)] == []


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("`gone` and `fit`", ["x.py: gone"]),
        ("`kernels.folding`", ["x.py: kernels.folding"]),
        ("`part_scores`, `slot0`, `fit()`, `a + b`, `len`", []),
    ],
)
def test_what_counts_as_a_stale_name(docstring: str, expected: list[str]) -> None:
    names, beginnings = known_names({"kernels/y.py": "def fit(slot): return f'part_{slot}'"})
    assert stale_names(f'"""{docstring}"""', "x.py", names, beginnings) == expected


def test_a_file_is_not_called_by_a_retired_word() -> None:
    assert retired("", "src/flyball/the_keeper.py") == ["src/flyball/the_keeper.py:0: keeper -> refresher"]


def test_exempt_files_are_there() -> None:
    assert [file for file, _ in EXEMPT if not (ROOT / file).exists()] == []
    assert [file for file, _ in VAGUE_EXEMPT if not (ROOT / "src" / "flyball" / file).exists()] == []
