"""The families that a table compares."""

from flyball.core import NotFound
from flyball.evaluation.search import Space, space_of
from flyball.models import (
    BPR,
    EASE,
    SLIM,
    BiasedMF,
    BiasModel,
    Blend,
    Compact,
    Distilled,
    GlobalMean,
    Hybrid,
    ImplicitALS,
    ItemKNN,
    NextItem,
    Popular,
    Pruned,
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
        space_of("compact", Compact()),
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


def chosen(known: dict[str, Space], names: list[str] | None) -> list[Space]:
    """The families named that are of this kind, or all; names of no kind raise `NotFound`."""
    for name in names or []:
        if name not in LISTS and name not in RATINGS:
            raise NotFound("family", name, {**LISTS, **RATINGS})
    return [space for name, space in known.items() if not names or name in names]
