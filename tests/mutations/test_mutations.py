"""The lists of planted errors fit the source, and the report has all of them as found.

`python -m tests.mutations.run` plants them one by one and writes the report; nothing is planted here.
"""

import ast
from pathlib import Path

import pytest
from tests.mutations import report
from tests.mutations.report import LISTS, Listed

ROOT = Path(__file__).parents[2]
AGAIN = "correct the list, then run python -m tests.mutations.run --continue"


def names_of_tests(listed: Listed) -> set[str]:
    """The tests that run on each error of a list."""
    trees = [ast.parse((ROOT / "tests" / name).read_text()) for name in listed.tests]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", LISTS)
def test_every_error_can_be_planted(name: str) -> None:
    for one in LISTS[name].planted:
        source = (ROOT / "src" / "flyball" / LISTS[name].room / one.file).read_text()
        assert source.count(one.right) == 1, f"{one.file}: {one.what}: {AGAIN}"
        right, wrong = ast.parse(source), ast.parse(source.replace(one.right, one.wrong))
        assert ast.dump(right) != ast.dump(wrong), f"{one.file}: {one.what}: must change what runs"


@pytest.mark.parametrize("name", LISTS)
def test_an_error_is_listed_once(name: str) -> None:
    planted = LISTS[name].planted
    assert (
        len({report.digest(one) for one in planted}) == len({(one.file, one.what) for one in planted}) == len(planted)
    )


def test_the_report_is_of_the_lists_as_they_are() -> None:
    listed = {(name, report.digest(one)) for name in LISTS for one in LISTS[name].planted}
    tried = set(report.read())
    assert listed - tried == set(), f"not tried: {AGAIN}"
    assert tried - listed == set(), f"no longer listed: {AGAIN}"


def test_the_report_is_as_the_run_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, written = report.read(), report.REPORT.read_text()
    monkeypatch.setattr(report, "REPORT", tmp_path / "report.md")
    report.write(found)
    assert report.REPORT.read_text() == written, AGAIN


@pytest.mark.parametrize("name", LISTS)
def test_each_error_is_found_by_a_test_of_its_list(name: str) -> None:
    found, tests = report.read(), names_of_tests(LISTS[name]) | {report.ENDLESS}
    by = {one.what: found.get((name, report.digest(one)), "no test").split("[")[0] for one in LISTS[name].planted}
    assert {what: test for what, test in by.items() if test not in tests} == {}
