"""Every block of every page is run; output has the shape that the page shows (figures may differ)."""

import os
import re
from pathlib import Path

import pytest
from tests.docs.blocks import Reader, agree, blocks_of

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.live
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_reader_can_follow_the_page(page: Path, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    try:
        for language, text, line in blocks_of(page):
            reader.follow(language, text, f"{page.relative_to(ROOT)}:{line}")
    finally:
        reader.close()


def test_links_between_pages_lead_somewhere() -> None:
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not dead, os.linesep.join(dead)


def test_agreement_looks_at_words_not_at_figures() -> None:
    assert agree(["read 12 lines in 0.5 s"], ["read 99 lines in 1.25 s"])
    assert not agree(["read 12 lines"], ["wrote 12 lines"])
    assert agree(["first", "...", "last"], ["first", "a", "b", "last"])
    assert not agree(["first"], ["first", "more"])
