"""General rooms stay general: none speaks of movies, and none above tasks names anything of one kind of task."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "flyball"

MOVIE_WORDS = re.compile(r"film|movie|genre|\bwatch(ed|es)\b", re.IGNORECASE)
OUTSIDE = ("apps/", "testing/", "simulation/worlds/movies/", "evaluation/published/")
"""The movie application and its world; test material; published benchmarks on movie data."""

SPEAKS_OF_MOVIES = {
    "app.py": "the table of built-in applications",
    "policy/world.py": "the table of built-in worlds",
    "cli/common.py": "names the built-in application in a help text",
    "cli/events.py": "the MovieLens reader and the movielog format, offered in a help text",
    "history/__init__.py": "the MovieLens reader",
    "history/movielens.py": "the MovieLens reader",
}

ABOVE_TASKS = (
    "app.py",
    "runtime.py",
    "outcomes/",
    "evaluation/",
    "registry/",
    "releases/",
    "experiments/",
    "serving/",
    "learning/",
    "provenance/",
    "operations/",
    "simulation/",
    "cli/",
)
OWN_WORDS = {
    "user",
    "item",
    "positive",
    "weak_positive",
    "negative",
    "rating",
    "cold_start_slots",
    "max_per",
    "randomized_share",
    "popularity_penalty",
    "propensity_cap",
    "influence_cap",
    "signals",
}
"""What only one kind of task has, looked for as attributes of something called a task."""


def files() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def words_of(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of names, comments and texts, but docstrings and texts that give an example ("such as ...")."""
    tree = ast.parse(source)
    docstrings = {
        node.value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line, text = token.start[0], token.string
        example = token.type == tokenize.STRING and (line in docstrings or "such as" in text)
        if token.type in (tokenize.NAME, tokenize.COMMENT, tokenize.STRING) and not example:
            yield line, text


def speaks_of_movies(source: str) -> list[str]:
    return [f"{line}: {text}" for line, text in words_of(source) if MOVIE_WORDS.search(text)]


def exported_by_one_task() -> set[str]:
    """Public names at the top of the files of one task."""
    names = set()
    for path in [path for task in ("recommend", "predict") for path in (ROOT / "tasks" / task).rglob("*.py")]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")} - GENERAL


GENERAL = {"Fallback"}
"""Names that the contract has as well."""


def names_one_task(source: str, exported: set[str]) -> list[str]:
    named = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flyball.tasks"):
            named += [f"{node.lineno}: {alias.name}" for alias in node.names if alias.name in exported]
        elif isinstance(node, ast.Attribute) and node.attr in OWN_WORDS and _is_task(node.value):
            named.append(f"{node.lineno}: {ast.unparse(node)}")
    return named


def _is_task(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in ("task", "_task", "recommend")


def test_no_general_room_speaks_of_movies() -> None:
    speaking = {
        file: said
        for file in files()
        if not file.startswith(OUTSIDE) and (said := speaks_of_movies((ROOT / file).read_text()))
    }
    assert {file: said for file, said in speaking.items() if file not in SPEAKS_OF_MOVIES} == {}
    assert set(SPEAKS_OF_MOVIES) <= set(speaking), "an exemption for a file that needs none"


def test_no_room_above_tasks_names_anything_of_one_task() -> None:
    exported = exported_by_one_task()
    naming = {
        file: named
        for file in files()
        if file.startswith(ABOVE_TASKS)
        and not file.startswith(OUTSIDE)
        and (named := names_one_task((ROOT / file).read_text(), exported))
    }
    assert {file: named for file, named in naming.items() if file not in MAY_NAME} == {}
    assert set(MAY_NAME) <= set(naming), "an exemption for a file that needs none"


TASK_WORDS = re.compile(
    r"\b(users?|visitors?|customers?|items?|films?|repairs?|payments?|deliver(y|ies)|popular|recommend(s|ed|ations?)?)\b",
    re.IGNORECASE,
)
SPEAKS_OF_ONE_TASK = {
    "cli/exposure.py": "how often lists show each item",
    "cli/incidents.py": "users of the service, and action items",
    "serving/http/admission.py": "users of the service that a proxy names",
    "serving/http/openapi_incidents.py": "users of the service, and action items",
    "cli/accuracy.py": "compares models on data sets of ratings",
    "cli/common.py": "names the built-in applications in a help text",
    "app.py": "lists what tasks there are",
    "experiments/what_if.py": "names the estimators of lists, which draw items by chance",
    "cli/events.py": "export: what a row of predictions holds",
    "cli/main.py": "a person at the command line is its user",
    "cli/project.py": "the kinds of application that flyball new writes",
    "cli/capacity.py": "sizes of a plan, which the options name: --users and --items",
    "cli/running.py": "help of --users and --items, short for settings of worlds that have them",
    "cli/template.py": "the application that flyball new writes",
    "cli/template_decide.py": "the application that flyball new --kind predict --target probability writes",
    "cli/template_predict.py": "the application that flyball new --kind predict writes",
}
"""{file above tasks: why its messages may use a word that only one kind of task, or one application, knows}."""


def messages_of(source: str, file: str) -> Iterator[tuple[int, str]]:
    """(line, text) of what a person may read: texts of several words that are no SQL, and docstrings of commands."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    helps = {
        id(node.body[0].value)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and isinstance(node.body[0], ast.Expr) and not node.name.startswith("_")
    }
    pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        text = node.value.strip()
        shown = " " in (node.value if id(node) in pieces else text)
        if id(node) in docstrings:
            shown = file.startswith("cli/") and id(node) in helps
        if shown and not re.match(r"SELECT|INSERT|DELETE|CREATE|[a-z]+ (INTEGER|BLOB|TEXT)", text):
            yield node.lineno, text


def speaks_of_one_task(source: str, file: str) -> list[str]:
    return [
        f"{line}: {text}"
        for line, text in messages_of(source, file)
        if TASK_WORDS.search(text) and "such as" not in text
    ]


def test_no_message_above_tasks_speaks_of_one_task() -> None:
    speaking = {
        file: said
        for file in files()
        if file.startswith(ABOVE_TASKS)
        and not file.startswith((*OUTSIDE, "simulation/worlds/"))
        and (said := speaks_of_one_task((ROOT / file).read_text(), file))
    }
    assert {file: said for file, said in speaking.items() if file not in SPEAKS_OF_ONE_TASK} == {}
    assert set(SPEAKS_OF_ONE_TASK) <= set(speaking), "an exemption for a file that needs none"


@pytest.mark.parametrize(
    ("source", "file", "expected"),
    [
        ('raise Refused("no item is known yet")', "serving/x.py", True),
        ('say(f"{count:,} users")', "cli/x.py", True),
        ('serving = version or "the popular list"', "cli/x.py", True),
        ('def up():\n    """Serve users."""', "cli/x.py", True),
        ('def up():\n    """Serve users."""', "serving/x.py", False),
        ('row["item"]', "serving/x.py", False),
        ('run("SELECT item FROM label_events")', "outcomes/x.py", False),
    ],
)
def test_what_counts_as_a_word_of_one_task(source: str, file: str, expected: bool) -> None:
    assert bool(speaks_of_one_task(source, file)) is expected


MAY_NAME: dict[str, str] = {}
"""Files that name one task, with the reason."""


@pytest.mark.parametrize(
    "source",
    [
        "from flyball.tasks import Recommend",
        "from flyball.tasks import Online, UserHistory",
        "def f(app):\n    return app.task.user.name",
        "def f(task):\n    return task.positive",
    ],
)
def test_planted_names_of_one_task_are_found(source: str) -> None:
    assert names_one_task(source, exported_by_one_task())


@pytest.mark.parametrize(
    "source", ["films = 3", "x = 'the movie log'", "# what users watched\n", "def f(film_index): ..."]
)
def test_planted_movie_words_are_found(source: str) -> None:
    assert speaks_of_movies(source)


@pytest.mark.parametrize(
    "source", ['"""A film."""', "x = 'a name, such as film.views'", "watch = stopwatch()", "response.item"]
)
def test_examples_and_stopwatches_are_not_movies(source: str) -> None:
    assert not speaks_of_movies(source)
    assert not names_one_task(source, exported_by_one_task())
