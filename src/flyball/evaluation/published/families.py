"""The families that a table compares."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.core import BadInput, NotFound
from flyball.evaluation.search import Space, space_of
from flyball.models import (
    BPR,
    EASE,
    SLIM,
    BiasedMF,
    BiasModel,
    Blend,
    Distilled,
    GlobalMean,
    Hybrid,
    ImplicitALS,
    ItemKNN,
    NextItem,
    Popular,
    Pruned,
    Quantized,
    Random,
    RatingBlend,
    RatingKNN,
    SparseEASE,
    SVDpp,
    UserKNN,
)

LISTS: dict[str, Space] = {
    space.family: space
    for space in (
        space_of("random", Random()),
        space_of("popular", Popular(), {}),  # one right answer: the protocols check themselves by it
        space_of("item_knn", ItemKNN()),
        space_of("user_knn", UserKNN()),
        space_of("next_item", NextItem()),
        space_of("slim", SLIM()),
        space_of("bpr", BPR()),
        space_of("implicit_als", ImplicitALS()),
        space_of("hybrid", Hybrid()),
        space_of("ease", EASE()),
        space_of("sparse_ease", SparseEASE()),
        space_of("compact", Quantized()),
        space_of("pruned", Pruned()),
        space_of("blend", Blend()),
        space_of("distilled", Distilled()),
    )
}
RATINGS: dict[str, Space] = {
    space.family: space
    for space in (
        space_of("global_mean", GlobalMean()),
        space_of("bias", BiasModel()),
        space_of("biased_mf", BiasedMF()),
        space_of("rating_knn", RatingKNN()),
        space_of("svdpp", SVDpp()),
        space_of("rating_blend", RatingBlend()),
    )
}


Fixed = Mapping[str, Mapping[str, Any]]
"""{family: {parameter: value}} other than the defaults; values may be texts."""


def chosen(known: dict[str, Space], names: list[str] | None, fixed: Fixed | None = None) -> list[Space]:
    """The families named that are of this kind, or all; families and parameters of no kind raise `NotFound`."""
    fixed = fixed or {}
    for name in [*(names or []), *fixed]:
        if name not in LISTS and name not in RATINGS:
            raise NotFound("family", name, {**LISTS, **RATINGS})
    return [_with(space, fixed.get(name, {})) for name, space in known.items() if not names or name in names]


def _with(space: Space, params: Mapping[str, Any]) -> Space:
    """The space with these parameters at these values and no others."""
    known = {field.name: field for field in msgspec.structs.fields(space.base)}
    values = {}
    for name, value in params.items():
        if name not in known:
            raise NotFound(f"parameter of {space.family}", name, known)
        try:
            values[name] = msgspec.convert(value, known[name].type, strict=False)
        except msgspec.ValidationError as error:
            raise BadInput(f"{space.family}.{name}", f"a value that fits ({error})", value) from None
    others = {name: tried for name, tried in space.values.items() if name not in values}
    return Space(space.family, msgspec.structs.replace(space.base, **values), others)
