"""How a candidate is trained again, as declared."""

from typing import Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration
from flyball.policy import Stateful


def test_a_champion_is_continued_and_every_tenth_time_fitted_on_everything() -> None:
    assert fb.stateful() == Stateful(10)
    assert fb.stateful(refit_every=3).refit_every == 3


@pytest.mark.parametrize("refit_every", [1, 0, -3, 2.5, True, "3"])
def test_another_number_is_refused(refit_every: Any) -> None:
    with pytest.raises(BadDeclaration, match="refit_every of stateful"):
        fb.stateful(refit_every=refit_every)
