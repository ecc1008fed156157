"""Fold-in: items that are newer than a fitted model are scored by their attributes in the catalog."""

import msgspec
import numpy as np

from flyball.models import Artifact, Recommender, attributes_of, places_new
from flyball.tasks.recommend.declaration import Recommend, former_attributes
from flyball.tasks.recommend.declaration import attributes_of as fields_of
from flyball.tasks.recommend.item_index import ItemCatalog


def fold_in_items(task: Recommend, artifact: Artifact, model: Recommender, catalog: ItemCatalog | None) -> Artifact:
    """The artifact with newer items of the catalog after its own; unchanged if the model cannot fold items in.

    Items without interactions have a `fallback_support` of 0 and so remain cold items.
    """
    if catalog is None or not places_new(model):
        return artifact
    unfitted = [index for index, item in enumerate(catalog.ids) if item not in artifact.index]
    if not unfitted:
        return artifact
    columns = {}
    names = {field: field for field in fields_of(task.item)} | former_attributes(task.item)
    for name, field in names.items():  # an artifact uses the names of attributes at the time of learning
        values = catalog.attributes(field)
        columns[name] = [values[row] for row in unfitted]
    arrays = model.place_new(artifact.arrays, attributes_of(len(unfitted), columns, least=1))
    support = np.concatenate([artifact.arrays["fallback_support"], np.zeros(len(unfitted), np.int32)])
    items = [*artifact.items, *(catalog.ids[row] for row in unfitted)]
    return msgspec.structs.replace(
        artifact,
        arrays={**arrays, "fallback_support": support},
        items=items,
        index={item: index for index, item in enumerate(items)},
    )
