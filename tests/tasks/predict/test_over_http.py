"""A prediction over HTTP: one, an array, lines; with reasons; from the level that is left."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from flyball.app import App, load_app
from flyball.core import ManualClock, ManualStopwatch
from flyball.learning import learn
from flyball.operations import catch_up
from flyball.outcomes import records_between
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service, make_app
from flyball.simulation import DAY_US, new_plan, seed_home
from flyball.tasks.featurize import OnlineFeatures

pytestmark = pytest.mark.anyio

FILE = Path(__file__).with_name("city.py")
NOW_US = 1_767_225_600_000_000 + 3 * DAY_US
JSON = {"content-type": "application/json"}
ORDER = {"order": 900_001, "kitchen": "b", "km": 2.0}


def city() -> App:
    return load_app(str(FILE))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("http")
    runtime = Runtime(city(), load_settings(folder), ManualClock(NOW_US))
    seed_home(runtime, new_plan(runtime.app, NOW_US))
    assert learn(runtime, workers=1).released
    catch_up(runtime)
    return folder


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def caller(home: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Service]]:
    runtime = Runtime(city(), load_settings(home), ManualClock(NOW_US))
    service = Service(runtime, "test", random.Random(1), stopwatch=ManualStopwatch())
    app = make_app(service)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    await service.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            async with asyncio.timeout(60):
                while not service.engine.serving.pipelines:
                    await asyncio.sleep(0)
            yield client, service
    finally:
        await service.stop()


def recorded_keys(service: Service) -> set[str]:
    return {record.key for record in records_between(service.runtime.predictions, 0)}


def usual(reply: dict[str, Any]) -> float:
    value: float = reply["values"]["value"]
    return value


async def test_one_an_array_and_lines_get_the_same_answer(caller: tuple[httpx.AsyncClient, Service]) -> None:
    client, _ = caller
    one = (await client.post("/v1/predict", json=ORDER)).json()
    assert (one["level"], one["order"]) == ("champion", "900001")
    assert usual(one) == pytest.approx(38.0, abs=4.0)
    array = (await client.post("/v1/predict", json=[ORDER, ORDER])).json()
    lines = await client.post(
        "/v1/predict",
        content=b"\n".join([json.dumps(ORDER).encode()] * 3),
        headers={"content-type": "application/x-ndjson"},
    )
    replies = [*array, *map(json.loads, lines.text.splitlines())]
    assert [usual(reply) for reply in replies] == [usual(one)] * 5


async def test_a_version_reads_features_before_it_is_in_service(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []
    monkeypatch.setattr(OnlineFeatures, "read", lambda self, keys, at_us: reads.extend(keys))
    runtime = Runtime(city(), load_settings(home), ManualClock(NOW_US))
    service = Service(runtime, "test", random.Random(1), stopwatch=ManualStopwatch())
    assert reads == []
    service.refresher.step()
    assert list(service.engine.serving.pipelines)
    assert reads == [{"kitchen": [("",)]}]


async def test_reasons_add_up_to_the_value(caller: tuple[httpx.AsyncClient, Service]) -> None:
    client, _ = caller
    reply = (await client.post("/v1/predict?reasons=100", json=ORDER)).json()
    (reasons,) = reply["reasons"]
    assert sum(one["value"] for one in reasons) == pytest.approx(usual(reply))
    assert {"km = 2", "kitchen = b", "base"} <= {one["name"] for one in reasons}
    few = (await client.post("/v1/predict?reasons=1", json=ORDER)).json()["reasons"]
    assert few == [[max(reasons, key=lambda one: abs(one["value"]))]]
    by_query = (await client.get("/v1/predict", params={**ORDER, "reasons": 1})).json()
    assert by_query["reasons"] == few
    for wrong in ("0", "many", "1000"):
        assert (await client.post(f"/v1/predict?reasons={wrong}", json=ORDER)).status_code == 400
    assert (await client.post("/v1/predict?reasons=2", json=[ORDER])).status_code == 400


async def test_a_request_that_does_not_fit_the_event_is_reported_where(
    caller: tuple[httpx.AsyncClient, Service],
) -> None:
    client, _ = caller
    for wrong, field in (({**ORDER, "km": "far"}, "km"), ({"order": 1, "km": 1.0}, "kitchen"), ({}, "order")):
        answer = await client.post("/v1/predict", json=wrong)
        assert answer.status_code == 400
        assert field in answer.json()["detail"]


async def test_a_whole_number_beyond_64_bits_is_refused_and_later_answers_are_recorded(
    caller: tuple[httpx.AsyncClient, Service],
) -> None:
    client, service = caller
    for order in (10**30, 1 << 63, -(1 << 63) - 1):
        reply = await client.post("/v1/predict", content=json.dumps({**ORDER, "order": order}).encode(), headers=JSON)
        assert reply.status_code == 400
        assert "order" in reply.json()["detail"]
    last = json.dumps({**ORDER, "order": (1 << 63) - 1}).encode()
    assert (await client.post("/v1/predict", content=last, headers=JSON)).status_code == 200
    async with asyncio.timeout(60):
        while str((1 << 63) - 1) not in recorded_keys(service):
            await asyncio.sleep(0)


async def test_what_cannot_be_recorded_is_dropped_alone(
    caller: tuple[httpx.AsyncClient, Service],
) -> None:
    _, service = caller
    unfit, fine = [service.requests.read({**ORDER, "order": order}) for order in (910_001, 910_002)]
    failures = service.metrics.counters.get("failures|predictions")
    predictions = service.engine.answer([unfit, fine])
    assert service._writer is not None
    for prediction in (msgspec.structs.replace(predictions[0], took_us=0, stale_us=1 << 70), predictions[1]):
        service._writer.put(prediction, 1)
    async with asyncio.timeout(60):
        while fine.key not in recorded_keys(service):
            await asyncio.sleep(0)
    assert service.metrics.counters.get("failures|predictions") == failures + 1
    assert unfit.key not in recorded_keys(service)


async def test_without_a_version_what_is_usual_is_answered(caller: tuple[httpx.AsyncClient, Service]) -> None:
    client, service = caller
    champion = next(iter(service.engine.serving.pipelines))
    async with asyncio.timeout(60):
        while service.engine.serving.fallback_version != champion:
            await asyncio.sleep(0)
    service.refresher.trip(champion, "planted")
    reply = (await client.post("/v1/predict?reasons=3", json=ORDER)).json()
    assert (reply["level"], reply["version"], reply["reasons"]) == ("precomputed", champion, [])
    assert 20.0 < usual(reply) < 36.0  # the mean of the city, whatever the kitchen


async def test_nothing_is_kept_of_a_dry_request(caller: tuple[httpx.AsyncClient, Service]) -> None:
    client, service = caller
    counted = service.metrics.counters.get("answers|champion")
    dry = {**ORDER, "order": 920_001}
    one = await client.post("/v1/predict?dry=true&reasons=1", json=dry)
    by_query = await client.get("/v1/predict", params={**dry, "order": 920_002, "dry": "true"})
    for reply in (one, by_query):
        assert (reply.status_code, reply.json()["dry"]) == (200, True)
        assert usual(reply.json()) == usual((await client.post("/v1/predict?dry=false", json=ORDER)).json())
    assert one.json()["reasons"]
    assert service.metrics.counters.get("answers|champion") == counted + 2
    events = sum(service.runtime.log.ends())
    last = {**ORDER, "order": 920_003}
    assert "dry" not in (await client.post("/v1/predict", json=last)).json()
    async with asyncio.timeout(60):
        while "920003" not in recorded_keys(service) or sum(service.runtime.log.ends()) == events:
            await asyncio.sleep(0)
    assert not {"920001", "920002"} & recorded_keys(service)
    ends = service.runtime.log.ends()
    logged = [one for piece in service.runtime.log.read((0,) * len(ends), 100_000) for one in piece.records]
    assert not {"920001", "920002"} & {record.key for record in logged}


async def test_a_request_under_the_same_key_is_answered_again_and_is_one_event(
    caller: tuple[httpx.AsyncClient, Service],
) -> None:
    client, service = caller
    path, log = f"/v1/{service.about.kind}", service.runtime.log
    before, keyed = sum(log.ends()), {"Idempotency-Key": "8e03978e"}
    orders = [{**ORDER, "order": 910_000 + number} for number in range(2)]
    predictions = []
    for _ in range(3):
        service.clock.advance_us(1_000_000)  # type: ignore[attr-defined]
        predictions.append((await client.post(path, json=orders[0], headers=keyed)).json()["prediction"])
        assert len((await client.post(path, json=orders, headers=keyed)).json()) == 2
    assert len(set(predictions)) == 3
    service.clock.advance_us(1_000_000)  # type: ignore[attr-defined]
    other = {**orders[0], "km": 9.0}
    assert (await client.post(path, json=other, headers=keyed)).status_code == 200
    async with asyncio.timeout(60):
        while not service.runtime.quarantine.counts().get("conflict"):
            await asyncio.sleep(0.01)
    assert sum(log.ends()) == before + 3  # one alone, and two of an array
    (entry,) = service.runtime.quarantine.list(reason="conflict")
    assert (entry.source, json.loads(entry.raw)["km"]) == ("requests", 9.0)


async def test_what_dry_must_be(caller: tuple[httpx.AsyncClient, Service]) -> None:
    client, _ = caller
    reply = await client.post("/v1/predict?dry=yes", json=ORDER)
    assert (reply.status_code, reply.json()["detail"]) == (400, "dry must be true or false, got 'yes'")
    reply = await client.post("/v1/predict?dry=true", json=[ORDER])
    assert (reply.status_code, reply.json()["detail"]) == (
        400,
        "dry must be asked for one request at a time, got '1 requests'",
    )


@pytest.mark.parametrize("name", ["reasons", "dry"])
async def test_what_one_request_may_ask_for_is_refused_for_lines(
    caller: tuple[httpx.AsyncClient, Service], name: str
) -> None:
    client, _ = caller
    headers = {"content-type": "application/x-ndjson"}
    reply = await client.post(f"/v1/predict?{name}=3", content=json.dumps(ORDER), headers=headers)
    assert (reply.status_code, reply.json()["detail"]) == (
        400,
        f"{name} must be asked for one request at a time, got 'a request a line'",
    )
    reply = await client.post("/v1/predict?sort=up", content=json.dumps(ORDER), headers=headers)
    assert reply.json()["detail"] == "parameter must be one of dry, reasons, got 'sort'"


async def test_a_request_of_an_array_that_is_none_is_named_by_its_number(
    caller: tuple[httpx.AsyncClient, Service],
) -> None:
    client, _ = caller
    reply = await client.post("/v1/predict", json=[ORDER, ORDER, {**ORDER, "km": "far"}])
    assert (reply.status_code, reply.json()["detail"]) == (400, "request 3 of 3: km must be a number, got 'far'")


FIELDS = "one of order, kitchen, km, note"


@pytest.mark.parametrize("how", ["query", "body", "array"])
async def test_a_field_that_is_not_declared_is_refused_by_name_with_the_declared_ones(
    caller: tuple[httpx.AsyncClient, Service], how: str
) -> None:
    client, _ = caller
    sent = ORDER | {"paint": "red"}
    if how == "query":
        reply = await client.get("/v1/predict", params=sent)
    else:
        reply = await client.post("/v1/predict", json=sent if how == "body" else [ORDER, sent])
    assert reply.status_code == 400
    where = "request 2 of 2: " if how == "array" else ""
    assert (
        reply.json()["detail"] == f"{where}{'parameter' if how == 'query' else 'field'} must be {FIELDS}, got 'paint'"
    )


async def test_a_line_with_such_a_field_is_set_apart(caller: tuple[httpx.AsyncClient, Service]) -> None:
    client, _ = caller
    body = "".join(json.dumps(line) + "\n" for line in (ORDER, ORDER | {"paint": "red"}))
    reply = await client.post("/v1/predict", content=body, headers={"content-type": "application/x-ndjson"})
    assert reply.status_code == 207
    assert json.loads(reply.text.splitlines()[1]) == {"line": 2, "error": f"field must be {FIELDS}, got 'paint'"}


async def test_the_number_of_a_line_counts_blank_lines(caller: tuple[httpx.AsyncClient, Service]) -> None:
    client, _ = caller
    body = "\n".join(["", json.dumps(ORDER), "", "  ", "{", json.dumps(ORDER), "", json.dumps({"order": 1}), ""])
    reply = await client.post("/v1/predict", content=body, headers={"content-type": "application/x-ndjson"})
    assert [json.loads(line).get("line") for line in reply.text.splitlines()] == [None, 5, None, 8]


async def test_a_missing_field_is_named(caller: tuple[httpx.AsyncClient, Service]) -> None:
    client, _ = caller
    reply = await client.get("/v1/predict", params={"order": 900_001, "kitchen": "b"})
    assert reply.status_code == 400
    assert reply.json()["detail"] == "field km must be given, got nothing"


async def test_fields_of_an_event_that_nothing_declares_are_reported(
    caller: tuple[httpx.AsyncClient, Service],
) -> None:
    client, _ = caller
    event = {"type": "order", "at": "2026-01-03T23:00:00Z"} | ORDER | {"order": 900_777}
    plain = await client.post("/v1/events", json=event)
    more = await client.post("/v1/events", json=[event | {"paint": "red"}])
    assert "ignored" not in plain.json()
    assert more.json()["ignored"] == ["paint"]
