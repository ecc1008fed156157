"""What is sent again over HTTP under its key or id: in the log once, with the verdict of a duplicate."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from flyball.runtime import Runtime
from flyball.testing import faulty

pytestmark = pytest.mark.anyio

WATCH = {"type": "watch", "user": 7, "film": "film-3"}


@pytest.fixture
async def caller(home: Runtime, call: Any) -> AsyncIterator[Any]:
    async with call(home, wait=False) as caller:
        yield caller


async def send(caller: Any, body: object, key: str | None = None) -> tuple[int, list[str]]:
    """The status, and what came of each event."""
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await caller.client.post("/v1/events", json=body, headers=headers)
    return answer.status_code, [event.get("reason", event["verdict"]) for event in answer.json().get("events", [])]


async def test_a_request_that_comes_again_under_its_key_adds_nothing(caller: Any, home: Runtime) -> None:
    before = sum(home.log.ends())
    assert await send(caller, [WATCH, WATCH], "k-1") == (200, ["accepted"] * 2)
    assert await send(caller, [WATCH, WATCH], '"k-1"') == (200, ["duplicate"] * 2)  # in quotes, as the draft has it
    assert await send(caller, [WATCH, {**WATCH, "film": "film-4"}], "k-1") == (207, ["duplicate", "conflict"])
    assert await send(caller, {**WATCH, "film": "film-4"}, "k-1") == (422, ["conflict"])
    assert sum(home.log.ends()) == before + 2
    assert {entry.reason for entry in home.quarantine.list()} == {"conflict"}


async def test_the_id_of_an_event_is_the_same_under_any_key(caller: Any) -> None:
    event = {**WATCH, "id": "3f6e"}
    assert await send(caller, event) == (200, ["accepted"])
    assert await send(caller, [{**event, "at": 1_793_986_789_000_000}, event], "k") == (200, ["duplicate"] * 2)
    answer = await caller.client.post("/v1/events", json=event)
    assert "ignored" not in answer.json()


@pytest.mark.parametrize("keys", [[""], ["a\tb"], ["x" * 201], ["a", "b"]])
async def test_what_is_no_key_is_a_400(caller: Any, keys: list[str]) -> None:
    headers = [("Idempotency-Key", key) for key in keys]
    answer = await caller.client.post("/v1/events", json=WATCH, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("header Idempotency-Key must be ")


async def test_a_request_that_is_an_event_is_answered_again_and_appended_once(
    caller: Any, home: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = caller.service
    monkeypatch.setattr(service, "takes_in", True)
    noted: list[bytes] = []
    real = service.intake.note_request

    def note(request: Any) -> None:
        noted.append(request.name)
        event = faulty.Watch(at=request.at_us, user=int(request.key), film="film-3")
        real(msgspec.structs.replace(request, event=event))

    monkeypatch.setattr(service.intake, "note_request", note)
    before = sum(home.log.ends())
    headers = {"Idempotency-Key": "k"}
    answers = [await caller.client.post("/v1/recommend", json={"user": 7}, headers=headers) for _ in range(2)]
    several = [{"user": 7}, {"user": 8}]
    for _ in range(2):
        answers.append(await caller.client.post("/v1/recommend", json=several, headers=headers))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert answers[0].json()["prediction"] != answers[1].json()["prediction"]
    assert len(noted) == 6
    assert len(set(noted)) == 3
    await caller.until(lambda: sum(home.log.ends()) == before + 3)
    assert home.quarantine.counts() == {}


async def test_the_document_names_the_header_and_the_id(caller: Any) -> None:
    document = (await caller.get("/openapi.json")).json()
    (header,) = [part for part in document["paths"]["/v1/events"]["post"]["parameters"] if part["in"] == "header"]
    assert (header["name"], header["required"]) == ("Idempotency-Key", False)
    schemas = document["components"]["schemas"]
    assert "id" in schemas["Watch"]["properties"]
    assert "id" not in schemas["Viewer"]["properties"]
