"""Which entities a response names: its request, and what it shows."""

from collections.abc import Callable, Iterator

from flyball.events import read_type
from flyball.outcomes.prediction import Prediction
from flyball.tasks import About

NamedIn = Callable[[Prediction], Iterator[tuple[str, str]]]
"""The (entity, id) that a response names; some of them twice."""


def named_in(about: About) -> NamedIn:
    """What responses of a task name."""
    declared = read_type(about.request)
    key_entity = declared.refs[0][1] if declared.refs else ""

    def named(prediction: Prediction) -> Iterator[tuple[str, str]]:
        yield key_entity, prediction.key
        for name, entity in declared.refs:
            value = prediction.request.get(name)
            if value is not None:
                yield entity, str(value)
        for name, entity in declared.list_refs:
            members = prediction.request.get(name)
            yield from ((entity, str(member)) for member in (members if isinstance(members, list | tuple) else ()))
        if about.items:
            for items in (prediction.items, *(team.items for team in prediction.teams)):
                yield from ((about.items, item) for item in items)

    return named
