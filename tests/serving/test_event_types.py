"""Keys that may send some types of events alone: what is taken of a request, what is refused and kept nowhere."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.serving.locked import bearer, lock_home, refresh

from flyball.core import SystemClock
from flyball.registry import revoke_access_key
from flyball.runtime import Runtime

pytestmark = pytest.mark.anyio

WATCH, RATE = {"type": "watch", "user": 7, "film": "film-3"}, {"type": "rate", "user": 7, "film": "film-3", "stars": 5}
CARD = {"type": "card", "film": "film-3", "genres": ["drama"]}
PAGE = "https://shop.example"
JSON, LINES = "application/json", "application/x-ndjson"


class Sender:
    """Sends events with the key of a page that may send watches alone."""

    def __init__(self, caller: Any, admin: str) -> None:
        self.caller, self.admin, self.headers = caller, bearer(admin), dict[str, str]()

    async def make_key(self, **more: object) -> dict[str, Any]:
        body = {"roles": ["serve", "write-events"], "origins": [PAGE], "event_types": ["watch"]} | more
        made = await self.caller.client.post("/v1/keys", json=body, headers=self.admin)
        assert made.status_code == 201, made.text
        refresh(self.caller.service)
        key: dict[str, Any] = made.json()
        self.headers = bearer(key["key"], origin=PAGE)
        return key

    async def post(self, content: Any, content_type: str = JSON, query: str = "", **headers: str) -> Any:
        sent = {"json": content} if content_type == JSON and not isinstance(content, bytes) else {"content": content}
        more = self.headers | {"content-type": content_type} | headers
        return await self.caller.client.post(f"/v1/events{query}", headers=more, **sent)

    def kept(self) -> tuple[int, int]:
        """(events in the log, lines in quarantine)."""
        runtime = self.caller.service.runtime
        return sum(runtime.log.ends()), sum(runtime.quarantine.counts().values())


@pytest.fixture
async def sender(home: Runtime, call: Any) -> AsyncIterator[Sender]:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        sender = Sender(caller, keys["admin"])
        await sender.make_key(name="sends")
        yield sender


@pytest.mark.parametrize(
    ("content", "content_type", "query", "got"),
    [
        (RATE, JSON, "", "got rate"),
        ([RATE, CARD], JSON, "", "got rate"),
        (CARD, JSON, "", "got card"),
        (RATE | {"stars": 9}, JSON, "", "got rate"),
        (RATE | {"at": "soon"}, JSON, "", "got rate"),
        ({"user": 7, "film": "film-3", "stars": 5}, JSON, "", "got rate"),
        ({"type": "refund", "user": 7}, JSON, "", "none that can be read: type must be one of watch, rate"),
        ({"type": ["watch"], "user": 7, "film": "film-3"}, JSON, "", "none that can be read"),
        (b'{"type":"watch","user":7,', JSON, "", "none that can be read: line must be JSON"),
        (b'{"type":"rate","type":"rate","user":7,"film":"film-3","stars":5}\n', LINES, "", "got rate"),
        (b"user,film,stars\n7,film-3,5\n7,film-3\n", "text/plain", "?format=csv", "got rate"),
        (b"film,genres\nfilm-3,drama\n", "text/csv", "?format=csv", "got card"),
    ],
)
async def test_an_event_of_another_type_is_refused_and_kept_nowhere(
    sender: Sender, content: Any, content_type: str, query: str, got: str
) -> None:
    before = sender.kept()
    refused = await sender.post(content, content_type, query)
    document = refused.json()
    assert refused.status_code == 403, refused.text
    assert document["detail"].startswith("key sends (")
    assert "may not send this: not_allowed: event type must be watch, got " in document["detail"]
    assert got in document["detail"]
    assert (document["type"], document["not_allowed"]) == ("/docs#not-allowed", len(document["events"]))
    assert sender.kept() == before


async def test_of_several_events_those_of_its_type_are_taken(sender: Sender) -> None:
    events, quarantined = sender.kept()
    mixed = await sender.post([WATCH, RATE, WATCH | {"film": "film-4"}, {"type": "x"}])
    assert mixed.status_code == 207
    assert [event["verdict"] for event in mixed.json()["events"]] == [
        "accepted",
        "not_allowed",
        "accepted",
        "not_allowed",
    ]
    assert (mixed.json()["accepted"], mixed.json()["not_allowed"], mixed.json()["quarantined"]) == (2, 2, 0)
    assert sender.kept() == (events + 2, quarantined)
    lines = b'{"type":"watch","user":8,"film":"film-4"}\n{"type":"rate","user":8,"film":"film-4","stars":1}\n'
    assert (await sender.post(lines, LINES)).status_code == 207
    assert sender.kept() == (events + 3, quarantined)
    csv = b"user,film\n9,film-1\n9,film-2\n"
    assert (await sender.post(csv, "text/plain", "?format=csv")).json()["accepted"] == 2
    counters = sender.caller.service.metrics.counters
    counted = {verdict: counters.get(f"events|{verdict}") for verdict in ("accepted", "not_allowed")}
    assert counted == {"accepted": 5, "not_allowed": 3}


async def test_a_bad_event_of_its_type_goes_to_quarantine(sender: Sender) -> None:
    events, quarantined = sender.kept()
    for bad in (WATCH | {"user": "x"}, WATCH | {"at": "soon"}):
        assert (await sender.post(bad)).status_code == 422
    assert sender.kept() == (events, quarantined + 2)


async def test_a_refused_event_leaves_its_id_to_whoever_may_send_it(sender: Sender) -> None:
    assert (await sender.post(RATE | {"id": "r1"})).status_code == 403
    assert (await sender.post(RATE, **{"idempotency-key": "r2"})).status_code == 403
    await sender.make_key(event_types=["rate", "watch"], name="other")
    assert (await sender.post(RATE | {"id": "r1"})).json()["accepted"] == 1
    assert (await sender.post(RATE, **{"idempotency-key": "r2"})).json()["accepted"] == 1


async def test_a_key_without_types_sends_all_and_one_of_a_page_says_so(sender: Sender) -> None:
    made = await sender.make_key(event_types=[], name="all")
    assert made["event_types"] == []
    assert "send events of all types with it (watch, rate, viewer, card)" in made["warning"]
    assert (await sender.post([WATCH, RATE, CARD])).json()["accepted"] == 3
    assert "warning" not in await sender.make_key(name="bounded")


async def test_types_say_nothing_of_a_key_that_is_revoked_or_expired(sender: Sender) -> None:
    registry, now_us = sender.caller.service.runtime.registry, SystemClock().now_us()
    revoke_access_key(registry, "sends", "ann", "", now_us)
    refresh(sender.caller.service)
    assert [(await sender.post(event)).status_code for event in (WATCH, RATE)] == [401, 401]
    await sender.make_key(name="short", expires="1us")
    assert [(await sender.post(event)).status_code for event in (WATCH, RATE)] == [401, 401]


async def test_what_a_key_may_send_is_listed_in_the_audit_trail_and_in_the_document(sender: Sender) -> None:
    client = sender.caller.client
    keys = (await client.get("/v1/keys", headers=sender.admin)).json()["keys"]
    (listed,) = [key for key in keys if key["id"] in sender.headers["authorization"]]
    assert listed["event_types"] == ["watch"]
    made = (await client.get("/v1/audit", headers=sender.admin)).json()["actions"][-1]
    assert (made["action"], made["after"]["event_types"]) == ("keys create", ["watch"])
    document = (await client.get("/openapi.json", headers=sender.admin)).json()
    body = document["paths"]["/v1/keys"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["event_types"]["items"]["enum"] == ["watch", "rate", "viewer", "card"]
    assert "event type" in document["paths"]["/v1/events"]["post"]["responses"]["403"]["description"]
    assert "not_allowed" in document["components"]["schemas"]["Summary"]["properties"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"roles": ["write-events"], "event_types": ["x"]}, "must be of watch, rate, viewer, card, got 'x'"),
        ({"roles": ["serve"], "event_types": ["watch"]}, "must be those of a key with write-events"),
        ({"roles": ["admin"], "event_types": ["watch"]}, "without admin, which may send all, got admin"),
        ({"roles": ["write-events"], "event_types": "watch"}, "field event_types must be"),
    ],
)
async def test_types_that_a_key_cannot_have_are_said(sender: Sender, body: dict[str, Any], words: str) -> None:
    answer = await sender.caller.client.post("/v1/keys", json=body, headers=sender.admin)
    assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text
