"""Functions of files that exist in memory alone, with a source that can be read."""

import itertools
import linecache
import types

_FILES = itertools.count()


def function_of(text: str, name: str = "made") -> types.FunctionType:
    """The function of this name in a module with this source."""
    file = f"own_{next(_FILES)}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module = types.ModuleType("own")
    exec(compile(text, file, "exec"), vars(module))
    made = vars(module)[name]
    assert isinstance(made, types.FunctionType)
    return made
