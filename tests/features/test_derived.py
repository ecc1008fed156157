"""Values of a request are those of training, and their hashes tell what they compute."""

import enum
import functools
import math
import os
import re
import subprocess
import sys
import tempfile
import types
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from tests.features.offline import START, act, row

import flyball as fb
from flyball.core import BadDeclaration, BadInput
from flyball.features import FeatureSet, computed, hashed, point_in_time
from flyball.features.declaration.source import content_of
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


def test_closing_over_what_cannot_be_hashed_is_refused() -> None:
    table = object()
    with pytest.raises(BadDeclaration, match="made of numbers and texts"):
        computed(lambda at: hash(table), "at")


class Side(enum.Enum):
    LEFT = 1
    RIGHT = 2


class OtherSide(enum.Enum):
    LEFT = 1
    RIGHT = 3


KEPT: Any = None
own_module = types.ModuleType("own_module")


@pytest.mark.parametrize(
    "values",
    [
        ((1, 2), (1, 3), [1, 2], [1, 3], (1, 2, 3), (True, 2), (1.0, 2)),
        ({"a": 1.0, "b": 5.0}, {"a": 1.0, "b": -5.0}, {"a": 1.0}, {"b": 5.0, "a": 1.0}),
        ({"a", "b"}, {"a", "c"}, frozenset({"d"})),
        ({"a": [(1, {"x"})]}, {"a": [(1, {"y"})]}, {"a": [(1, {"x": 2})]}),
        (Side.LEFT, Side.RIGHT, OtherSide.RIGHT, {Side.LEFT: 1}, {Side.RIGHT: 1}),
        (math.sqrt, math.log1p, np.sqrt, np.log1p, {"a": 1}.get, {"a": 2}.get),
        (re.compile("a"), re.compile("b"), re.compile("a", re.IGNORECASE)),
        (functools.lru_cache(lambda n: n), functools.lru_cache(lambda n: n + 1), functools.partial(pow, 2)),
        ({"f": lambda n: n}, {"f": lambda n: n * 2}),
    ],
)
def test_what_a_function_reads_is_hashed_by_its_content(values: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_global(value: Any) -> str:
        monkeypatch.setitem(globals(), "KEPT", value)
        return computed(lambda n: hash((n, KEPT)), "user.acts").hash

    def of_attribute(value: Any) -> str:
        monkeypatch.setattr(own_module, "kept", value, raising=False)
        return computed(lambda n: own_module.kept[n], "user.acts").hash

    def of_closure(value: Any) -> str:
        return computed(lambda n: hash((n, value)), "user.acts").hash

    def of_default(value: Any) -> str:
        return computed(lambda n, kept=value: hash((n, kept)), "user.acts").hash

    def of_named_default(value: Any) -> str:
        return computed(lambda n, *, kept=value: hash((n, kept)), "user.acts").hash

    for hash_of in (of_global, of_attribute, of_closure, of_default, of_named_default):
        hashes = [hash_of(value) for value in values]
        assert len(set(hashes)) == len(values), hash_of.__name__
        assert [hash_of(value) for value in values] == hashes


def test_a_set_has_one_content_in_every_process() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import kept\n"
        "from flyball.features import computed\n"
        "print(computed(kept.near, 'user.acts').hash)"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kept.py").write_text("SET = {'a', 'b', 'c', 'd'}\ndef near(n):\n    return float(n in SET)\n")
        hashes = {
            subprocess.run(
                [sys.executable, "-c", script, folder],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2", "3")
        }
    assert len(hashes) == 1


def _imports(n: float) -> float:
    import tests.features.offline

    return n + tests.features.offline.START


class Held:
    factor = 2


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda n: getattr(own_module, "kept"), "own_module, which a computed feature reads"),  # noqa: B009
        (lambda n: own_module.absent, "own_module.absent of a computed feature must be defined before"),
        (lambda n: NOT_YET + n, "NOT_YET of a computed feature must be defined before"),  # type: ignore[name-defined]  # noqa: F821
        (lambda n: HELD.factor * n, "HELD, which a computed feature reads must be made of numbers and texts"),
        (lambda n: Held().factor * n, "Held, which a computed feature reads"),
        (lambda n: KNOT[n], "contains itself"),
        (_imports, "must be imported at the top of the file"),
    ],
)
def test_what_has_no_content_is_refused_with_what_to_do(function: Any, message: str) -> None:
    with pytest.raises(BadDeclaration) as error:
        computed(function, "user.acts")
    assert message in str(error.value)


def test_attributes_of_own_classes_count_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def times() -> str:
        return computed(lambda n: n * Held.factor, "user.acts").hash

    before = times()
    monkeypatch.setattr(Held, "factor", 3)
    assert times() != before


HELD = Held()
KNOT: list[Any] = []
KNOT.append(KNOT)

LIMIT = 3


def _doubled(n: float) -> float:
    return n * 2


def test_the_hash_is_of_the_parsed_source_without_its_layout() -> None:
    def documented(n: float) -> float:
        """Half of it."""
        return n / 2  # rounded nowhere

    def bare(n):  # type: ignore[no-untyped-def]
        return n / 2

    assert computed(documented, "user.acts").hash == computed(bare, "user.acts").hash
    one, other = (lambda n: n + 1), (lambda n: n + 2)
    assert computed(one, "user.acts").hash != computed(other, "user.acts").hash


def test_the_text_that_is_hashed_depends_on_no_python_version() -> None:
    assert content_of(lambda n, m=2: n * m if n else None).splitlines() == [
        "defaults (2,)",
        "Lambda(args=arguments(args=[arg(arg='$0'), arg(arg='$1')]), "
        "body=IfExp(test=Name($0), body=BinOp(left=Name($0), op=Mult(), right=Name($1)), "
        "orelse=Constant(value=None)))",
    ]


def test_what_a_function_reads_from_its_module_is_in_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    def near(n: float) -> float:
        return min(_doubled(n), LIMIT, math.inf)

    before = computed(near, "user.acts").hash
    monkeypatch.setitem(globals(), "LIMIT", 4)
    assert computed(near, "user.acts").hash != before
    monkeypatch.undo()
    assert computed(near, "user.acts").hash == before
    monkeypatch.setitem(globals(), "_doubled", lambda n: n * 3)
    assert computed(near, "user.acts").hash != before


def test_a_function_without_source_is_refused() -> None:
    scope: dict[str, Any] = {}
    exec("def made(n):\n    return n", scope)
    with pytest.raises(BadDeclaration, match="whose source can be read"):
        computed(scope["made"], "user.acts")


ZEROS, ONES = defaultdict(int, a=1), defaultdict(lambda: 1, a=1)


class Falls(dict[str, int]):
    def __missing__(self, key: str) -> int:
        return 0


class Rises(dict[str, int]):
    def __missing__(self, key: str) -> int:
        return 1


Rises.__qualname__ = "Falls"
FALLS, RISES = Falls(a=1), Rises(a=1)


def test_what_a_table_gives_for_a_missing_key_is_part_of_the_content() -> None:
    texts = [content_of(lambda key: ZEROS[key]), content_of(lambda key: ONES[key])]
    assert len({text.replace("ONES", "ZEROS") for text in texts}) == 2
    texts = [content_of(lambda key: FALLS[key]), content_of(lambda key: RISES[key])]
    assert len({text.replace("RISES", "FALLS") for text in texts}) == 2


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
