"""What changes a value after it was made, and what code imports."""

import ast

import pytest

from flyball.features.code.statements import (
    imported_by_text,
    modules_imported,
    reads_by_text,
    statements_that_change,
)

CHANGES = {
    "an attribute": "K.v = 1",
    "an element": "K['a'] += 1",
    "a method": "K.set(1)",
    "a kept result of a method": "fitted = K.fit(1)",
    "a part of a kept result": "fitted = K.fit(1).parts[0]",
    "a kept result with a type": "fitted: int = K.fit(1)",
    "a method that only reads": "K.size()",
    "handed to a call": "setattr(K, 'v', 1)",
    "in a loop": "for n in range(3):\n    K.v = n",
    "by a function": "def init(v):\n    global K\n    K = v\ninit(1)",
    "by a decorator": "def register(f):\n    K.append(f)\n@register\ndef g(x):\n    return x",
}
READS = (
    "x = K.v",
    "app = App(models=[K])",
    "app = App(size=K.size())",
    "assert K.size()",
    "def g():\n    return K.v",
    "if __name__ == '__main__':\n    K.set(1)",
)


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_statement_that_may_change_a_value_is_found(change: str) -> None:
    tree = ast.parse(f"K = C()\n{change}\nother.v = 1\n")
    assert statements_that_change(tree, "K") == [tree.body[-2]]


@pytest.mark.parametrize("read", READS)
def test_a_statement_that_reads_a_value_is_not(read: str) -> None:
    assert statements_that_change(ast.parse(f"K = C()\n{read}\n"), "K") == []


def test_imports_are_named_in_full_and_texts_that_import_are_seen() -> None:
    tree = ast.parse("import a.b\nfrom .c import d\ndef f():\n    import e\n")
    assert modules_imported(tree, "own") == ["a.b", "e", "own.c", "own.c.d"]
    assert imported_by_text(ast.parse("importlib.import_module('a'); __import__(name)")) == ["a", None]
    assert [reads_by_text(ast.parse(text)) for text in ("eval('K')", "model.eval()")] == [True, False]
