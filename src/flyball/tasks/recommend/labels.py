"""The labels of a recommendation task: the outcomes of a user and an item in its declaration."""

from collections.abc import Sequence

from flyball.features import Entity
from flyball.policy import AnyOf, Outcome, Value, outcomes_of
from flyball.tasks.about import Label
from flyball.tasks.labels import references

DAY_US = 86_400_000_000

POSITIVE, WEAK_POSITIVE, NEGATIVE, RATING, ADOPTED = "positive", "weak_positive", "negative", "rating", "adopted"
"""Names of labels. An item is adopted at the first event that counts toward a positive or a weak positive of it."""


def recommend_labels(
    user: Entity,
    item: Entity,
    positive: Outcome | AnyOf,
    weak_positive: Outcome | AnyOf | None = None,
    negative: Outcome | AnyOf | None = None,
    rating: Value | None = None,
) -> tuple[Label, ...]:
    """The labels by user and item; a name with several labels holds if any of them does.

    A rating counts within the longest declared `within`, or within a day if there is none.
    """
    entities = (user.name, item.name)
    declared = ((POSITIVE, positive), (WEAK_POSITIVE, weak_positive), (NEGATIVE, negative))
    outcomes = [(name, outcome) for name, either in declared for outcome in outcomes_of(either)]
    labels = [_label(name, outcome, entities, outcome.at_least) for name, outcome in outcomes]
    if rating is not None:
        labels.append(
            Label(
                name=RATING,
                event=rating.event,
                by=_fields(rating.event, entities),
                value=rating.expression,
                within_us=max((outcome.within_us for _, outcome in outcomes), default=DAY_US),
                otherwise=None,
            )
        )
    return (*labels, *_adopted([outcome for name, outcome in outcomes if name != NEGATIVE], entities))


def _adopted(outcomes: Sequence[Outcome], entities: tuple[str, str]) -> list[Label]:
    """One label for each event and filter, with the longest of its windows."""
    longest: dict[tuple[type, str | None], Outcome] = {}
    for outcome in outcomes:
        key = (outcome.event, None if outcome.where is None else outcome.where.text())
        if key not in longest or outcome.within_us > longest[key].within_us:
            longest[key] = outcome
    return [_label(ADOPTED, outcome, entities, 1) for outcome in longest.values()]


def _label(name: str, outcome: Outcome, entities: tuple[str, str], at_least: int) -> Label:
    return Label(
        name=name,
        event=outcome.event,
        by=_fields(outcome.event, entities),
        where=outcome.where,
        at_least=at_least,
        within_us=outcome.within_us,
    )


def _fields(event: type, entities: Sequence[str]) -> tuple[str, ...]:
    """The first field of the event that refers to each entity, or the name of the entity if no field does."""
    fields = {entity: field for field, entity in reversed(references(event).items())}
    return tuple(fields.get(entity, entity) for entity in entities)
