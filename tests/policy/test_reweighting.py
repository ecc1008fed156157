"""How examples are weighted, as declared."""

from collections.abc import Callable
from typing import Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration
from flyball.policy import ReweightCovariates, ReweightLabels

DAY_US = 86_400_000_000


def test_defaults_are_a_week_and_a_limit_of_twenty() -> None:
    assert fb.reweight_covariates() == ReweightCovariates((), 7 * DAY_US, 20.0, 0.05)
    assert fb.reweight_covariates("km", recent="1d").columns == ("km",)
    assert fb.reweight_labels("bbse", limit=5) == ReweightLabels("bbse", 7 * DAY_US, 5.0, 0.05)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: fb.reweight_covariates(3), "columns of reweight_covariates"),
        (lambda: fb.reweight_covariates(recent="soon"), "recent of reweight_covariates"),
        (lambda: fb.reweight_covariates(limit=1.0), "limit of reweight_covariates"),
        (lambda: fb.reweight_covariates(limit=float("nan")), "limit of reweight_covariates"),
        (lambda: fb.reweight_labels(least=0), "least of reweight_labels"),
        (lambda: fb.reweight_labels("em"), "method of reweight_labels"),
    ],
)
def test_what_cannot_be_meant_is_refused(made: Callable[[], Any], message: str) -> None:
    with pytest.raises(BadDeclaration, match=message):
        made()
