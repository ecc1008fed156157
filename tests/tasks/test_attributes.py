"""Training data holds what was known of the items at its time."""

from types import SimpleNamespace

from flyball.tasks import build_interactions


def values_of(films: SimpleNamespace, rows: list[tuple[object, ...]], as_of_us: int) -> dict[str, set[str]]:
    data = build_interactions(films.frames(rows), films.task(), films.schema, as_of_us)
    known = data.attributes
    assert known is not None
    return {
        item: {known.names[value] for value in known.index[known.indptr[place] : known.indptr[place + 1]]}
        for place, item in enumerate(data.items)
    }


def test_the_latest_profile_known_then_counts(films: SimpleNamespace) -> None:
    rows: list[tuple[object, ...]] = [
        ("card", "a", ["drama", "war"], 1990, 1, 1),
        ("card", "b", ["drama"], 1990, 2, 2),
        ("card", "c", ["war"], 1991, 3, 3),
        ("rate", 1, "a", 5, 10, 10),
        ("card", "c", ["drama"], 1990, 50, 50),
    ]
    drama, war, year = "genres=drama", "genres=war", "year=1990"
    assert values_of(films, rows, 20) == {"a": {drama, war, year}, "b": {drama, year}, "c": {war}}
    assert values_of(films, rows, 60) == {"a": {drama, year}, "b": {drama, year}, "c": {drama, year}}


def test_without_profiles_there_are_none(films: SimpleNamespace) -> None:
    data = build_interactions(films.frames([("rate", 1, "a", 5, 10, 10)]), films.task(), films.schema, 20)
    assert data.attributes is None or not len(data.attributes.index)
