"""The interface follows the task: its request type, its paths and lookups, and a document that generators can read."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import msgspec
import pytest

import flyball as fb
from flyball import ItemKNN
from flyball.core import BadDeclaration, ManualStopwatch, SystemClock, new_id, parse_timestamp
from flyball.events import EventBatch
from flyball.runtime import Runtime
from flyball.serving import Service, event_intake, make_app
from flyball.serving.http.documents import AnswerDocument
from flyball.serving.versions.refresher import titles_of
from flyball.tasks import Request
from flyball.testing import faulty

pytestmark = pytest.mark.anyio

NOW_US = faulty.START_US + 2 * faulty.DAY_US


@pytest.fixture
async def caller(home: Runtime, call: Any) -> AsyncIterator[Any]:
    faulty.release(home, ItemKNN(), NOW_US)
    async with call(home) as caller:
        await caller.until(lambda: "v1" in caller.service.engine.serving.pipelines)
        yield caller


async def test_several_requests_in_one_body_are_answered_in_order(caller: Any) -> None:
    body = [{"user": user, "k": 2} for user in (7, 3, 9)]
    answers = (await caller.client.post("/v1/recommend", json=body)).json()
    assert [answer["user"] for answer in answers] == ["7", "3", "9"]
    assert [len(answer["items"]) for answer in answers] == [2, 2, 2]
    assert len({answer["prediction"] for answer in answers}) == 3
    single = (await caller.client.post("/v1/recommend", json=body[1])).json()
    assert single["items"] == answers[1]["items"]


@pytest.mark.parametrize("body", [[], [{"user": 7}, {"user": "x"}], [{"user": 7}] * 101, [7]])
async def test_a_body_with_a_request_that_is_malformed_or_too_many_is_a_400(caller: Any, body: list[Any]) -> None:
    answer = await caller.client.post("/v1/recommend", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_lists_of_the_query_are_given_by_commas_or_repeatedly(caller: Any) -> None:
    whole = (await caller.get("/v1/recommend?user=7&k=10")).json()["items"]
    first, second = (item["item"] for item in whole[:2])
    for query in (f"without={first},{second}", f"without={first}&without={second}"):
        items = (await caller.get(f"/v1/recommend?user=7&k=10&{query}")).json()["items"]
        assert not {first, second} & {item["item"] for item in items}
    years = "&".join(f"include.year=198{last}" for last in range(10))
    assert len((await caller.get(f"/v1/recommend?user=7&k=10&{years}")).json()["items"]) > 1


@pytest.fixture
def schema_parts() -> Any:
    def parts(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            yield node
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from parts(child)

    return parts


async def test_generators_of_clients_can_read_the_document(caller: Any, schema_parts: Any) -> None:
    document = (await caller.get("/openapi.json")).json()
    assert document["servers"] == [{"url": "/"}]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(id.isidentifier() for id in ids)
    for path, methods in document["paths"].items():
        named = {part.partition("}")[0] for part in path.split("{")[1:]}
        for operation in methods.values():
            assert {each["name"] for each in operation["parameters"] if each["in"] == "path"} == named, path
    for part in schema_parts(document):
        assert part.get("items") is not False
        assert "prefixItems" not in part
        if part.get("type") == "array":
            assert isinstance(part["items"], dict)


async def test_the_document_says_what_is_sent_and_what_comes_back(caller: Any) -> None:
    document = (await caller.get("/openapi.json")).json()
    request = document["components"]["schemas"]["Request"]
    assert (request["required"], set(request["properties"])) == (
        ["user"],
        {"user", "k", "include", "exclude", "without"},
    )
    assert request["properties"]["user"]["type"] == "integer"
    parameters = {each["name"]: each for each in document["paths"]["/v1/recommend"]["get"]["parameters"]}
    assert parameters["include.genres"]["schema"]["type"] == "array", "may be repeated"
    assert parameters["user"]["required"]
    answer = document["components"]["schemas"]["Answer"]["properties"]
    assert answer["user"]["type"] == "string", "ids come back as text"
    got = (await caller.get("/v1/recommend?user=7")).json()
    required = {*document["components"]["schemas"]["Answer"]["required"]}
    assert required <= got.keys() <= answer.keys()
    ready = (await caller.get("/readyz")).json()
    assert ready.keys() == {*document["components"]["schemas"]["Readiness"]["required"]}
    assert document["paths"]["/v1/events"]["post"]["security"] == [{}, {"key": ["write-events"]}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    watch = document["components"]["schemas"]["Watch"]
    assert (watch["required"], watch["properties"]["at"]["type"]) == (["user", "film"], ["string", "integer"])
    assert got["items"][0].keys() <= answer["items"]["items"]["properties"].keys()


def declared(paths: Any) -> fb.App:
    app = faulty.app
    return fb.App("own", events=app.events, task=app.task, candidates={"popular": fb.Popular()}, paths=paths)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["GET /x"], "paths of App 'own' must be renderings by method and path"),
        ({"GET x": "json"}, "path 'GET x' of App 'own' must be GET or POST and a path"),
        ({"PUT /x": "json"}, "must be GET or POST and a path"),
        ({"GET /v1/x": "json"}, "must be none of Flyball's own"),
        ({"GET /docs": "json"}, "must be none of Flyball's own"),
        (
            {"GET /x/{user}": "xml"},
            "rendering of path 'GET /x/{user}' of App 'own' must be one of json, lines",
        ),
        ({"GET /x/{usr}": "json"}, "must be one of the request's (user, k, include, exclude, without), got 'usr'"),
        ({"GET /recommend/{user}": "json"}, "must be another one than all others"),
        ({"GET /x/{user}": "json", "GET /x/{k}": "json"}, "must be another one than all others"),
    ],
)
def test_a_path_that_cannot_be_is_refused_when_it_is_declared(paths: Any, message: str) -> None:
    with pytest.raises(BadDeclaration, match=re.escape(message)):
        declared(paths)


async def test_an_application_has_paths_of_its_own(home: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    paths = {"GET /for/{user}/now": "json", "POST /lists": "json", "GET /ids/{user}": "lines", "POST /most/{k}": "json"}
    monkeypatch.setattr(home.app, "paths", declared(paths).paths)
    service = Service(home, "test", random.Random(1), clock=SystemClock(), stopwatch=ManualStopwatch())
    app = make_app(service)
    await service.start()
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
            async with asyncio.timeout(60):
                while service.refresher.unready():
                    await asyncio.sleep(0.01)
            plain = await client.get("/ids/7")
            assert plain.headers["content-type"].startswith("text/plain")
            items = plain.text.split(",")
            assert len(items) == 5
            assert [item["item"] for item in (await client.get("/for/7/now")).json()["items"]] == items
            posted = (await client.post("/lists", json={"user": 7, "k": 2})).json()
            assert [item["item"] for item in posted["items"]] == items[:2]
            assert len((await client.post("/most/3", json={"user": 7})).json()["items"]) == 3
            assert (await client.post("/lists", json=[{"user": 7}])).status_code == 400
            assert (await client.get("/recommend/7")).text.split(",") == items, "the task's own path stays"
            assert (await client.get("/for/0/now")).status_code == 400
            assert {"/for/{user}/now", "/lists", "/ids/{user}"} <= (await client.get("/openapi.json")).json()[
                "paths"
            ].keys()
    finally:
        await service.stop()


async def test_a_rendering_that_there_is_not_is_refused_at_the_start(home: Runtime) -> None:
    service = Service(home, "test", random.Random(1))
    service.about = msgspec.structs.replace(service.about, paths={"GET /x/{user}": "xml"})
    with pytest.raises(BadDeclaration, match="rendering of path 'GET /x/{user}' must be one of json, lines, got 'xml'"):
        make_app(service)


async def test_requests_of_a_declared_type_become_events_once(caller: Any, home: Runtime) -> None:
    at_us = caller.service.clock.now_us()
    event = faulty.Watch(at=at_us, user=7, film="film-3")
    before = sum(home.log.ends())
    caller.service.intake.note_request(Request(new_id(at_us, random.Random(1)), "7", at_us, event))
    await caller.until(lambda: sum(home.log.ends()) == before + 1)
    sent = {"type": "watch", "user": 7, "film": "film-3", "at": at_us}
    answer = (
        await caller.client.post("/v1/events", content=json.dumps(sent), headers={"content-type": "application/json"})
    ).json()
    assert (answer["accepted"], answer["duplicate"]) == (0, 1)


async def test_requests_answered_together_share_an_append(
    caller: Any, home: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake, at_us, before = caller.service.intake, caller.service.clock.now_us(), sum(home.log.ends())
    ingest, batches = event_intake.ingest_batch, list[int]()

    def counted(batch: EventBatch, *more: Any) -> None:
        batches.append(len(batch.at))
        ingest(batch, *more)

    monkeypatch.setattr(event_intake, "ingest_batch", counted)
    for number in range(20):
        event = faulty.Watch(at=at_us + number, user=8, film="film-3")
        intake.note_request(Request(new_id(at_us, random.Random(number)), "8", at_us + number, event))
    await caller.until(lambda: sum(home.log.ends()) == before + 20)
    assert batches == [20]


async def test_requests_become_events_whatever_the_application_declares_for_lines(
    home: Runtime, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home.app, "formats", fb.columns(unit="s", read={"at": lambda text: text}))
    async with call(home) as caller:
        at_us, before = caller.service.clock.now_us() + 7, sum(home.log.ends())
        event = faulty.Watch(at=at_us, user=7, film="film-3")
        caller.service.intake.note_request(Request(new_id(at_us, random.Random(1)), "7", at_us, event))
        await caller.until(lambda: sum(home.log.ends()) > before or sum(home.quarantine.counts().values()) > 0)
    assert home.quarantine.counts() == {}
    pieces = home.log.read((0,) * len(home.log.ends()), 10**6)
    assert max(record.at for piece in pieces for record in piece.records) == at_us


async def test_a_request_that_may_be_no_event_waits_in_quarantine_as_a_line(home: Runtime, call: Any) -> None:
    async with call(home) as caller:
        at_us = caller.service.clock.now_us()
        event = faulty.Watch(at=at_us, user=7, film="f" * 401)  # longer than a key may be
        caller.service.intake.note_request(Request(new_id(at_us, random.Random(1)), "7", at_us, event))
        await caller.until(lambda: sum(home.quarantine.counts().values()) > 0)
    (entry,) = home.quarantine.list()
    assert (entry.reason, entry.source, entry.format, entry.position) == ("bad_text", "requests", "jsonl", 1)
    line = json.loads(entry.raw)
    assert (line["type"], line["user"], line["film"]) == ("watch", 7, "f" * 401)
    assert parse_timestamp(line["at"]) == at_us


class FakeCatalog:
    ids = ["a", "b", "c"]

    def attributes(self, field: str) -> list[Any]:
        return {"genres": [["x"], [], []], "title": ["The A", None, ""]}[field]


async def test_items_carry_their_titles_where_profiles_have_one(caller: Any) -> None:
    from typing import Annotated

    import flyball as fb

    class Entry(fb.Profile):
        film: Annotated[str, fb.Ref("film")]
        genres: list[str] = []
        title: str | None = None

    titles = titles_of(FakeCatalog(), fb.Entity("film", profile=Entry))  # type: ignore[arg-type]
    assert titles == {"a": "The A"}
    assert titles_of(FakeCatalog(), fb.Entity("film")) == {}  # type: ignore[arg-type]
    prediction = caller.service.engine.from_fallback(caller.service.requests.plain("7"))
    shown = msgspec.structs.replace(prediction, items=["b", "a"], scores=[1.0, 0.5], sources=["model"] * 2)
    items = AnswerDocument(caller.service.about, caller.service.runtime.value_names).of(shown, titles)["items"]
    assert [item.get("title") for item in items] == [None, "The A"]
    assert [item["item"] for item in items] == ["b", "a"]
