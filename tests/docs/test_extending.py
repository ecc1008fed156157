"""The pages on extending Flyball, followed in a copy of the tree: what they say works, in as few files as they say."""

import re
import shutil
from pathlib import Path

import pytest
from tests.docs.blocks import Reader, blocks_of

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "how-to" / "extend").glob("*.md"))
COPIED = ("src", "tests", "docs", "scripts", "pyproject.toml", "CHANGELOG.md", "README.md", "CONTRIBUTING.md")
LIMITS = {"model": 3, "metric": 3, "store": 4, "event-log": 4, "command": 2, "task": 0}
"""How many files each kind of addition may touch, its tests and the changelog aside."""

WRITTEN_BY_TOOLS = {
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    ".mypy_cache",
    "flyball.egg-info",
    "home",
}
"""Folders that tools and the application itself write."""

_MEANT = re.compile(r"^\| `([^`]+)` \|", re.M)


def copy_of_the_tree(folder: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)  # with times, so that what numba compiled stays valid
        else:
            shutil.copy2(source, folder / name)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """{path: bytes} of every file that somebody wrote."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {name.as_posix(): path.read_bytes() for name, path in files.items() if not WRITTEN_BY_TOOLS & {*name.parts}}


def listed_files(page: Path) -> set[str]:
    """The files of the page's table."""
    return set(_MEANT.findall(page.read_text().partition("\n## ")[0]))


def stated_count(page: Path) -> int:
    stated = re.search(r"^\*\*Files:\*\* (\d+)", page.read_text(), re.M)
    assert stated, f"{page.name} must say how many files it takes, such as **Files:** 3"
    return int(stated[1])


@pytest.mark.live
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_following_the_page_changes_the_files_it_lists_and_passes_the_tests_it_runs(page: Path, tmp_path: Path) -> None:
    folder = copy_of_the_tree(tmp_path)
    before = contents(folder)
    reader = Reader(folder, {"PYTHONPATH": str(folder / "src"), "CI": ""})
    try:
        for language, text, line in blocks_of(page):
            reader.follow(language, text, f"{page.name}:{line}")
    finally:
        reader.close()
    after = contents(folder)
    assert {path for path in after if before.get(path) != after[path]} == listed_files(page)
    assert before.keys() <= after.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_an_addition_touches_no_more_files_than_its_kind_may(page: Path) -> None:
    listed = {path for path in listed_files(page) if path.startswith(("src/", "docs/", "pyproject.toml"))}
    assert len(listed) == stated_count(page)
    assert len(listed) <= LIMITS.get(page.stem, len(listed))


def test_every_kind_of_addition_has_a_page() -> None:
    assert {*LIMITS} <= {page.stem for page in PAGES}
