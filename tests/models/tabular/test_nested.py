"""Parts under one roof keep their own names, even where these look like another part's."""

from typing import Any

import numpy as np
import pytest

from flyball.models import TableColumn, TabularFit, TabularModel, TargetKind
from flyball.models.tabular.nested import open_part, part_fit

COLUMNS, NUMBER = (TableColumn("km", "number"),), TargetKind("number")


class Shows(TabularModel, frozen=True):
    """Opens as what it was given."""

    def open(self, arrays: Any, texts: Any, columns: Any, target: TargetKind) -> Any:
        return dict(arrays), dict(texts), columns, target


def fitted(number: float) -> TabularFit:
    """Names with underscores and digits, as if of another part."""
    arrays = {"w": np.array([number]), "1_w": np.array([-number]), "part_0_w": np.array([2 * number])}
    return TabularFit(arrays, {"names": [f"n{number:g}"], "part_1_names": []}, "a note")


def test_each_of_a_dozen_parts_opens_with_what_it_learned_and_nothing_else() -> None:
    parts = [part_fit("part", position, fitted(position)) for position in range(12)]
    arrays = {name: array for part in parts for name, array in part.arrays.items()}
    texts = {name: listed for part in parts for name, listed in part.texts.items()}
    assert len(arrays) == 12 * 3
    assert len(texts) == 12 * 2
    for position in range(12):
        opened: Any = open_part(Shows(), "part", position, arrays, texts, COLUMNS, NUMBER)
        own, expected = opened[0], fitted(position)
        assert {name: array.tolist() for name, array in own.items()} == {
            name: array.tolist() for name, array in expected.arrays.items()
        }
        assert opened[1:] == (dict(expected.texts), COLUMNS, NUMBER)


def test_a_note_of_a_part_is_kept() -> None:
    assert part_fit("part", 3, fitted(1)).note == "a note"


@pytest.mark.parametrize("other", [("line", 0), ("part", 5)])
def test_parts_of_another_prefix_or_position_are_not_there(other: tuple[str, int]) -> None:
    part = part_fit("part", 0, fitted(1))
    opened: Any = open_part(Shows(), *other, part.arrays, part.texts, COLUMNS, NUMBER)
    assert opened[:2] == ({}, {})
