"""A function's node in its file, and its source for people."""

import ast

import pytest
from tests.features.code.own_files import function_of

from flyball.core import BadDeclaration
from flyball.features.code.function_nodes import imported_by, node_of, parameter_names, written

REGISTERED = "def register(f):\n    return f\n\n@register\ndef made(n):\n    # twice\n    return n  *  2\n"


def test_the_source_for_people_has_no_decorators_and_leaves_the_parsed_file_as_it_is() -> None:
    made = function_of(REGISTERED)
    before = ast.dump(node_of(made, "made"))
    assert written(made, "made") == "def made(n):\n    return n * 2"
    assert ast.dump(node_of(made, "made")) == before


def test_of_several_lambdas_on_a_line_the_own_one_is_found() -> None:
    made = function_of("pair = (lambda n: n + 1), (lambda n: n + 2)\nmade = pair[1]\n")
    assert ast.unparse(node_of(made, "made")) == "lambda n: n + 2"


def test_parameters_and_imports_are_read_from_the_code() -> None:
    made = function_of("def made(n, /, m, *, k):\n    import json\n    def inner():\n        from .own import x\n")
    assert (parameter_names(made), imported_by(made)) == (["n", "m", "k"], ["json", "own"])


def test_a_function_that_was_typed_in_is_refused() -> None:
    scope: dict[str, object] = {}
    exec("def made(n):\n    return n", scope)
    with pytest.raises(BadDeclaration, match="a function whose source can be read, defined in a file"):
        node_of(scope["made"], "made")  # type: ignore[arg-type]
