"""The titles of the items that a task ranks, for people."""

from flyball.features import Entity
from flyball.state import Catalog
from flyball.tasks import About


def items_of(about: About) -> Entity | None:
    """The entity that the task's responses rank, None for none."""
    return next((entity for entity in about.entities if entity.name == about.items), None)


TITLES = ("title", "name")
"""Fields of a profile that hold an item's title; the first existing one is used."""


def titles_of(catalog: Catalog, items: Entity) -> dict[str, str]:
    """{item: its title} of the items whose profile has one."""
    fields = () if items.profile is None else items.profile.__struct_fields__
    field = next((field for field in TITLES if field in fields), None)
    if field is None:
        return {}
    titles = zip(catalog.ids, catalog.attributes(field), strict=True)
    return {item: title for item, title in titles if isinstance(title, str) and title}
