"""Three formats need no declaration, and `columns` makes the same three for a source that writes in another way."""

import json
from datetime import timedelta, timezone
from typing import Any

import pytest

from flyball.core import BadDeclaration, NotFound
from flyball.events import FORMATS, Format, columns, find_format
from flyball.testing.movie_events import movie_schema

NOON_US = 1_668_427_200_000_000


def times(form: Format, name: str, at: object) -> list[int | None]:
    """The times of one watch, as a line of JSON or two of CSV."""
    row = {"at": at, "user": 7, "film": "up", "minute": 3}
    lines = [json.dumps(row)] if name == "jsonl" else [",".join(row), ",".join(map(str, row.values()))]
    parsed = form.parser(movie_schema()).parse([line.encode() for line in lines])
    assert parsed.bad == []
    return [at for batch in parsed.batches for at in batch.at]


def test_the_same_names_with_and_without_a_declaration() -> None:
    assert list(FORMATS) == list(columns()) == ["jsonl", "csv", "parquet"]
    for name, form in columns().items():
        assert type(form) is type(FORMATS[name])
        assert find_format(name, {}) is FORMATS[name]
        assert find_format(name, {name: form}) is form, "the application's own wins"
    with pytest.raises(NotFound, match="csv, jsonl, parquet"):
        find_format("xml", {})


@pytest.mark.parametrize("name", ["jsonl", "csv"])
@pytest.mark.parametrize(
    ("how", "at"),
    [
        ({}, "2022-11-14T12:00:00"),
        ({"zone": "Europe/Berlin"}, "2022-11-14T13:00:00"),
        ({"zone": timezone(timedelta(hours=-5))}, "2022-11-14T07:00:00"),
        ({"zone": "Europe/Berlin"}, "2022-11-14T12:00:00Z"),
        ({"unit": "s"}, NOON_US // 10**6),
        ({"unit": "ms"}, NOON_US // 10**3),
        ({"unit": "us"}, NOON_US),
        ({"at_format": "%d.%m.%Y %H.%M"}, "14.11.2022 12.00"),
        ({"at_format": "%d.%m.%Y %H.%M", "zone": "Europe/Berlin"}, "14.11.2022 13.00"),
    ],
)
def test_what_is_declared_holds_for_every_format(name: str, how: dict[str, Any], at: object) -> None:
    assert times(columns(**how)[name], name, at) == [NOON_US]


@pytest.mark.parametrize(
    ("how", "argument"),
    [
        ({"zone": "Mars"}, "zone"),
        ({"unit": "hours"}, "unit"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"decimal": "x"}, "decimal"),
        ({"rename": ["a"]}, "rename"),
        ({"read": {"at": 5}}, "read"),
    ],
)
def test_a_wrong_argument_is_named(how: dict[str, Any], argument: str) -> None:
    with pytest.raises(BadDeclaration, match=argument):
        columns(**how)
