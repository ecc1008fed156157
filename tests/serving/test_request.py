"""Requests as clients send them."""

import random
from typing import Annotated

import pytest
from starlette.requests import Request as HttpRequest

import flyball as fb
from flyball.core import BadInput, ManualClock
from flyball.serving.answering.request import RequestReader
from flyball.serving.http.decoding import fields_of_query


class Asked(fb.Event):
    user: Annotated[int, fb.Ref("user")]
    land: Annotated[str, fb.renamed("country")] = "de"


def test_a_request_may_name_a_field_as_before_its_rename() -> None:
    reader = RequestReader(Asked, ManualClock(5), random.Random(1))
    assert reader.read({"user": "7", "country": "fr"}).event == Asked(at=5, user=7, land="fr")
    assert reader.read({"user": "7", "land": "fr"}).event == Asked(at=5, user=7, land="fr")
    with pytest.raises(BadInput, match="field must be one of user, land, got 'nation'"):
        reader.read({"user": 7, "nation": "fr"})
    with pytest.raises(BadInput, match="field land must be given once, by its present or a former name, got 'country'"):
        reader.read({"user": 7, "land": "de", "country": "fr"})


def test_so_may_the_query_of_a_url() -> None:
    def fields(query: bytes) -> dict[str, object]:
        return fields_of_query(HttpRequest({"type": "http", "headers": [], "query_string": query}), Asked)

    assert fields(b"user=7&country=fr") == {"user": "7", "country": "fr"}
    assert fields(b"user=7&land=fr") == {"user": "7", "land": "fr"}
    with pytest.raises(BadInput, match="parameter must be one of user, land, got 'nation'"):
        fields(b"user=7&country=fr&nation=fr")
