"""Every model in the table passes every shipped check; the count says so."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from flyball.models import (
    MODELS,
    BiasedMF,
    Histories,
    ImplicitALS,
    Interactions,
    ItemKNN,
    Learned,
    Pruned,
    Recommender,
    SparseEASE,
    attributes_of,
    reads_attributes,
)
from flyball.testing.model_checks import (
    MODEL_CHECKS,
    Check,
    capabilities,
    check_batches,
    check_purity,
    check_seeded,
    sample_interactions,
)


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_model(name: str, check: Check, tmp_path: Path) -> None:
    check(MODELS[name](), tmp_path)


VARIANTS: dict[str, Recommender] = {
    "als by blocks": ImplicitALS(factors=16, solver="block", block=8),
    "als exact": ImplicitALS(factors=16, solver="cholesky"),
    "svd by als": BiasedMF(factors=16, epochs=20, solver="als"),
    "pruned neighbors": Pruned(ItemKNN(), keep=12),
    "shared blocks": SparseEASE(candidates=12, shared=0.5),
}
"""Other ways of one model, as different as other models."""


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", VARIANTS)
def test_variant(name: str, check: Check, tmp_path: Path) -> None:
    check(VARIANTS[name], tmp_path)


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if not reads_attributes(model())])
def test_a_model_said_to_be_blind_to_attributes_is(name: str) -> None:
    data = sample_interactions()
    rng = np.random.default_rng(4)
    columns = {"genre": rng.integers(0, 4, len(data.items)).tolist()}
    message = msgspec.structs.replace(data, attributes=attributes_of(len(data.items), columns))
    blind, seeing = MODELS[name]().fit(data, 5), MODELS[name]().fit(message, 5)
    assert {key: array.tobytes() for key, array in blind.items()} == {k: a.tobytes() for k, a in seeing.items()}


def test_what_the_table_claims() -> None:
    claims = {name: capabilities(model()) for name, model in MODELS.items()}
    of_ratings = {"global_mean", "bias", "biased_mf", "rating_knn", "svdpp", "rating_blend"}
    explained = {
        "item_knn",
        "user_knn",
        "next_item",
        "slim",
        "implicit_als",
        "ease",
        "sparse_ease",
        "pruned",
        "distilled",
        "hybrid",
    }
    assert {name for name, can in claims.items() if "explain" in can} == explained
    others = {"biased_mf", "rating_knn", "svdpp", "bpr", "quantized", "blend", "rating_blend"}
    similar = explained - {"user_knn"} | others
    assert {name for name, can in claims.items() if "similar" in can} == similar
    assert {name for name, can in claims.items() if "personal" in can} == similar | {"user_knn"}
    assert {name for name, can in claims.items() if "update" in can} == {
        "implicit_als",
        "biased_mf",
        "bpr",
        "item_knn",
        "user_knn",
    }
    assert {name for name, can in claims.items() if "ratings" in can} == of_ratings
    assert {name for name, can in claims.items() if "new items" in can} == {"hybrid"}


class Leaky(Recommender, frozen=True):
    """Breaks three promises: scores depend on the company, learned arrays are written, fits on the thread count."""

    def fit(self, data: Interactions, seed: int) -> dict[str, np.ndarray]:
        import os

        return {"calls": np.array([len(os.sched_getaffinity(0))], dtype=np.float32), "n": np.array([len(data.items)])}

    def score(self, learned: Learned, histories: Histories) -> np.ndarray:
        learned["calls"][0] += 1
        return np.full((histories.rows, int(learned["n"][0])), histories.rows, dtype=np.float32)


@pytest.mark.parametrize("check", [check_purity, check_batches, check_seeded], ids=lambda check: check.__name__)
def test_the_checks_catch_a_model_that_breaks_its_promises(check: Check, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(Leaky(), tmp_path)


def test_an_application_file_can_name_every_model() -> None:
    import flyball

    assert {model.__name__ for model in MODELS.values()} <= set(flyball.__all__)
    assert all(getattr(flyball, model.__name__) is model for model in MODELS.values())
