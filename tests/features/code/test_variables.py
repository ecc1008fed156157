"""A renaming of variables, parameters and constants changes no hash; a change of what is computed does."""

import ast
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.features.code.own_files import function_of

from flyball.core import BadDeclaration
from flyball.features import content_of

NAMES = ["a", "b", "c", "d", "e"]
HELPER = "near"


def content(text: str) -> str:
    return content_of(function_of(text))


RENAMED = [
    ("made = lambda n: n + 1", "made = lambda count: count + 1", "a parameter"),
    ("def made(n):\n    m = n * 2\n    return m", "def made(n):\n    twice = n * 2\n    return twice", "a local"),
    ("K = 3\ndef made(n):\n    return n * K", "FACTOR = 3\ndef made(n):\n    return n * FACTOR", "a constant"),
    (
        "A, B = 1, 2\nmade = lambda n: n * A + B",
        "Z, Y = 1, 2\nmade = lambda n: n * Z + Y",
        "constants whose order in the alphabet turns round",
    ),
    ("def made(n):\n    return n", "def other(n):\n    return n\nmade = other", "the function itself"),
    (
        "def half(n):\n    return n / 2\nmade = lambda n: half(n)",
        "def share(m):\n    return m / 2\nmade = lambda k: share(k)",
        "a function that it calls, and its parameter",
    ),
    (
        "def half(n, by=2):\n    return n / by\nmade = lambda n: half(n, by=3)",
        "def half(n, part=2):\n    return n / part\nmade = lambda n: half(n, part=3)",
        "a parameter that is given by name",
    ),
    (
        "def made(n):\n    def part(x, y):\n        return x - y\n    return part(y=n, x=1)",
        "def made(n):\n    def rest(u, v):\n        return u - v\n    return rest(v=n, u=1)",
        "a parameter of a function inside, given by name",
    ),
    (
        "made = lambda n: sum(i * j for i in range(n) for j in range(i))",
        "made = lambda n: sum(x * n for x in range(n) for n in range(x))",
        "variables of a comprehension, one to a name of outside",
    ),
    (
        "def made(n):\n    k = n\n    return (lambda m: m + k)(n)",
        "def made(n):\n    x = n\n    return (lambda n: n + x)(n)",
        "a parameter that hides another",
    ),
    (
        "def made(n):\n    try:\n        return 1 / n\n    except OverflowError as error:\n        return str(error)",
        "def made(n):\n    try:\n        return 1 / n\n    except OverflowError as e:\n        return str(e)",
        "a caught error",
    ),
    (
        "def made(n):\n    match n:\n        case [x, *z]:\n            return x, z\n        case {'k': k, **more}:\n"
        "            return k, more",
        "def made(n):\n    match n:\n        case [y, *v]:\n            return y, v\n        case {'k': q, **w}:\n"
        "            return q, w",
        "names of patterns",
    ),
    ("import math\nmade = lambda n: math.sqrt(n)", "import math as m\nmade = lambda n: m.sqrt(n)", "a module"),
    (
        "def made(n):\n    import math\n    return math.sqrt(n)",
        "def made(n):\n    import math as m\n    return m.sqrt(n)",
        "a module that is imported inside",
    ),
    (
        "class Own:\n    k = 2\nmade = lambda n: n * Own.k",
        "class Mine:\n    factor = 2\nmade = lambda n: n * Mine.factor",
        "a class and its constant",
    ),
    ("made = lambda n, *, by=2: n / by", "made = lambda n, *, part=2: n / part", "a keyword-only parameter"),
    (
        "def made(n):\n    if (m := n) > 1:\n        return [m for i in range(n) if (last := i)], last",
        "def made(n):\n    if (k := n) > 1:\n        return [k for j in range(n) if (z := j)], z",
        "names of assignments in expressions",
    ),
    (
        "def made(n):\n    t = 0\n    def add():\n        nonlocal t\n        t += n\n    add()\n    return t",
        "def made(n):\n    s = 0\n    def more():\n        nonlocal s\n        s += n\n    more()\n    return s",
        "a variable that a function inside assigns",
    ),
]


@pytest.mark.parametrize(("before", "after", "what"), RENAMED, ids=[what for _, _, what in RENAMED])
def test_a_renaming_does_not_change_the_content(before: str, after: str, what: str) -> None:
    assert content(before) == content(after)


CHANGED = [
    ("made = lambda n: n + 1", "made = lambda n: n + 2", "a literal"),
    ("made = lambda n, m: n - m", "made = lambda m, n: n - m", "parameters exchanged"),
    ("K = 3\nmade = lambda n: n * K", "K = 4\nmade = lambda n: n * K", "the value of a constant"),
    ("A, B = 1, 2\nmade = lambda n: n * A + B", "A, B = 2, 1\nmade = lambda n: n * A + B", "constants exchanged"),
    (
        "def part(x, y):\n    return x - y\nmade = lambda n: part(x=n, y=1)",
        "def part(y, x):\n    return y - x\nmade = lambda n: part(x=n, y=1)",
        "parameters, given by name, exchanged",
    ),
    (
        "def part(x, y):\n    return x - y\nmade = lambda n: part(**{'x': n, 'y': 1})",
        "def part(y, x):\n    return y - x\nmade = lambda n: part(**{'x': n, 'y': 1})",
        "parameters, given by a dict, exchanged",
    ),
    (
        "def made(n):\n    def part(x, y):\n        return x - y\n    f = part\n    return f(x=n, y=1)",
        "def made(n):\n    def part(y, x):\n        return y - x\n    f = part\n    return f(x=n, y=1)",
        "parameters, given by name under another name, exchanged",
    ),
    (
        "from functools import partial\ndef made(n):\n    def part(x, y):\n        return x - y\n"
        "    return partial(part, y=1)(n)",
        "from functools import partial\ndef made(n):\n    def part(y, x):\n        return y - x\n"
        "    return partial(part, y=1)(x=n)",
        "parameters of a partial call",
    ),
    ("K = 2\nmade = lambda n: n * K", "K = 2\nmade = lambda K: K * K", "a constant hidden by a parameter"),
    (
        "def made(n):\n    def a():\n        return 1\n    def b():\n        return 2\n    return a()",
        "def made(n):\n    def a():\n        return 1\n    def b():\n        return 2\n    return b()",
        "another function inside",
    ),
    ("made = lambda n: min(n, 1)", "made = lambda n: max(n, 1)", "a built-in function"),
    (
        "import math\nmade = lambda n: math.sqrt(n)",
        "import math\nmade = lambda n: math.log(n)",
        "a function of a module",
    ),
    ("made = lambda n: n.hour", "made = lambda n: n.minute", "an attribute"),
    (
        "def made(n):\n    a = 1\n    return len(locals())",
        "def made(a):\n    n = 1\n    return len(locals())",
        "what it sees",
    ),
    ("K = min\nmade = lambda n: K(n, 1)", "K = max\nmade = lambda n: K(n, 1)", "what a constant names"),
    (
        "def made(n):\n    class Own:\n        x = 1\n        y = 2\n    return Own.x",
        "def made(n):\n    class Own:\n        y = 1\n        x = 2\n    return Own.x",
        "attributes of a class inside",
    ),
]


@pytest.mark.parametrize(("before", "after", "what"), CHANGED, ids=[what for _, _, what in CHANGED])
def test_a_change_of_meaning_changes_the_content(before: str, after: str, what: str) -> None:
    assert content(before) != content(after)


def test_a_declared_renaming_of_a_field_is_followed() -> None:
    before = content("made = lambda user: user.age >= 40")
    after = content_of(function_of("made = lambda u: u.years >= 40"), {"years": "age"})
    assert after == before != content("made = lambda u: u.years >= 40")
    assert content_of(function_of("made = lambda u: (lambda v: v.years)(u)"), {"years": "age"}) != before


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    """An expression of whole numbers over the names, with calls, comprehensions, lambdas and assignments inside."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from([*NAMES, "1", "2", "7"]))
    inner = expressions(depth - 1)
    x, y, name = draw(inner), draw(inner), draw(st.sampled_from(NAMES))
    other = draw(st.sampled_from([other for other in NAMES if other != name]))
    return draw(
        st.sampled_from(
            [
                f"({x} + {y})",
                f"({x} - {y})",
                f"({x} * {y})",
                f"({x} if {y} > 1 else 3)",
                f"sum([{x} for {name} in range(2)])",
                f"sum({x} for {name} in range(2) for {other} in range({name} + 1))",
                f"(lambda {name}, {other}: {x})({y}, 2)",
                f"(lambda {name}, {other}=4: {x})({y})",
                f"(lambda {name}, {other}: {x})({other}={y}, {name}=5)",
                f"{HELPER}({x}, b={y})",
                f"{HELPER}(a={x}, b=2)",
            ]
        )
    )


@st.composite
def modules(draw: st.DrawFn) -> str:
    """A module with a function `made(a, b)`, a function that it calls, constants, and a function inside."""
    inside = draw(st.sampled_from(["c", "d"]))
    lines = [
        "c, d, e = 11, 12, 13",
        f"def {HELPER}(a, b=3):",
        "    return a * 2 - b",
        "def made(a, b):",
        f"    {draw(st.sampled_from(['c', 'd']))} = {draw(st.sampled_from(['a', 'b', '5', 'e']))}",
        f"    def {draw(st.sampled_from(['g', 'h']))}({inside}):",
        f"        return {draw(expressions())}",
        f"    return {draw(expressions())}",
    ]
    return "\n".join(lines) + "\n"


class _Rename(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self.names.get(node.arg, node.arg))

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        value = self.visit(node.value)
        return ast.keyword(None if node.arg is None else self.names.get(node.arg, node.arg), value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.name = self.names.get(node.name, node.name)
        return node


def renamed(text: str, names: dict[str, str]) -> str:
    return ast.unparse(_Rename(names).visit(ast.parse(text)))


def answers(text: str) -> list[Any]:
    """What the function gives for some arguments, errors as their kind."""
    function, results = function_of(text), []
    for arguments in ((1, 2), (3, -1), (0, 5)):
        try:
            results.append(function(*arguments))
        except (NameError, TypeError) as error:
            results.append(type(error).__name__)
    return results


@settings(max_examples=60, deadline=None)
@given(modules(), st.permutations([*NAMES, "g", "h", HELPER]), st.booleans())
def test_no_renaming_changes_the_content(text: str, order: list[str], new: bool) -> None:
    names = dict(zip([*NAMES, "g", "h", HELPER], order, strict=True))
    if new:
        names = {name: f"{other}_new" for name, other in names.items()}
    try:
        before = content(text)
    except BadDeclaration:
        assume(False)
    assert content(renamed(text, names)) == before


@settings(max_examples=100, deadline=None)
@given(modules(), st.dictionaries(st.sampled_from(NAMES), st.sampled_from(NAMES), min_size=1))
def test_functions_of_the_same_content_answer_the_same(text: str, names: dict[str, str]) -> None:
    try:
        other = renamed(text, names)
        same = content(text) == content(other)
    except (BadDeclaration, SyntaxError):
        assume(False)
    assert not same or answers(text) == answers(other)


@settings(max_examples=60, deadline=None)
@given(modules(), st.data())
def test_another_operator_or_literal_changes_the_content(text: str, data: st.DataObject) -> None:
    tree = ast.parse(text)
    made = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "made")
    places = [node for node in ast.walk(made) if isinstance(node, ast.BinOp | ast.Constant)]
    assume(places)
    place = places[data.draw(st.integers(0, len(places) - 1))]
    if isinstance(place, ast.Constant):
        place.value = 1 + int(str(place.value))
    else:
        place.op = ast.FloorDiv()
    assert content(ast.unparse(tree)) != content(text)
