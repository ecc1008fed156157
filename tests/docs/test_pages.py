"""Every block of every page is run; output has the shape that the page shows (numbers may differ)."""

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.docs.blocks import ITS_URL, POSTGRES, SHOP, Reader, agree, blocks_of, needs_of
from tests.live import postgres

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
EXTENDING = ROOT / "docs" / "how-to" / "extend"  # followed in a copy of the tree: test_extending.py


def follow(page: Path, folder: Path, instead: Mapping[str, str] | None = None) -> None:
    """Do what the page says, in `folder`."""
    reader = Reader(folder, instead=instead)
    try:
        for language, text, line in blocks_of(page):
            reader.follow(language, text, f"{page.name}:{line}")
    finally:
        reader.close()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it is after the first tutorial: a shop that has learned once."""
    folder = tmp_path_factory.mktemp("tutorial")
    run = [sys.executable, "-m", "flyball"]
    message = ("new shop", "ingest shop.py shop-events.jsonl", "learn shop.py", "recommend shop.py 7")
    for words in message:
        subprocess.run([*run, *words.split()], cwd=folder, check=True, capture_output=True, timeout=300)
    return folder


@pytest.mark.live
@pytest.mark.parametrize(
    "page", [page for page in PAGES if EXTENDING not in page.parents], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_reader_can_follow_the_page(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if needs_of(page).startswith(SHOP):
        shutil.copytree(request.getfixturevalue("shop"), tmp_path, dirs_exist_ok=True)
    if POSTGRES not in needs_of(page):
        follow(page, tmp_path)
        return
    if not postgres.GIVEN and not postgres.HERE:
        pytest.skip(postgres.MISSING)
    with postgres.shared_server() as server, postgres.new_schema(server) as schema:
        follow(page, tmp_path, {ITS_URL: schema})


def test_every_page_says_what_it_needs() -> None:
    silent = [str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*/**/*.md") if not needs_of(page)]
    assert not silent


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)\)", index.read_text())}
    assert {page for page in (ROOT / "docs").rglob("*.md") if page != index} <= linked


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_pictures_are_as_they_would_be_drawn_now() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/draw.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run python scripts/draw.py for {done.stdout}{done.stderr}"


@pytest.mark.live
def test_the_picture_of_a_first_session_shows_what_is_printed_now() -> None:
    """Line by line, numbers and ids aside: the items of the list depend on the day."""
    source = importlib.util.spec_from_file_location("draw", ROOT / "scripts" / "draw.py")
    assert source is not None
    assert source.loader is not None
    draw = importlib.util.module_from_spec(source)
    source.loader.exec_module(draw)
    shown, printed = draw.TERMINAL.read_text().splitlines(), draw.record().splitlines()
    assert agree([*shown[:-1], "..."], printed), "run python scripts/draw.py --record"
    assert shown[-1].count(",") == printed[-1].count(",") == 9


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them; lines of code blocks are none."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_between_pages_lead_somewhere() -> None:
    dead = [
        f"{page.relative_to(ROOT)}: {target}#{anchor}"
        for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text())
        if "://" not in target and not leads_somewhere(page, target, anchor)
    ]
    assert not dead, os.linesep.join(dead)


def leads_somewhere(page: Path, target: str, anchor: str) -> bool:
    leads_to = page.parent / target if target else page
    return leads_to.exists() and (not anchor or anchor in headings(leads_to))


def test_a_link_to_no_page_or_to_no_heading_leads_nowhere(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n## `/readyz`, and more\n\n```console\n# no heading\n```\n")
    assert leads_somewhere(page, "page.md", "readyz-and-more")
    assert leads_somewhere(page, "", "a-page")
    assert not leads_somewhere(page, "page.md", "no-heading")
    assert not leads_somewhere(page, "other.md", "")


NAMED_TOPS = ("src", "tests", "benchmarks", "scripts")


def missing_files(text: str) -> list[str]:
    """Files of the package or of its tests, named in backticks with a folder, that are not there."""
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.py)`", text)
    known = [f"/{path.relative_to(ROOT).as_posix()}" for top in NAMED_TOPS for path in (ROOT / top).rglob("*.py")]
    return [name for name in named if not any(path.endswith(f"/{name}") for path in known)]


def test_files_that_pages_name_are_there() -> None:
    pages = [page for page in [*PAGES, ROOT / "CONTRIBUTING.md"] if EXTENDING not in page.parents]
    gone = {str(page.relative_to(ROOT)): missing_files(page.read_text()) for page in pages}
    assert {page: files for page, files in gone.items() if files} == {}
    assert missing_files("`serving/gone.py` and `tests/docs/blocks.py`, `events/ingest.py`") == ["serving/gone.py"]


def test_agreement_looks_at_words_not_at_numbers() -> None:
    assert agree(["read 12 lines in 0.5 s"], ["read 99 lines in 1.25 s"])
    assert not agree(["read 12 lines"], ["wrote 12 lines"])
    assert agree(["first", "...", "last"], ["first", "a", "b", "last"])
    assert not agree(["first"], ["first", "more"])


LIES = {
    "output": ("console", "$ echo one\ntwo\n"),
    "missing output": ("console", "$ echo one\n"),
    "more output": ("console", "$ true\none\n"),
    "exit code": ("console", "$ false\n"),
    "other exit code": ("console", "$ exit 2\n# exit code 1\n"),
    "failing pipe": ("console", "$ false | true\n"),
    "standard error": ("console", "$ echo no >&2\n"),
    "python": ("python", "assert 1 == 2\n"),
    "old lines": ("diff", "# file: page.md\n-not there\n+new\n"),
    "toml": ("toml", "port = \n"),
    "json": ("json", "{'a': 1}\n"),
    "language": ("sh", "true\n"),
    "unit": ("ini", "no section\n"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_page_that_lies_fails(lie: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    language, text = LIES[lie]
    page.write_text(f"# A page\n\n```{language}\n{text}```\n")
    with pytest.raises((AssertionError, ValueError, configparser.Error)):
        follow(page, tmp_path)


def test_a_page_that_tells_the_truth_passes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```text\n# file: a/b.txt\nkept\n```\n"
        "```console\n$ cat a/b.txt\nkept\n$ echo x; exit 3\nx\n# exit code 3\n```\n"
        "```python\nprice = 3\n```\n```python\nassert price == 3\n```\n"
        "```diff\n# file: a/b.txt\n-kept\n+changed\n```\n```console\n$ cat a/b.txt\nchanged\n```\n"
        "```python\n# from: page.md\nprice = 3\n...\nassert price == 3\n```\n"
    )
    follow(page, tmp_path)


def test_quoted_code_must_be_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n\n\ny = 2\n")
    reader = Reader(tmp_path)
    reader.follow("python", "# from: a.py\nx = 1\n...\ny = 2\n", "page")
    with pytest.raises(AssertionError, match="must hold these lines"):
        reader.follow("python", "# from: a.py\nx = 1\ny = 2\n", "page")


def test_every_fence_is_a_block() -> None:
    """A fence without a language, or never closed, would not be run."""
    for page in PAGES:
        fences = re.findall(r"^```", page.read_text(), re.M)
        assert len(fences) == 2 * len(blocks_of(page)), page
