"""The list of planted errors fits the source, and each of them was found when the list was last run."""

from pathlib import Path

from tests.features.mutations.planted import PLANTED

ROOM = Path(__file__).parents[2] / "src" / "flyball" / "features"
REPORT = Path(__file__).parent / "mutations" / "report.md"


def test_every_error_can_be_planted() -> None:
    lost = [(one.file, one.what) for one in PLANTED if (ROOM / one.file).read_text().count(one.right) != 1]
    assert not lost, "run python -m tests.features.mutations.run after mending the list"


def test_the_report_is_of_this_list_and_nothing_survived() -> None:
    report = REPORT.read_text()
    assert [one.what for one in PLANTED if f"| `{one.file}` | {one.what} |" not in report] == []
    assert "survived" not in report
