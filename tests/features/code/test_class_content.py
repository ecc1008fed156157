"""The text of a class's code: what changes it, and what does not."""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from flyball.core import BadDeclaration
from flyball.events import Rejected
from flyball.features import content_of_class
from flyball.models import Recommender

HELPERS = """
SHIFT = 1.0

def shifted(value):
    return value + SHIFT
"""
FILE = '''
"""A model and what it uses."""
import enum
import math
import re
from functools import cached_property, lru_cache

import msgspec
import numpy as np
import own_helpers
from own_helpers import shifted

LIMIT = 3
TABLE = {"a": 1}
WEIGHTS = np.array([1.0, 2.0])
UNUSED = 5


class Side(enum.Enum):
    LEFT = 1


class Scale:
    """Not a value, but made by a statement of this file."""

    def __init__(self, factor):
        self.factor = factor


SCALE = Scale(2)


def halved(value):
    """Half of it."""
    return value / 2


@lru_cache
def kept(value):
    return value * 3


class Predictor(msgspec.Struct):
    factor: float = 4.0

    def predict(self, value):
        return value * self.factor


class Base:
    bound = LIMIT * 2

    def bounded(self, value):
        return min(value, self.bound)


class Own(Base):
    """What the tests edit."""

    damp: float = 0.5

    @property
    def side(self):
        return Side.LEFT

    @staticmethod
    def power(value):
        return value**2

    @cached_property
    def first(self):
        return TABLE["a"]

    def fit(self, data):
        return self._counted(data) + self._shared(data)

    def _counted(self, data):
        return sum(data)

    def _shared(self, data):
        return len(data)

    def score(self, value):
        value = super().bounded(halved(kept(value))) * SCALE.factor * WEIGHTS[0]
        return Predictor().predict(shifted(value) + own_helpers.SHIFT) + self._shared([value]) + math.pi
'''


def loaded(folder: Path, text: str = FILE, helpers: str = HELPERS) -> Any:
    folder.mkdir(exist_ok=True)
    for name, content in (("own_helpers", helpers), ("own_model", text)):
        (folder / f"{name}.py").write_text(content)
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules["own_model"]


def contents(folder: Path, text: str = FILE, helpers: str = HELPERS) -> tuple[str, str]:
    """(what answers depend on, everything)."""
    own = loaded(folder, text, helpers).Own
    return content_of_class(own, ("fit",), ("damp",)), content_of_class(own, (), ("damp",))


ANSWERS = {
    "a method": ("value**2", "value**3"),
    "a base": ("min(value, self.bound)", "max(value, self.bound)"),
    "a class variable of a base": ("LIMIT * 2", "LIMIT * 3"),
    "a constant it reads": ("LIMIT = 3", "LIMIT = 4"),
    "a function": ("value / 2", "value / 4"),
    "a wrapped function": ("value * 3", "value * 5"),
    "a table": ('{"a": 1}', '{"a": 2}'),
    "an array": ("[1.0, 2.0]", "[1.0, 3.0]"),
    "an object": ("Scale(2)", "Scale(3)"),
    "the class of an object": ("self.factor = factor", "self.factor = -factor"),
    "a class that it makes": ("value * self.factor", "value - self.factor"),
    "the default of a class that it makes": ("factor: float = 4.0", "factor: float = 5.0"),
    "a decorator": ("@lru_cache\ndef kept", "@lru_cache(maxsize=3)\ndef kept"),
    "a member of an enumeration": ("LEFT = 1", "LEFT = 2"),
    "what fit and score share": ("return len(data)", "return len(data) + 1"),
    "what is a property no more": ("    @property\n", ""),
}
LEARNING = {
    "fit": ("self._counted(data) +", "self._counted(data) -"),
    "what only fit uses": ("return sum(data)", "return max(data)"),
}
NOTHING = {
    "comments and layout": ("    def score(self, value):\n", "    # scores\n\n    def score(self, value):  # so\n\n"),
    "a docstring": ('"""What the tests edit."""', '"""Other words."""'),
    "a docstring of what it uses": ('"""Half of it."""', '"""A half."""'),
    "the names of variables": (
        "def _shared(self, data):\n        return len(data)",
        "def _shared(own, n):\n        return len(n)",
    ),
    "annotations": ("def score(self, value):", "def score(self, value: float) -> float:"),
    "the default of a parameter": ("damp: float = 0.5", "damp: float = 0.7"),
    "what it does not use": ("UNUSED = 5", "UNUSED = 6"),
    "the class's name": ("class Own(Base)", "class Other(Base)"),
}


@pytest.mark.parametrize("edit", ANSWERS, ids=list(ANSWERS))
def test_an_edit_of_what_answers_depend_on_changes_both(tmp_path: Path, edit: str) -> None:
    assert FILE.count(ANSWERS[edit][0]) == 1
    before, after = contents(tmp_path), contents(tmp_path / "after", FILE.replace(*ANSWERS[edit]))
    assert (before[0] != after[0], before[1] != after[1]) == (True, True)


@pytest.mark.parametrize("edit", LEARNING, ids=list(LEARNING))
def test_an_edit_of_learning_alone_changes_the_whole(tmp_path: Path, edit: str) -> None:
    assert FILE.count(LEARNING[edit][0]) == 1
    before, after = contents(tmp_path), contents(tmp_path / "after", FILE.replace(*LEARNING[edit]))
    assert (before[0] == after[0], before[1] != after[1]) == (True, True)


@pytest.mark.parametrize("edit", NOTHING, ids=list(NOTHING))
def test_an_edit_of_nothing_that_counts_changes_nothing(tmp_path: Path, edit: str) -> None:
    assert FILE.count(NOTHING[edit][0]) == 1
    text = FILE.replace(*NOTHING[edit])
    before = contents(tmp_path)
    after = contents(tmp_path / "after", text if "class Own" in text else f"{text}\n\nOwn = Other\n")
    assert before == after


def test_modules_beside_the_file_count_where_they_are_used(tmp_path: Path) -> None:
    before = contents(tmp_path)
    for index, edit in enumerate((("SHIFT = 1.0", "SHIFT = 2.0"), ("value + SHIFT", "value - SHIFT"))):
        assert contents(tmp_path / str(index), FILE, HELPERS.replace(*edit))[0] != before[0]
    assert contents(tmp_path / "more", FILE, f"{HELPERS}\nMORE = 3\n") == before


def test_a_module_that_a_method_imports_counts_as_a_whole_and_is_not_imported(tmp_path: Path) -> None:
    text = FILE.replace("        return self._counted(data) +", "        import own_late\n\n        return")
    texts = []
    for value in (1, 2):
        folder = tmp_path / str(value)
        folder.mkdir()
        (folder / "own_late.py").write_text(f"raise RuntimeError({value})\n")
        sys.path.insert(0, str(folder))
        try:
            importlib.invalidate_caches()
            texts.append(contents(folder, text))
        finally:
            sys.path.remove(str(folder))
    assert texts[0][0] == texts[1][0]
    assert texts[0][1] != texts[1][1]
    with pytest.raises(BadDeclaration, match=r"module own_late, which model Own imports must be one whose source"):
        contents(tmp_path / "none", text)


def test_a_method_that_answers_call_counts_though_its_name_is_of_learning(tmp_path: Path) -> None:
    text = FILE.replace("self._shared([value])", "self.fit([value])")
    edited = text.replace("return sum(data)", "return max(data)")
    assert contents(tmp_path, text)[0] != contents(tmp_path / "after", edited)[0]


def test_what_has_neither_text_nor_statement_is_refused(tmp_path: Path) -> None:
    text = "def made(held):\n    class Own:\n        def score(self):\n            return held\n    return Own\n"
    module = loaded(tmp_path, f"{text}\n\nOwn = made(object())\nOther = made(3)\n")
    assert "@0 = 3" in content_of_class(module.Other)
    with pytest.raises(BadDeclaration, match="held, which model made.<locals>.Own reads must be made of numbers"):
        content_of_class(module.Own)


def test_a_class_without_source_is_refused() -> None:
    scope: dict[str, Any] = {"__name__": "typed_in"}
    exec("class Own:\n    def score(self):\n        return 1", scope)
    with pytest.raises(BadDeclaration, match="a class whose source can be read"):
        content_of_class(scope["Own"])


LATER = {
    "an object's attribute": ("SCALE.factor = 5", "SCALE.factor = 6"),
    "an attribute of the class": ("Own.bound = 5", "Own.bound = 6"),
    "a method of the class": ("Own.bounded = lambda self, value: 5", "Own.bounded = lambda self, value: 6"),
    "an attribute of a function": ("halved.by = 5", "halved.by = 6"),
    "an object of a class": ("Own.scale = Scale(5)", "Own.scale = Scale(6)"),
}


@pytest.mark.parametrize("edit", LATER, ids=list(LATER))
def test_what_is_set_after_it_was_made_counts(tmp_path: Path, edit: str) -> None:
    texts = [contents(tmp_path / str(n), f"{FILE}\n\n{text}\n")[0] for n, text in enumerate(LATER[edit])]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("read", ["import own_helpers as late", "late = __import__('own_helpers')"])
def test_what_a_module_imports_counts_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    text = FILE.replace("        value = super", f"        {read}\n        value = super")
    texts = []
    for value in (1, 2):
        (tmp_path / "own_deeper.py").write_text(f"DEEP = {value}\n")
        importlib.invalidate_caches()
        texts.append(contents(tmp_path / str(value), text, f"{HELPERS}\nfrom own_deeper import DEEP\n")[0])
        sys.modules.pop("own_deeper")
    assert texts[0] != texts[1]


def test_what_is_looked_up_by_texts_counts_with_its_whole_file(tmp_path: Path) -> None:
    text = FILE.replace("        value = super", "        eval('UN' + 'USED')\n        value = super")
    edited = text.replace("UNUSED = 5", "UNUSED = 6")
    assert contents(tmp_path, text)[0] != contents(tmp_path / "after", edited)[0]
    with pytest.raises(BadDeclaration, match="imported by a statement, with its name"):
        contents(tmp_path / "computed", text.replace("eval('UN' + 'USED')", "__import__(self.name)"))


def test_a_class_that_a_function_makes_counts_with_what_it_was_made_from(tmp_path: Path) -> None:
    text = (
        "def made(n):\n    class Own:\n        bound = [object(), n]\n        def score(self):\n            return 1\n"
    )
    texts = [contents(tmp_path / str(n), f"{text}    return Own\n\n\nOwn = made({n})\n")[0] for n in (1, 2)]
    assert texts[0] != texts[1]


NAMES_FLYBALL = """
from flyball.events import Rejected
from flyball.models import Recommender

class Own(Recommender):
    def score(self, value):
        return Rejected if value else sorted(value)
"""


def test_moving_a_class_inside_flyball_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content_of_class(loaded(tmp_path / "before", NAMES_FLYBALL).Own)
    for moved in (Rejected, Recommender):
        monkeypatch.setattr(moved, "__module__", "flyball.elsewhere.moved")
    assert content_of_class(loaded(tmp_path / "after", NAMES_FLYBALL).Own) == before


def test_a_base_that_flyball_gives_its_own_class_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []
    for bases in ((), (dict,)):
        monkeypatch.setattr(sys.modules["flyball.models"], "Split", type("Split", bases, {}), raising=False)
        vars(sys.modules["flyball.models"])["Split"].__module__ = "flyball.models.split"
        text = NAMES_FLYBALL.replace("import Recommender", "import Split").replace("(Recommender)", "(Split)")
        texts.append(content_of_class(loaded(tmp_path / str(len(bases)), text).Own))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("taken", ["Rejected", "Recommender"])
def test_a_class_of_the_same_name_from_another_package_counts_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    installed = tmp_path / "site-packages" / "other_package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text(f"class {taken}:\n    pass\n")
    monkeypatch.syspath_prepend(installed.parent)
    text = re.sub(rf"from flyball\.\w+ import {taken}", f"from other_package import {taken}", NAMES_FLYBALL)
    assert text != NAMES_FLYBALL
    other = content_of_class(loaded(tmp_path / "other", text).Own)
    sys.modules.pop("other_package")
    assert content_of_class(loaded(tmp_path / "flyball", NAMES_FLYBALL).Own) != other
