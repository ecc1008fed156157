"""Values of a request are those of training, and their hashes tell what they compute."""

import math
from typing import Annotated, Any

import numpy as np
import pytest
from tests.features.offline import START, act, row

import flyball as fb
from flyball.core import BadDeclaration, BadInput
from flyball.features import FeatureSet, computed, hashed, point_in_time
from flyball.testing import feature_logs as logs

HOUR_US = 3_600_000_000
SET = FeatureSet(
    logs.user,
    logs.shop,
    hour=computed(lambda at: at // HOUR_US % 24, "at", kind=int),
    log_acts=computed(lambda n: math.log1p(n), "user.acts"),
    fresh=computed(lambda at, since: None if since is None else at - since, "at", "user.since", kind=int),
    place=hashed("shop", "user.tag_first", size=64),
    busy=computed(lambda hour, n: hour > 3 and n > 1, "hour", "user.acts", kind=bool),
)


def test_a_row_is_derived_alone_as_in_a_frame() -> None:
    log = [act(START + place, place) for place in range(4)]
    rows = [row(START + step) for step in (0, 1, 3, 9)]
    frame = point_in_time(SET.groups, logs.frames_of(log), logs.rows_frame(rows))
    derived = SET.derive_frame(frame)
    for one, computed_row in zip(frame.to_dicts(), derived.select(list(SET.derived)).to_dicts(), strict=True):
        assert SET.derive(one) == computed_row
    assert derived["place"].is_null().to_list() == [True, False, False, False]
    assert derived["fresh"].to_list() == [None, 1, 1, 6]
    assert derived["log_acts"].to_list() == [math.log1p(n) for n in (0, 1, 3, 4)]


def test_crosses_stay_in_their_space_and_keep_their_parts_apart() -> None:
    pair = FeatureSet(logs.user_shop, cross=hashed("user", "shop", size=1_000_003))

    def cross(first: str, second: str) -> Any:
        return pair.derive({"user": first, "shop": second})["cross"]

    assert len({cross(str(a), str(b)) for a in range(30) for b in range(30)}) > 890
    assert cross("ab", "c") != cross("a", "bc")
    assert cross("a", "b") != cross("b", "a")


def test_hashes_tell_code_constants_and_inputs() -> None:
    def times(factor: float) -> fb.Derived:
        return computed(lambda n: n * factor, "user.acts")

    hashes = [
        times(2.0).hash,
        times(3.0).hash,
        computed(lambda n: n * 2.0, "user.acts").hash,
        computed(lambda n: n * 2, "user.acts").hash,
        computed(lambda n: n * 2.0, "user.heat").hash,
        computed(lambda n: n + 2.0, "user.acts").hash,
        hashed("user.acts", size=8).hash,
        hashed("user.acts", size=9).hash,
    ]
    assert len(set(hashes)) == len(hashes)
    assert times(2.0).hash == times(2.0).hash
    assert FeatureSet(logs.user, n=times(2.0)).hash != FeatureSet(logs.user, n=times(3.0)).hash
    assert FeatureSet(logs.user).hash != FeatureSet(logs.shop).hash


def test_values_are_plain_and_finite_or_missing() -> None:
    def derive(function: Any, kind: type = float) -> Any:
        return FeatureSet(logs.tag, x=computed(function, "at", kind=kind)).derive({"at": 4})["x"]

    assert derive(lambda at: np.sqrt(at)) == 2.0
    assert derive(lambda at: float("inf")) is None
    assert derive(lambda at: float("nan")) is None
    assert derive(lambda at: np.int64(at), int) == 4
    assert derive(lambda at: f"h{at}", str) == "h4"
    for function, kind in [(lambda at: "4", float), (lambda at: 4.5, int), (lambda at: 4, str), (lambda at: 7, bool)]:
        with pytest.raises(BadInput, match="value of computed feature x"):
            derive(function, kind)


def test_an_error_in_a_function_says_which_feature_and_of_what() -> None:
    late = FeatureSet(logs.user, x=computed(lambda n, at: n * at, "user.heat", "at"))
    with pytest.raises(TypeError) as caught:
        late.derive({"user.heat": None, "at": 4, "user": "7"})
    assert caught.value.__notes__ == ["computed feature x was given user.heat=None, at=4; a missing input is None"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: computed(3, "at"), "a Python function"),  # type: ignore[arg-type]
        (lambda: computed(lambda: 3), "one or more"),
        (lambda: computed(lambda at: at, "at", kind=list), "float, int, bool or str"),
        (lambda: hashed("shop", size=1), "2.."),
        (lambda: FeatureSet(logs.user, x=hashed("film.genre", size=8)), "among"),
        (lambda: FeatureSet(logs.user, x=hashed("y", size=8), y=hashed("user", size=8)), "among"),
        (lambda: FeatureSet(logs.user, logs.user), "different"),
        (lambda: FeatureSet(logs.user, x=3), "made by fb.computed"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_are_reported(make: Any, message: str) -> None:
    with pytest.raises(BadDeclaration) as error:
        make()
    assert message in str(error.value)


class Sale(fb.Event):
    user: Annotated[str, fb.Ref("user")]
    amount: float


class SaleRenamed(fb.Event):
    user: Annotated[str, fb.Ref("user")]
    total: Annotated[float, fb.renamed("amount")]


def test_a_field_that_was_renamed_everywhere_is_the_same_feature() -> None:
    before = FeatureSet(logs.user, Sale, share=computed(lambda amount, n: amount / (1 + n), "amount", "user.acts"))
    after = FeatureSet(logs.user, SaleRenamed, share=computed(lambda total, n: total / (1 + n), "total", "user.acts"))
    assert (after.hashes, after.hash) == (before.hashes, before.hash)
