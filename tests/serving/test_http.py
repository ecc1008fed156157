"""Over HTTP, in process: lists, the JSON interface, events, and problem documents for what is wrong."""

import asyncio
import base64
import hashlib
import json
import random
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest
from tests.tracing.recording import RecordingTracer

from flyball import BiasedMF, ItemKNN
from flyball.core import SystemClock, SystemStopwatch, new_id, write_atomic
from flyball.events import ConsumerLag, WorkerReport
from flyball.outcomes import find_prediction, id_bytes, prediction_record
from flyball.runtime import Runtime
from flyball.serving import LEVELS, answer_once
from flyball.serving.http.decoding import MAX_BODY
from flyball.serving.metrics import ServingMetrics
from flyball.testing import faulty
from flyball.testing.faulty import Faulty
from flyball.tracing import ANSWER, APPEND

pytestmark = pytest.mark.anyio

NOW_US = faulty.START_US + 2 * faulty.DAY_US


@pytest.fixture
async def caller(home: Runtime, call: Any) -> AsyncIterator[Any]:
    """A service whose champion is an item-kNN."""
    faulty.release(home, ItemKNN(), NOW_US)
    async with call(home) as caller:
        await caller.until(lambda: "v1" in caller.service.engine.serving.pipelines)
        yield caller


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The document, checked for its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert {"type", "title", "detail", "instance"} <= document.keys()
    return document


async def test_the_plain_list_is_one_line_of_ids_with_its_stamps(caller: Any) -> None:
    answer = await caller.get("/recommend/7")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert re.fullmatch(r"film-\d+(,film-\d+){4}", answer.text)
    assert answer.headers["x-flyball-level"] == "champion"
    assert answer.headers["x-flyball-version"] == "v1"
    assert len(answer.headers["x-flyball-prediction"]) == 26
    assert "x-flyball-stale-s" not in answer.headers


async def test_a_well_formed_unknown_user_gets_a_list(caller: Any) -> None:
    answer = await caller.get("/recommend/999999999")
    assert (answer.status_code, len(answer.text.split(","))) == (200, 5)


@pytest.mark.parametrize(
    "path",
    [
        "0",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "abc",
        "",
        "007",
        "1000000000",
        "99999999999999999999",
        "1/2",
        "%20",
        "1%20",
        "%D9%A1",
        "%FF%FE",
        "１",
        "1,2",
        "0x10",
        "null",
    ],
)
async def test_a_malformed_user_is_answered_with_what_an_id_must_be(caller: Any, path: str) -> None:
    document = problem(await caller.get(f"/recommend/{path}"), 400)
    assert "user id must be" in document["detail"]


@pytest.mark.parametrize("user", ["1%00", "1%0A"])
async def test_a_path_has_no_control_characters(caller: Any, user: str) -> None:
    document = problem(await caller.get(f"/recommend/{user}"), 400)
    assert "path must be free of control characters" in document["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_wrong_method_is_answered_with_which_ones_there_are(caller: Any, method: str) -> None:
    answer = await caller.client.request(method, "/recommend/7")
    problem(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "path", ["/recommend", "/nothing", "/v1", "/v1/recommend/", "/v2/recommend", "/v1/predictions"]
)
async def test_an_unknown_path_is_a_404(caller: Any, path: str) -> None:
    problem(await caller.get(path), 404)


@pytest.mark.parametrize("digits", ["1" * 5_000, "%D9%A3", "%C2%B2", "0", "101", "+1"])
async def test_a_number_that_cannot_be_read_is_a_400(caller: Any, digits: str) -> None:
    document = problem(await caller.get(f"/v1/recommend?user=7&reasons={digits}"), 400)
    assert "reasons must be a whole number from 1 to 100" in document["detail"]
    problem(await caller.get("/v1/audit?since=%D9%A3d"), 400)


async def test_json_lists_carry_scores_sources_and_the_id(caller: Any) -> None:
    answer = await caller.client.post("/v1/recommend", json={"user": 7, "k": 3})
    document = answer.json()
    assert answer.status_code == 200
    assert document["user"] == "7"
    assert document["level"] in LEVELS
    assert document["version"] == "v1"
    assert document["stale_s"] is None
    assert len(document["items"]) == 3
    assert all({"item", "score", "source"} == each.keys() for each in document["items"])
    assert document["prediction"] == answer.headers["x-flyball-prediction"]


async def test_filters_and_what_to_leave_out(caller: Any) -> None:
    body = {"user": "7", "k": 10, "include": {"genres": ["odd"]}, "exclude": {"year": ["1981"]}, "without": ["film-5"]}
    posted = [each["item"] for each in (await caller.client.post("/v1/recommend", json=body)).json()["items"]]
    query = "user=7&k=10&include.genres=odd&exclude.year=1981&without=film-5"
    asked = [each["item"] for each in (await caller.get(f"/v1/recommend?{query}")).json()["items"]]
    assert posted == asked
    assert len(posted) >= 8
    assert all(int(item.removeprefix("film-")) % 2 for item in posted)
    assert not {"film-1", "film-5"} & set(posted)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"user": 0}',
        b'{"user": 7, "k": 0}',
        b'{"user": 7, "k": 1001}',
        b'{"user": 7.5}',
        b'{"user": 7, "k": "5"}',
        b'{"user": 7, "more": 1}',
        b'{"k": 5}',
        b'{"user": 7, "include": {"color": ["red"]}}',
        b'{"user": 7, "include": {"genres": "odd"}}',
        b'{"user": 7, "without": [null]}',
        b'{"user": "\xff"}',
        b'{"user": true}',
        b'{"user": 7, "without": ["NO SPACES"]}',
        b"[" * 100_000,
    ],
)
async def test_a_malformed_request_for_a_list_is_a_400(caller: Any, body: bytes) -> None:
    problem(await caller.client.post("/v1/recommend", content=body, headers={"content-type": "application/json"}), 400)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "user=",
        "user=a",
        "user=7&user=8",
        "user=7&k=x",
        "user=7&k=-1",
        "user=7&k=٣",
        "user=7&other=1",
        "user=7&include.=x",
        "user=7&include.color=red",
    ],
)
async def test_a_malformed_query_for_a_list_is_a_400(caller: Any, query: str) -> None:
    problem(await caller.get(f"/v1/recommend?{query}"), 400)


async def test_a_body_of_another_kind_is_a_415(caller: Any) -> None:
    for path in ("/v1/recommend", "/v1/events"):
        answer = await caller.client.post(path, content=b"<user/>", headers={"content-type": "application/xml"})
        problem(answer, 415)


async def test_bodies_that_a_page_may_send_without_asking_are_refused(caller: Any) -> None:
    line = b'{"type": "watch", "user": 7, "film": "film-3"}\n'
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""):
        headers = {"content-type": kind} if kind else {}
        for path, body in (
            ("/v1/events", line),
            ("/v1/events?format=jsonl", line),
            ("/v1/recommend", b'{"user": 7}'),
        ):
            detail = problem(await caller.client.post(path, content=body, headers=headers), 415)["detail"]
            assert "content type must be application/json" in detail
            assert "send the header Content-Type: application/" in detail
    cells = b"type,user,film\nwatch,7,film-3\n"
    for kind, status in (("text/plain", 200), ("text/csv", 200), ("application/x-www-form-urlencoded", 415), ("", 415)):
        headers = {"content-type": kind} if kind else {}
        answer = await caller.client.post("/v1/events?format=csv", content=cells, headers=headers)
        assert answer.status_code == status, answer.text
    problem(await caller.client.post("/v1/events?format=jsonl&format=csv", content=line, headers=LINES), 400)


async def test_the_root_leads_to_the_page_of_documentation(caller: Any) -> None:
    answer = await caller.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize("body", [b"[" * 50_000, b"[" * 2_000 + b"]" * 2_000, b'{"a":' * 50_000])
async def test_json_nested_deeply_is_set_aside(caller: Any, body: bytes) -> None:
    assert problem(await caller.client.post("/v1/events", content=body, headers=JSON), 422)["quarantined"] == 1
    card = b'{"type": "card", "film": "film-3", "genres": %s}' % body
    problem(await caller.client.post("/v1/events", content=card, headers=JSON), 422)


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/events"])
async def test_a_body_too_large_is_a_413_chunked_or_not(caller: Any, path: str) -> None:
    headers = {"content-type": "application/json"}
    problem(await caller.client.post(path, content=b" " * (MAX_BODY + 1), headers=headers), 413)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    problem(await caller.client.post(path, content=pieces(), headers=headers), 413)


async def test_every_answer_leaves_one_record_that_can_be_read(caller: Any, home: Runtime) -> None:
    ids = []
    for user in range(1, 21):
        ids.append((await caller.get(f"/recommend/{user}")).headers["x-flyball-prediction"])
        assert (await caller.get(f"/v1/predictions/{ids[-1]}")).json()["key"] == str(user)
    await caller.until(lambda: sum(home.predictions.ends()) == 20)
    found = find_prediction(home.predictions, ids[3])
    assert (found.key, found.version, found.level, found.worker) == ("4", "v1", "champion", "test")
    assert (await caller.get(f"/v1/predictions/{ids[3]}")).json()["items"] == found.items


async def test_a_record_that_another_process_writes_in_a_moment_is_waited_for(
    caller: Any, home: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flyball.serving.service._WRITTEN_US", 30_000_000)  # a moment is long on a busy machine
    given = (await caller.get("/v1/recommend?user=7")).json()["prediction"]
    await caller.until(lambda: caller.service._writer.recent(given) is None)
    record = await caller.service.prediction(given)
    now_us = caller.service.clock.now_us()
    later = msgspec.structs.replace(record, id=new_id(now_us, random.Random(5)), at_us=now_us)
    waiting = asyncio.create_task(caller.get(f"/v1/predictions/{later.id}"))
    await asyncio.sleep(0.06)
    assert not waiting.done()
    home.predictions.append([prediction_record(later)])
    answer = await waiting
    assert (answer.status_code, answer.json()["id"]) == (200, later.id)


async def test_no_such_prediction(caller: Any) -> None:
    problem(await caller.get("/v1/predictions/01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404)
    problem(await caller.get("/v1/predictions/nonsense"), 400)


async def test_similar_items(caller: Any) -> None:
    document = (await caller.get("/v1/similar/film-0?k=3")).json()
    assert (document["item"], document["version"], len(document["items"])) == ("film-0", "v1", 3)
    assert "film-0" not in [each["item"] for each in document["items"]]
    problem(await caller.get("/v1/similar/film-999"), 404)
    problem(await caller.get("/v1/similar/NO%20ID"), 400)
    problem(await caller.get("/v1/similar/film-0?k=0"), 400)


async def test_ratings_come_from_a_model_of_ratings_only(caller: Any) -> None:
    problem(await caller.get("/v1/rating?user=7&item=film-0"), 409)
    problem(await caller.get("/v1/rating?user=7"), 400)


async def test_a_rating(home: Runtime, call: Any) -> None:
    data = faulty.training()
    data.ratings[:] = 3.0
    faulty.release(home, BiasedMF(factors=2, epochs=2), NOW_US, data)
    async with call(home) as caller:
        await caller.until(lambda: "v1" in caller.service.engine.serving.pipelines)
        document = (await caller.get("/v1/rating?user=7&item=film-0")).json()
        assert document["version"] == "v1"
        assert 2.5 < document["rating"] < 3.5
        problem(await caller.get("/v1/rating?user=7&item=film-999"), 404)


JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}


async def test_one_event_is_durable_when_the_reply_comes(caller: Any, home: Runtime) -> None:
    before = sum(home.log.ends())
    event = {"type": "watch", "user": 7, "film": "film-3"}
    answer = await caller.client.post("/v1/events", content=json.dumps(event, indent=2), headers=JSON)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert sum(home.log.ends()) == before + 1


@pytest.mark.parametrize(("per_s", "unit"), [(1, "s"), (10**3, "ms"), (10**9, "ns")])
async def test_times_in_another_unit_are_reported_and_not_taken_as_1970(
    caller: Any, home: Runtime, per_s: int, unit: str
) -> None:
    before = sum(home.log.ends())
    event = {"type": "watch", "user": 7, "film": "film-3", "at": 1_793_986_789 * per_s}
    answer = problem(await caller.client.post("/v1/events", content=json.dumps(event), headers=JSON), 422)
    assert answer["events"][0]["reason"] == "bad_time"
    assert f'2026-11-06T17:39:49Z: formats=fb.columns(unit="{unit}")' in answer["events"][0]["detail"]
    assert sum(home.log.ends()) == before


async def test_each_event_of_many_gets_its_verdict(caller: Any, home: Runtime) -> None:
    at = SystemClock().now_us() - 3_600_000_000
    lines = [
        {"type": "watch", "user": 7, "film": "film-3", "at": at},
        {"type": "watch", "user": 0, "film": "film-3", "at": at},
        {"type": "watch", "user": 7, "film": "film-3", "at": at},
        {"type": "watch", "user": 7, "film": "unheard-of", "at": at},
    ]
    content = "\n".join(map(json.dumps, lines)) + "\n\nnot json\n"
    answer = await caller.client.post("/v1/events", content=content, headers=LINES)
    document = answer.json()
    assert answer.status_code == 207
    assert (document["accepted"], document["duplicate"], document["quarantined"]) == (2, 1, 2)
    message = [(each["event"], each["verdict"], each.get("reason")) for each in document["events"]]
    assert message == [
        (1, "accepted", None),
        (2, "quarantined", "out_of_range"),
        (3, "duplicate", None),
        (4, "accepted", None),
        (5, "quarantined", "decode"),
    ]
    assert document["events"][3]["unknown"] == ["film"]


async def test_an_array_of_events(caller: Any) -> None:
    events = [{"type": "watch", "user": user, "film": "film-3"} for user in (1, 2)]
    assert (await caller.client.post("/v1/events", json=events)).json()["accepted"] == 2


async def test_events_that_are_all_bad_are_a_422_with_their_verdicts(caller: Any) -> None:
    answer = await caller.client.post("/v1/events", json={"type": "watch", "user": 7})
    document = problem(answer, 422)
    assert document["events"][0]["reason"] == "missing_field"
    problem(await caller.client.post("/v1/events", content=b"{", headers=JSON), 422)
    problem(await caller.client.post("/v1/events", content=b"\xff\xfe", headers=LINES), 422)


async def test_no_events_or_no_such_format_is_a_400(caller: Any) -> None:
    problem(await caller.client.post("/v1/events", content=b"\n\n", headers=LINES), 400)
    problem(await caller.client.post("/v1/events?format=xml", content=b"a", headers=LINES), 400)
    problem(await caller.client.post("/v1/events?format=parquet", content=b"a", headers=LINES), 400)
    problem(await caller.get("/v1/events"), 405)


async def test_health_and_readiness(caller: Any) -> None:
    assert (await caller.get("/healthz")).text == "ok\n"
    ready = (await caller.get("/readyz")).json()
    assert (ready["ready"], ready["degraded"], ready["reasons"], ready["champion"]) == (True, False, [], "v1")


async def test_a_consumer_that_fails_for_long_degrades_but_takes_no_process_out(caller: Any, home: Runtime) -> None:
    now_us = caller.service.clock.now_us()
    failing = ConsumerLag(9, 3_600_000_000, "StoreUnavailable: gone", now_us - 3_600_000_000)
    write_atomic(home.worker_report_path, msgspec.json.encode(WorkerReport(now_us, {}, {"state": failing})))
    answer = await caller.get("/readyz")
    assert (answer.status_code, answer.json()["ready"], answer.json()["degraded"]) == (200, True, True)
    assert "consumer state has been failing for 1h: StoreUnavailable: gone" in answer.json()["reasons"]
    assert 'flyball_consumer_failing{consumer="state"} 1.0' in (await caller.get("/metrics")).text


async def test_a_process_that_is_about_to_stop_answers_and_is_not_ready(home: Runtime, caller: Any) -> None:
    assert (await caller.get("/readyz")).status_code == 200
    home.layout.draining.touch()
    answer = await caller.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"][0]) == (503, "it is about to stop")
    assert (await caller.get("/recommend/7")).status_code == 200
    assert (await caller.get("/healthz")).status_code == 200


async def test_nothing_known_is_not_ready_and_says_why(empty: Runtime, call: Any) -> None:
    service_of: Callable[..., Any] = call
    async with service_of(empty, wait=False) as caller:
        await caller.until(lambda: "stores are being opened" not in caller.service.refresher.unready())
        answer = await caller.get("/readyz")
        assert answer.status_code == 503
        assert "no film has a positive yet" in answer.json()["reasons"][0]
        plain = await caller.get("/recommend/7")
        assert (plain.status_code, plain.text, plain.headers["x-flyball-level"]) == (200, "", "empty")


async def test_before_the_first_release_popular_films_are_shown(home: Runtime, call: Any) -> None:
    async with call(home) as caller:
        answer = await caller.get("/recommend/7")
        assert (answer.headers["x-flyball-level"], answer.headers["x-flyball-version"]) == ("popular", "none")
        assert len(answer.text.split(",")) == 5
        assert (await caller.get("/readyz")).json()["ready"] is True


async def test_metrics_count_answers_levels_and_versions(caller: Any) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    for user in range(1, 8):
        await caller.get(f"/recommend/{user}")
    await caller.get("/recommend/abc")
    text = (await caller.get("/metrics")).text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["flyball_answers_total", "champion"] == 7
    assert samples["flyball_http_total", "4xx"] == 1
    assert samples["flyball_answer_seconds_bucket", "+Inf"] == 7
    assert samples["flyball_version", "champion", "v1"] == 1
    assert samples["flyball_process_answers_total", "test"] == 7


async def test_gauges_are_of_the_processes_that_live(caller: Any, home: Runtime) -> None:
    gone = ServingMetrics(home.counters_folder, "gone", SystemStopwatch())
    gone.gauge("ready", 1)
    gone.answered("champion", 0.001)
    with_gone = (await caller.get("/metrics")).text
    assert "flyball_ready 2.0" in with_gone
    assert 'flyball_process_answers_total{process="gone"} 1.0' in with_gone
    del gone
    answer_once(home, "7", 3)
    text = (await caller.get("/metrics")).text
    assert "flyball_ready 1.0" in text
    assert re.findall(r'flyball_process_answers_total\{process="(.*)"\}', text) == ["test"]
    assert 'flyball_answers_total{level="champion"} 1.0' in text


async def test_a_release_takes_over_and_a_corrupt_one_does_not(caller: Any, home: Runtime) -> None:
    second = faulty.release(home, Faulty(), NOW_US)
    await caller.until(lambda: caller.service.engine.serving.release.champion == second.id)
    assert (await caller.get("/recommend/7")).headers["x-flyball-version"] == "v2"
    third = faulty.release(home, Faulty(sign=-1), NOW_US)
    array = home.artifacts / third.artifact / "counts.npy"
    await caller.until(lambda: caller.service.engine.serving.release.champion == third.id)
    assert (await caller.get("/recommend/7")).headers["x-flyball-version"] == "v3"
    assert array.exists()


async def test_an_artifact_tampered_with_after_its_release_never_serves(home: Runtime, call: Any) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    second = faulty.release(home, Faulty(), NOW_US)
    array = home.artifacts / second.artifact / "counts.npy"
    array.chmod(0o644)
    array.write_bytes(array.read_bytes()[:-4] + b"\0\0\0\1")
    async with call(home) as caller:
        await caller.until(lambda: "v2" in caller.service.engine.serving.refused)
        answer = await caller.get("/recommend/7")
        assert (answer.status_code, answer.headers["x-flyball-level"]) == (200, "previous")
        await caller.until(lambda: not caller.service.refresher.unready())
        ready = (await caller.get("/readyz")).json()
        assert "v2 is out of service" in ready["reasons"][0]
        assert "sha256" in ready["reasons"][0]
        assert 'flyball_version_refused{reason="artifact file' in (await caller.get("/metrics")).text


async def test_the_document_of_the_interface_names_every_route(caller: Any) -> None:
    document = (await caller.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert {"/recommend/{user}", "/v1/recommend", "/v1/events", "/v1/similar/{item}", "/metrics"} <= set(
        document["paths"]
    )
    assert set(document["components"]["schemas"]) >= {"Watch", "Rate", "Card", "Prediction", "Problem"}
    text = json.dumps(document)
    for ref in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', text):
        assert ref in document["components"]["schemas"]


async def test_the_page_of_documentation_needs_no_network(caller: Any) -> None:
    answer = await caller.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "faulty" not in answer.text, "whoever has no key learns nothing of the service"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    for tag in ("script", "style"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?(https?:)?//", answer.text)


async def test_requests_come_as_lines_and_each_gets_a_line(caller: Any) -> None:
    lines = b'{"user": 7, "k": 2}\n\n{"user": []}\nnot json\n{"user": 8, "k": 1}'
    headers = {"content-type": "application/x-ndjson"}
    answer = await caller.client.post("/v1/recommend", content=lines, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (207, "application/x-ndjson")
    first, second, third, fourth = map(json.loads, answer.text.splitlines())
    assert (first["user"], len(first["items"]), fourth["user"]) == ("7", 2, "8")
    assert (second["line"], third["line"]) == (3, 4)  # of the body, which has a blank line
    assert "user" in second["error"]
    good = await caller.client.post("/v1/recommend", content=b'{"user": 7}\n' * 250, headers=headers)
    assert (good.status_code, len(good.text.splitlines())) == (200, 250)
    assert (await caller.client.post("/v1/recommend", content=b"[]\n", headers=headers)).status_code == 422
    problem(await caller.client.post("/v1/recommend", content=b"\n", headers=headers), 400)


async def test_an_answer_is_traced_from_the_request_to_its_record(home: Runtime, call: Any) -> None:
    home.tracer = tracer = RecordingTracer()
    faulty.release(home, ItemKNN(), NOW_US)
    callers = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with call(home) as caller:
        await caller.until(lambda: "v1" in caller.service.engine.serving.pipelines)
        tracer.spans.clear()
        replies = [
            await caller.client.post("/v1/recommend", json={"user": 7}),
            await caller.get("/recommend/7", headers={"traceparent": callers}),
        ]
        sent = {"type": "watch", "at": "2023-11-15T00:00:00Z", "user": 7, "film": "film-3"}
        event = await caller.client.post("/v1/events", json=sent)
        assert event.json()["accepted"] == 1, event.text
    parts = {ANSWER, "wait", "read features", "score v1", "append answer"}
    for reply in replies:
        assert tracer.named(id_bytes(reply.headers["x-flyball-prediction"])).keys() == parts
    (in_callers,) = (span for span in tracer.spans if span.trace.hex() == callers[3:35])
    assert in_callers.attributes["flyball.prediction"] == replies[1].headers["x-flyball-prediction"]
    assert [span.attributes["flyball.event.type"] for span in tracer.spans if span.name == APPEND] == ["watch"]
    assert tracer.closed


async def test_events_about_people_who_were_erased_are_counted_apart(home: Runtime, call: Callable[..., Any]) -> None:
    async with call(home) as caller:
        home.erased.add([("user", "7")], SystemClock().now_us())
        about = {"type": "watch", "film": "film-1", "at": SystemClock().now_us() - 60_000_000}
        events = [{**about, "user": 7}, {**about, "user": 8}, {**about, "user": "x"}]
        summary = (await caller.client.post("/v1/events", json=events, headers=JSON)).json()
        counts = {name: summary[name] for name in ("accepted", "duplicate", "quarantined", "erased")}
        assert counts == {"accepted": 1, "duplicate": 0, "quarantined": 1, "erased": 1}
        assert [event["verdict"] for event in summary["events"]] == ["erased", "accepted", "quarantined"]
        assert caller.service.metrics.counters.get("events|erased") == 1
        alone = problem(await caller.client.post("/v1/events", json=events[0], headers=JSON), 422)
        assert (alone["erased"], alone["quarantined"]) == (1, 0)
        assert "1 of 1 events" in alone["detail"]
        assert "erased" in alone["detail"]
