"""The first declared names of an event type and its fields, so that renaming changes no hash of earlier versions.

They are read from the declaration alone (`former_names`, `fb.renamed`, each oldest first), so that hashes of features
and the columns of a version can be compared without a log.
"""

from functools import lru_cache

from flyball.events.declared import read_type
from flyball.events.types import Event


def original_type_name(event: type[Event]) -> str:
    """The oldest declared name of an event type.

    >>> class View(Event):
    ...     former_names = ("Watch", "Seen")
    >>> original_type_name(View)
    'Watch'
    """
    return (*event.former_names, event.__name__)[0]


@lru_cache(maxsize=256)
def original_field_names(event: type[Event]) -> dict[str, str]:
    """{field that was renamed: its oldest declared name}."""
    return {field.name: field.former[0] for field in read_type(event).declared if field.former}


@lru_cache(maxsize=256)
def field_names_now(event: type[Event]) -> dict[str, str]:
    """{present or former name of a field: its present name}, and "at"."""
    declared = read_type(event).declared
    former = {name: field.name for field in declared for name in field.former}
    return {**former, **{field.name: field.name for field in declared}, "at": "at"}
