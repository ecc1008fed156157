"""What several models learned, in one artifact: each part's arrays and texts under a prefix of its own."""

from collections.abc import Mapping
from typing import Any

from flyball.core import Arrays
from flyball.models.tabular.table import TableColumn, TabularFit, TabularModel, TabularPredictor, TargetKind


def part_fit(prefix: str, position: int, fitted: TabularFit) -> TabularFit:
    """What one part learned, its names behind `prefix` and its position."""
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
    """One part, given what it learned under its own names. Raises what the model's own `open` raises."""
    start = f"{prefix}_{position}_"

    def own(named: Mapping[str, Any]) -> dict[str, Any]:
        return {name.removeprefix(start): value for name, value in named.items() if name.startswith(start)}

    return model.open(own(arrays), own(texts), columns, target)
