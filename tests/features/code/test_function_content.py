"""What a computed feature reads is part of its hash, by its content; layout and names are not."""

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
from typing import Any

import numpy as np
import pytest

from flyball.core import BadDeclaration
from flyball.features import computed
from flyball.features.code import content_of


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
