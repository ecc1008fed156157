"""What every error says: which thing, what it must be, what it is, and what to do next."""

import ast
from functools import cache
from pathlib import Path

import pytest

from flyball.core import ArtifactCorrupt, NotFound, StoreCorrupt

SOURCE = Path(__file__).parents[2] / "src" / "flyball"
NEXT_STEP = ("Refused", "StoreUnavailable", "HomeBusy")
"""Errors whose message must say what to do, since what they are about need not be wrong itself."""

EXEMPT = {
    "backup/repository.py": "faults, each of which says it",
    "events/appender.py": "a mistake in a program, not of a user",
    "events/schemas_in_use.py": "a mistake in a program, not of a user",
    "events/declared_log.py": "its problems say what to do, one each",
    "events/upgrade.py": "its must says what to do",
    "experiments/periods.py": "a mistake in a program, not of a user",
    "features/online/reader.py": "a mistake in a program: requests have the time of now",
    "models/combined": "a mistake in a program, or a declaration that is checked before",
    "models/past.py": "a mistake in a program",
    "models/tabular": "says what an ONNX file can hold; the reader then takes another model",
    "evaluation/published/run.py": "an error in Flyball: the command checks itself",
    "testing": "for tests",
    "releases/opening.py": "names what may be given",
    "releases/release.py": "names the commands that are possible",
    "tasks/predict/online.py": "a mistake in a program",
    "tasks/recommend/ranked.py": "a mistake in a program",
}


@cache
def calls(*names: str) -> list[tuple[str, ast.Call]]:
    """(file, call) of each call of these classes."""
    texts = {path: path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
    return [
        (path.relative_to(SOURCE).as_posix(), node)
        for path, text in texts.items()
        if any(f"{name}(" in text for name in names)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def test_what_is_not_found_says_what_there_is_or_what_to_do() -> None:
    silent = [
        f"{file}:{call.lineno}"
        for file, call in calls("NotFound")
        if len(call.args) < 3 and not any(keyword.arg == "next_step" for keyword in call.keywords)
    ]
    assert silent == [], "give the names that exist, or next_step="


def test_all_choices_are_listed_and_of_many_names_how_many_there_are_more() -> None:
    assert str(NotFound("family", "x", "abcdefghijklmnopq")).endswith("known: " + ", ".join("abcdefghijklmnopq"))
    said = str(NotFound("version", "x", (f"v{number}" for number in range(1, 1_051))))
    assert said.endswith("v39, v40 and 1,010 more")


def test_a_refusal_says_what_to_do() -> None:
    silent = [
        f"{file}:{call.lineno}: {ast.unparse(call)[:100]}"
        for file, call in calls(*NEXT_STEP)
        if call.args
        and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
        and not _goes_on_after_got(ast.unparse(call.args[0]))
        and not any(file.startswith(exempt) for exempt in EXEMPT)
    ]
    assert silent == [], "say after what it got, with : or ;, what to do next"


def _goes_on_after_got(text: str) -> bool:
    after = text.partition("got")[2] or text
    return "must be one of" in text or ": " in after or "; " in after or ", or " in after or " (" in after


def test_exemptions_are_used() -> None:
    files = {file for file, _ in calls(*NEXT_STEP)}
    assert [exempt for exempt in EXEMPT if not any(file.startswith(exempt) for file in files)] == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NotFound("version", "v9", ["v2", "v1"]), "no version 'v9'; known: v2, v1"),
        (NotFound("prediction", "x", next_step="ask again"), "no prediction 'x'; ask again"),
        (NotFound("release", "x", ["rel1"], "list them"), "no release 'x'; known: rel1; list them"),
        (StoreCorrupt("log", "whole", 3), "log must be whole, got 3: restore it from a backup"),
        (
            ArtifactCorrupt("a.npy", "present", "no such file"),
            "artifact file a.npy must be present, got no such file: restore it from a backup, or learn again (flyball "
            "learn)",
        ),
    ],
)
def test_messages(error: Exception, text: str) -> None:
    assert str(error) == text
