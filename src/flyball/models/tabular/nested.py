"""Stores what several models learned in one artifact: the names of each part's arrays and texts have a prefix."""

from collections.abc import Mapping
from typing import Any

from flyball.core import Arrays
from flyball.models.tabular.table import TableColumn, TabularFit, TabularModel, TabularPredictor, TargetKind


def part_fit(prefix: str, position: int, fitted: TabularFit) -> TabularFit:
    """What one part learned, with `prefix` and its position before each name."""
    start = f"{prefix}_{position}_"
    return TabularFit(
        {f"{start}{name}": array for name, array in fitted.arrays.items()},
        {f"{start}{name}": names for name, names in fitted.texts.items()},
        fitted.note,
    )


def open_part(
    model: TabularModel,
    prefix: str,
    position: int,
    arrays: Arrays,
    texts: Mapping[str, list[str]],
    columns: tuple[TableColumn, ...],
    target: TargetKind,
) -> TabularPredictor:
    """Open one part with what it learned, its prefix removed. Raises the errors of the model's `open`."""
    start = f"{prefix}_{position}_"

    def own(named: Mapping[str, Any]) -> dict[str, Any]:
        return {name.removeprefix(start): value for name, value in named.items() if name.startswith(start)}

    return model.open(own(arrays), own(texts), columns, target)
