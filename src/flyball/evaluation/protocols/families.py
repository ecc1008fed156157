"""The families that a table compares, each with the values that a search tries."""

from flyball.core import NotFound
from flyball.evaluation.search import Space
from flyball.models import (
    BPR,
    EASE,
    SLIM,
    BiasedMF,
    BiasModel,
    Blend,
    Compact,
    GlobalMean,
    ImplicitALS,
    ItemKNN,
    NextItem,
    Popular,
    Random,
    RatingBlend,
    RatingKNN,
    SVDpp,
    UserKNN,
)

LISTS: dict[str, Space] = {
    space.family: space
    for space in (
        Space("random", Random()),
        Space("popular", Popular()),
        Space("item_knn", ItemKNN(), {"k": (20, 50, 100, 200, 500), "shrink": (0.0, 5.0, 20.0, 100.0)}),
        Space("user_knn", UserKNN(), {"k": (20, 50, 100, 200, 400), "shrink": (0.0, 5.0, 20.0, 100.0)}),
        Space(
            "next_item",
            NextItem(),
            {
                "window": (3, 5, 10, 20, 50),
                "decay": (0.3, 0.5, 0.7, 0.8, 0.9, 1.0),
                "back": (0.1, 0.3, 0.5, 0.8),
                "norm": (0.1, 0.25, 0.4, 0.5),
                "shrink": (1.0, 5.0, 20.0),
            },
        ),
        Space("slim", SLIM(), {"l1": (0.1, 0.3, 1.0, 3.0), "l2": (10.0, 30.0, 100.0, 300.0, 1_000.0)}),
        Space(
            "bpr",
            BPR(),
            {
                "factors": (32, 64, 128),
                "epochs": (10, 20, 30, 60, 100),
                "learning_rate": (0.02, 0.05, 0.1),
                "reg": (0.001, 0.003, 0.01, 0.03),
            },
        ),
        Space(
            "implicit_als",
            ImplicitALS(),
            {
                "factors": (32, 64, 128),
                "reg": (None, 0.001, 0.003, 0.01, 0.02, 0.05),
                "alpha": (None, 3.0, 10.0, 30.0, 100.0, 300.0),
            },
        ),
        Space("ease", EASE(), {"l2": (50.0, 100.0, 200.0, 350.0, 500.0, 1_000.0, 2_000.0)}),
        Space("compact", Compact()),
        Space("blend", Blend()),
    )
}
RATINGS: dict[str, Space] = {
    space.family: space
    for space in (
        Space("global_mean", GlobalMean()),
        Space("bias", BiasModel(), {"reg_users": (5.0, 10.0, 15.0, 25.0), "reg_items": (3.0, 5.0, 10.0, 25.0)}),
        Space(
            "biased_mf",
            BiasedMF(),
            {
                "factors": (16, 32, 64, 128),
                "reg": (0.05, 0.08, 0.1, 0.12),
                "epochs": (20, 40, 60),
                "fold_in_reg": (3.0, 6.0, 10.0, 20.0),
            },
        ),
        Space("rating_knn", RatingKNN(), {"k": (20, 40, 60, 100), "shrink": (20.0, 50.0, 100.0, 200.0)}),
        Space(
            "svdpp",
            SVDpp(),
            {
                "factors": (16, 32, 64),
                "reg": (0.05, 0.08, 0.1),
                "epochs": (20, 40, 60),
                "fold_in_reg": (3.0, 6.0, 10.0, 20.0),
            },
        ),
        Space("rating_blend", RatingBlend()),
    )
}


def chosen(known: dict[str, Space], names: list[str] | None) -> list[Space]:
    """The families named that are of this kind, or all; names of no kind raise `NotFound`."""
    for name in names or []:
        if name not in LISTS and name not in RATINGS:
            raise NotFound("family", name, {**LISTS, **RATINGS})
    return [space for name, space in known.items() if not names or name in names]
