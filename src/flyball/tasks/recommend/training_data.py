"""Conversion of interactions to arrays and texts that processes share, and back."""

from flyball.models import Attributes, Interactions
from flyball.tasks.task import TrainingData

_ARRAYS = ("user_index", "item_index", "weights", "ratings", "at_us", "user_group")
_TEXTS = ("users", "items", "groups")


def training_data(data: Interactions) -> TrainingData:
    """The interactions as training data."""
    arrays = {name: getattr(data, name) for name in _ARRAYS}
    texts = {name: getattr(data, name) for name in _TEXTS}
    if data.attributes is not None:
        arrays |= {"value_ptr": data.attributes.indptr, "values": data.attributes.index}
        texts["values"] = data.attributes.names
    return TrainingData(arrays, texts, data.as_of_us)


def interactions_of(data: TrainingData) -> Interactions:
    """The interactions in training data; arrays are not copied."""
    attributes = None
    if "values" in data.texts:
        attributes = Attributes(data.texts["values"], data.arrays["value_ptr"], data.arrays["values"])
    arrays, texts = data.arrays, data.texts
    return Interactions(
        users=texts["users"],
        items=texts["items"],
        user_index=arrays["user_index"],
        item_index=arrays["item_index"],
        weights=arrays["weights"],
        ratings=arrays["ratings"],
        at_us=arrays["at_us"],
        user_group=arrays["user_group"],
        groups=texts["groups"],
        as_of_us=data.as_of_us,
        attributes=attributes,
    )
