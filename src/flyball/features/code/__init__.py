"""The user's code as text, for hashes: all that a function's or a class's results depend on, and nothing else.

`content_of` walks `function_content` → `function_nodes` (the parsed node) → `variables` (their names are left out) →
`function_text` (the node as text, with what it reads from outside) → `value_text` (each value of that). For classes
`content_of_class` adds `class_nodes`, `class_members`, `modules` and `statements`, those that make and change a value.
`ownership` says whose code a module is, `public_name` what counts of a package that is installed.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door
from flyball.features.code.function_content import content_of, source_of

if TYPE_CHECKING:
    from flyball.features.code.class_content import content_of_class
    from flyball.features.code.ownership import is_own_code

__all__ = ["content_of", "content_of_class", "is_own_code", "source_of"]

__getattr__ = lazy_door(__name__, __file__)
