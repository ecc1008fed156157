"""What a request gets that no version answers: the default decision, or an error that says what to do."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from tests.tasks.predict import city, payments

import flyball as fb
from flyball.app import App
from flyball.core import ManualClock, ManualStopwatch, new_id
from flyball.learning import learn
from flyball.operations import catch_up
from flyball.outcomes import Prediction, decisions_frame, prediction_record, read_reviews, records_between
from flyball.policy import APPROVE, DECLINE, REVIEW
from flyball.provenance import replay, why
from flyball.releases import declare_arrangement
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service, answer_file, make_app
from flyball.serving.answering.engine import Engine, Serving
from flyball.serving.http.short import ShortPaths
from flyball.simulation import ingest_pieces
from flyball.tasks import DEFAULT_LEVEL, EMPTY_LEVEL, PRECOMPUTED_LEVEL, Request, Response, request_of

START_US = 1_767_225_600_000_000
NOW_US = START_US + 30 * payments.DAY_US
LINES = {"content-type": "application/x-ndjson"}
PAYMENT = {"payment": 700_001, "card": 7, "amount": 20.0, "risk": 0.5}


def bank(**changes: Any) -> App:
    """The payments application with another policy."""
    task: Any = payments.app.task
    return fb.App(
        "payments",
        events=[payments.Payment, payments.Chargeback, payments.Verdict],
        task=msgspec.structs.replace(task, decide=msgspec.structs.replace(payments.POLICY, **changes)),
        candidates={"linear": fb.Linear()},
        choose=fb.best("cost"),
        gates=fb.gates(min_examples=20),
    )


def opened(app: App, folder: Path, now_us: int = NOW_US) -> Runtime:
    return Runtime(app, load_settings(folder), ManualClock(now_us))


def asked(count: int) -> list[Request]:
    ids = random.Random(5)
    fields = [PAYMENT | {"payment": 700_000 + number} for number in range(count)]
    return [request_of(payments.Payment, new_id(NOW_US + n, ids), NOW_US + n, one) for n, one in enumerate(fields)]


def answers(runtime: Runtime, requests: list[Request]) -> list[Prediction]:
    """As a serving process gives them, recorded."""
    service = Service(runtime, "test", random.Random(1), runtime.clock, stopwatch=ManualStopwatch())
    service.refresher.step()
    predictions = service.engine.answer(requests)
    runtime.predictions.append([prediction_record(prediction) for prediction in predictions])
    return predictions


def declare(runtime: Runtime) -> None:
    """As `flyball up` does."""
    declare_arrangement(runtime.registry, runtime.app.name, runtime.app.task.about.arrangement, "up", NOW_US)


@asynccontextmanager
async def serving(runtime: Runtime) -> AsyncIterator[tuple[httpx.AsyncClient, Service]]:
    service = Service(runtime, "test", random.Random(1), stopwatch=ManualStopwatch())
    transport = httpx.ASGITransport(app=make_app(service), raise_app_exceptions=False)
    await service.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            async with asyncio.timeout(60):
                while service.refresher.unready() == ["stores are being opened"] or not service.refresher.settled:
                    await asyncio.sleep(0)
            yield client, service
    finally:
        await service.stop()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_before_any_version_each_way_in_gets_the_default_decision(tmp_path: Path) -> None:
    async with serving(opened(bank(), tmp_path)) as (client, service):
        one = (await client.post("/v1/predict?reasons=3", json=PAYMENT)).json()
        expected: dict[str, Any] = {
            "payment": "700001",
            "level": "default",
            "version": None,
            "values": {},
            "decision": "review",
        }
        assert expected.items() <= one.items()
        assert one["reasons"] == []
        by_query = (await client.get("/v1/predict", params=PAYMENT)).json()
        array = (await client.post("/v1/predict", json=[PAYMENT, PAYMENT])).json()
        lines = await client.post("/v1/predict", content=b"\n".join([json.dumps(PAYMENT).encode()] * 2), headers=LINES)
        for reply in [by_query, *array, *map(json.loads, lines.text.splitlines())]:
            assert (reply["level"], reply["decision"]) == ("default", "review")
        ready = (await client.get("/readyz")).json()
        assert (ready["ready"], ready["degraded"]) == (True, True)
        assert ready["reasons"] == ["no version is released yet: run flyball learn"]
        metrics = (await client.get("/metrics")).text
        assert 'flyball_answers_total{level="default"} 6' in metrics
        async with asyncio.timeout(60):
            while len(list(records_between(service.runtime.predictions, 0))) < 6:
                await asyncio.sleep(0)


@pytest.mark.anyio
async def test_a_number_without_any_version_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    order: dict[str, Any] = {"order": 900_001, "kitchen": "b", "km": 2.0}
    async with serving(opened(city.app, tmp_path)) as (client, service):
        one = await client.post("/v1/predict", json=order)
        problem = one.json()
        assert (one.status_code, problem["status"], problem["prediction"]) == (
            503,
            503,
            one.headers["x-flyball-prediction"],
        )
        assert "retry-after" not in one.headers  # the request is kept: asked again it would be kept twice
        assert problem["detail"] == (
            "no value can be answered now: no version is released yet: run flyball learn; the request is kept as an "
            "event all the same"
        )
        assert (await client.get("/v1/predict", params=order | {"order": 900_002})).status_code == 503
        array = await client.post("/v1/predict", json=[order | {"order": 900_003}, order | {"order": 900_004}])
        assert (array.status_code, array.json()["detail"]) == (503, problem["detail"])
        body = b"\n".join([json.dumps(order | {"order": 900_005}).encode(), b"{}"])
        lines = await client.post("/v1/predict", content=body, headers=LINES)
        replies = [json.loads(line) for line in lines.text.splitlines()]
        assert lines.status_code == 503
        assert (replies[0]["level"], replies[0]["values"], replies[0]["error"]) == ("empty", {}, problem["detail"])
        assert replies[1] == {"line": 2, "error": "field order must be given, got nothing"}
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["no version is released yet: run flyball learn"])
        async with asyncio.timeout(60):
            while sum(service.runtime.log.ends()) < 5:
                await asyncio.sleep(0)


def by_short_path(service: Service, fields: dict[str, Any]) -> tuple[bytes, list[bytes], dict[str, Any]]:
    """(status line, names of headers, document) as a real connection gets them."""
    if service.authenticator.keys is None:  # of a service that was not started
        service.authenticator.refresh([], 0)
    paths = ShortPaths(service)
    path = paths.find(
        b"POST",
        b"/v1/predict",
        [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"60")],
    )
    assert path is not None
    (prediction,) = service.engine.answer([path.read(json.dumps(fields).encode())])
    head, body = paths.response(path, prediction, [], closing=False).split(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    assert b"content-length: %d" % len(body) in headers
    return status, [header.partition(b":")[0] for header in headers], json.loads(body)


@pytest.mark.anyio
async def test_the_short_path_of_a_real_connection_answers_as_the_routes_do(tmp_path: Path) -> None:
    order = {"order": 900_001, "kitchen": "b", "km": 2.0}
    async with serving(opened(city.app, tmp_path / "city")) as (client, service):
        reply = await client.post("/v1/predict", json=order)
        status, headers, document = by_short_path(service, order)
        assert status == b"HTTP/1.1 503 Service Unavailable"
        assert headers == [name.lower() for name, _ in reply.headers.raw]
        assert document | {"prediction": ""} == reply.json() | {"prediction": ""}
    service = Service(opened(bank(), tmp_path / "bank"), "test", random.Random(1), stopwatch=ManualStopwatch())
    status, _, document = by_short_path(service, PAYMENT)
    assert (status, document["level"], document["decision"]) == (b"HTTP/1.1 200 OK", "default", "review")


def test_a_file_answered_without_a_version_says_why_in_each_row(tmp_path: Path) -> None:
    source, out = tmp_path / "orders.csv", tmp_path / "out.jsonl"
    source.write_text("order,kitchen,km\n1,a,2.0\nx,a,2.0\n")
    report = answer_file(opened(city.app, tmp_path / "home"), source, out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["level"], row["predicted_value"]) for row in rows] == [("empty", None), (None, None)]
    assert rows[0]["error"] == "no value can be answered now: no version is released yet: run flyball learn"
    assert rows[1]["error"].startswith("order id must be an integer")
    assert (report.failed, report.first_failure) == (2, rows[0]["error"])


def test_a_file_of_payments_gets_the_default_decision(tmp_path: Path) -> None:
    source, out = tmp_path / "payments.csv", tmp_path / "out.jsonl"
    source.write_text("payment,card,amount,risk\n1,7,20.0,0.5\n")
    assert answer_file(opened(bank(otherwise=APPROVE), tmp_path / "home"), source, out).failed == 0
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert (row["level"], row["decision"], row["error"], row["predicted_probability"]) == (
        "default",
        "approve",
        None,
        None,
    )


def test_a_default_decline_has_a_control_group_whose_weights_stand_for_all(tmp_path: Path) -> None:
    runtime = opened(bank(otherwise=DECLINE), tmp_path)
    predictions = answers(runtime, asked(4_000))
    assert {(one.decision, one.decision_propensity) for one in predictions} == {("decline", 0.8), ("approve", 0.2)}
    approved = [one for one in predictions if one.decision == APPROVE]
    sigma = np.sqrt(4_000 * 0.2 * 0.8)
    assert abs(len(approved) - 800) < 4 * sigma
    logged = decisions_frame(runtime.predictions, NOW_US + 1_000_000)
    assert sorted(zip(logged["decision"], logged["propensity"], strict=True)) == sorted(
        (one.decision, one.decision_propensity) for one in predictions
    )


def test_a_default_decision_is_explained_reviewed_and_replayed(tmp_path: Path) -> None:
    app = bank(otherwise=DECLINE)
    runtime = opened(app, tmp_path)
    declare(runtime)
    declined = answers(runtime, asked(20))
    assert {(one.arrangement, one.version, one.level) for one in declined} == {(1, "", DEFAULT_LEVEL)}
    text = why(runtime, next(one.id for one in declined if one.decision == DECLINE)).text()
    assert "decision decline, the default, as no version answered, drawn with probability 0.8" in text
    assert "the response was empty" not in text
    later = opened(bank(), tmp_path)  # the file now says review
    declare(later)
    reviewed = answers(later, asked(20))
    assert {(one.arrangement, one.decision) for one in reviewed} == {(2, REVIEW)}
    plan = app.task.about.reviews
    assert plan is not None
    queue = read_reviews(later.predictions, later.log, later.schema, plan)
    assert {(review.version, *review.values) for review in queue} == {("",)}
    for one in (*declined, *reviewed):
        again = replay(later, one.id)
        assert (again.identical, again.differences, again.notes) == (True, [], [])


def test_a_decision_of_a_declaration_that_was_never_written_down_replays_by_today_s_and_says_so(tmp_path: Path) -> None:
    (prediction,) = answers(opened(bank(otherwise=APPROVE), tmp_path), asked(1))
    assert (prediction.arrangement, prediction.decision) == (0, APPROVE)
    again = replay(opened(bank(), tmp_path), prediction.id)
    assert again.differences == ["decision: then 'approve', now 'review'"]
    assert "of which no revision is kept" in again.notes[0]


def test_while_the_service_starts_and_when_all_else_fails_there_is_a_decision(tmp_path: Path) -> None:
    """Before the first poll; with stores that cannot be read; from the timer that answers what is late."""
    for app, decision in ((bank(), REVIEW), (bank(review=None, reviews_per_day=None, verdict=None), "abstain")):
        service = Service(opened(app, tmp_path / decision), "test", random.Random(1), stopwatch=ManualStopwatch())
        (request,) = asked(1)
        for prediction in (service.engine.answer([request])[0], service.engine.from_fallback(request, "late")):
            assert (prediction.level, prediction.decision, prediction.values) == (DEFAULT_LEVEL, decision, [])


class Silent:
    """A version that answers nothing."""

    def answer(self, requests: list[Request], contexts: list[Any]) -> list[Response]:
        return [Response()] * len(requests)


def test_an_empty_response_of_a_version_gives_way_to_the_default_decision() -> None:
    notes: list[tuple[str, str, object]] = []
    pipelines: Any = {"v1": Silent()}
    state = msgspec.structs.replace(Serving().release, champion="v1")
    serving = Serving(state, pipelines, fallback=bank().task.first_fallback({}))  # type: ignore[attr-defined]
    engine = Engine(lambda requests: ([None] * len(requests), ()), lambda *note: notes.append(note), serving)
    (prediction,) = engine.answer(asked(1))
    assert (prediction.level, prediction.decision, prediction.failed) == (DEFAULT_LEVEL, REVIEW, "wrong")
    assert notes == [("wrong", "v1", "an empty response")]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    runtime = opened(bank(), folder)
    ingest_pieces(runtime, "jsonl", [b"\n".join(payments.lines(30, START_US))], "month", "history")
    catch_up(runtime)
    assert learn(runtime, workers=1).released
    return folder


@pytest.mark.parametrize(
    ("otherwise", "level", "decision"),
    [("", PRECOMPUTED_LEVEL, APPROVE), (REVIEW, DEFAULT_LEVEL, REVIEW), (APPROVE, DEFAULT_LEVEL, APPROVE)],
)
def test_a_broken_circuit_is_decided_by_the_usual_share_unless_a_decision_is_declared(
    learned: Path, otherwise: str, level: str, decision: str
) -> None:
    runtime = opened(bank(otherwise=otherwise), learned)
    declare(runtime)
    service = Service(runtime, "test", random.Random(1), runtime.clock, stopwatch=ManualStopwatch())
    service.refresher.step()
    revision = service.engine.serving.release.arrangement
    service.refresher.trip("v1", "planted")
    (prediction,) = service.engine.answer(asked(1))
    assert (prediction.level, prediction.decision) == (level, decision)
    assert (prediction.version, prediction.arrangement) == ("" if otherwise else "v1", revision)
    runtime.predictions.append([prediction_record(prediction)])
    assert replay(runtime, prediction.id).identical


def test_an_altered_artifact_without_a_version_before_it_is_named(learned: Path) -> None:
    """Of a number there is nothing left to answer; the reason is not that nothing was released."""
    runtime = opened(bank(), learned)
    declare(runtime)
    service = Service(runtime, "test", random.Random(1), runtime.clock, stopwatch=ManualStopwatch())
    service.refresher.loader.load = _raising  # type: ignore[method-assign]
    service.refresher.step()
    (prediction,) = service.engine.answer(asked(1))
    assert (prediction.level, prediction.decision, prediction.failed) == (DEFAULT_LEVEL, REVIEW, "load")
    assert service.refresher.reasons() == ["v1 is out of service: planted"]
    empty = msgspec.structs.replace(service.engine.serving, fallback=Serving().fallback)
    service.engine.serving = empty
    assert service.engine.answer(asked(1))[0].level == EMPTY_LEVEL
    assert service.refresher.unready() == ["v1 is out of service: planted"]


def test_while_the_first_version_is_being_loaded_no_learning_is_advised(learned: Path) -> None:
    service = Service(opened(bank(), learned), "test", random.Random(1), stopwatch=ManualStopwatch())
    loader, said = service.refresher.loader, list[tuple[list[str], list[str]]]()
    load = loader.load

    def loading(*arguments: Any, **named: Any) -> Any:
        said.append((service.refresher.unready(), service.refresher.reasons()))
        return load(*arguments, **named)

    loader.load = loading  # type: ignore[method-assign]
    service.refresher.step()
    assert said == [(["v1 is being loaded"], [])]
    assert (service.refresher.unready(), service.refresher.reasons()) == ([], [])


def _raising(*arguments: Any, **named: Any) -> Any:
    raise RuntimeError("planted")
