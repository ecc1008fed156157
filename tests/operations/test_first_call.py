"""The first request that `flyball up` prints works when it is pasted: it passes the checks of the request's type."""

import random
from enum import Enum
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

import pytest

import flyball as fb
from flyball.app import load_app
from flyball.core import ManualClock
from flyball.operations.first_call import first_call
from flyball.serving import RequestReader
from flyball.tasks import About

URL = "http://127.0.0.1:8082"


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Parcel(fb.Event):
    parcel: Annotated[int, fb.Ref("parcel"), fb.integer(1_000, 9_999)]
    depot: Annotated[str, fb.Ref("depot"), fb.text(pattern=r"\A[A-Z]{2}\Z")]
    size: Size
    speed: Literal["slow", "fast"]
    fragile: bool
    share: Annotated[float, fb.real(0, 0.5)]
    note: str | None = None


class Sealed(fb.Event):
    parcel: Annotated[str, fb.Ref("parcel"), fb.text(pattern=r"\A[0-9a-f]{32}\Z")]


def fields_in(call: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(call.split('"')[1]).query))


def test_a_list_is_asked_for_by_the_short_path() -> None:
    assert first_call(load_app("movies").task.about, URL) == f"curl {URL}/recommend/1"


@pytest.mark.parametrize("name", ["delivery", "fraud"])
def test_a_prediction_gets_every_required_field(name: str) -> None:
    about = load_app(name).task.about
    call = first_call(about, URL)
    assert call.startswith(f'curl "{URL}/v1/predict?')
    event = about.request.__name__.lower()
    assert call.endswith(f'&dry=true", of which nothing is kept; without dry=true it becomes an event {event}')
    fields = fields_in(call)
    assert fields.pop("dry") == "true"
    RequestReader(about.request, ManualClock(5), random.Random(1)).read(fields, strict=False)


def test_values_are_ones_that_the_fields_accept() -> None:
    call = first_call(About(kind="route", request=Parcel), URL)
    assert fields_in(call) == {
        "parcel": "1000",
        "depot": "AA",
        "size": "small",
        "speed": "fast",
        "fragile": "true",
        "share": "0.5",
    }
    RequestReader(Parcel, ManualClock(5), random.Random(1)).read(fields_in(call), strict=False)


def test_where_no_value_can_be_made_up_the_page_of_calls_is_named() -> None:
    assert first_call(About(kind="route", request=Sealed), URL) == f"{URL}/docs, which lists all calls"
