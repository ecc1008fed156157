"""The list of planted errors fits the source; `python -m tests.features.mutations.run` plants them one by one."""

from pathlib import Path

from tests.features.mutations.planted import PLANTED

ROOM = Path(__file__).parents[2] / "src" / "flyball" / "features"


def test_every_error_can_be_planted() -> None:
    lost = [(one.file, one.what) for one in PLANTED if (ROOM / one.file).read_text().count(one.right) != 1]
    assert not lost, "run python -m tests.features.mutations.run after mending the list"
