"""The families that a table compares."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.core import BadInput, NotFound, requirement
from flyball.evaluation.search import Space, space_of
from flyball.models import MODELS, Recommender

LISTS: dict[str, Space[Recommender]] = {
    name: space_of(name, model(), {} if name == "popular" else None)  # popular has one right answer
    for name, model in MODELS.items()
    if model.family == "lists"
}
RATINGS: dict[str, Space[Recommender]] = {
    name: space_of(name, model()) for name, model in MODELS.items() if model.family == "ratings"
}


Fixed = Mapping[str, Mapping[str, Any]]
"""{family: {parameter: value}} other than the defaults; values may be texts."""


def chosen(
    known: dict[str, Space[Recommender]], names: list[str] | None, fixed: Fixed | None = None
) -> list[Space[Recommender]]:
    """The `names` among the `known` families, or all of these. Raises `NotFound` for a name that no kind knows."""
    fixed = fixed or {}
    for name in [*(names or []), *fixed]:
        if name not in LISTS and name not in RATINGS:
            raise NotFound("family", name, {**LISTS, **RATINGS})
    return [_with(space, fixed.get(name, {})) for name, space in known.items() if not names or name in names]


def _with(space: Space[Recommender], params: Mapping[str, Any]) -> Space[Recommender]:
    """The space with these parameters fixed at these values. Raises `NotFound` for a name, `BadInput` for a value."""
    known = {field.name: field for field in msgspec.structs.fields(space.base)}
    values = {}
    for name, value in params.items():
        if name not in known:
            raise NotFound(f"parameter of {space.family}", name, known)
        try:
            values[name] = msgspec.convert(value, known[name].type, strict=False)
        except msgspec.ValidationError as error:
            raise BadInput(f"{space.family}.{name}", requirement(str(error)), value) from None
    others = {name: tried for name, tried in space.values.items() if name not in values}
    return Space(space.family, msgspec.structs.replace(space.base, **values), others)
