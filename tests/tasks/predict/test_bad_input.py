"""Every kind of bad input through every way in: a clear error or a defined result, and nothing beside it is touched."""

import csv
import io
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from types import new_class
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from tests.tasks.predict import odd
from tests.tasks.predict.orders import ODD, Delivered, Order, occurs_task, score_task

import flyball as fb
from flyball.app import App
from flyball.core import ManualClock, ManualStopwatch, json_fault
from flyball.events import MAX_IGNORED, IngestReport, LineSource, find_format, ingest
from flyball.history import take_snapshot
from flyball.learning import LearnReport, learn
from flyball.learning.past import SnapshotPast
from flyball.operations import catch_up
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service, answer_file, make_app
from flyball.simulation import ingest_pieces
from flyball.tasks import ServingLag
from flyball.tasks.predict.examples import RequestHistory

pytestmark = pytest.mark.anyio

GOOD: dict[str, Any] = {"order": 9_001, "kitchen": "a", "size": "small", "km": 2.0}
FIELDS = "one of order, kitchen, size, km, rain"
FINITE = "km must be a finite number, or left out where it may be missing, got"
NO_NAN = "JSON has no NaN or Infinity, send null or leave the field out"
WIDE = {f"c{number}": 0 for number in range(10_000)}


class Case(msgspec.Struct, frozen=True):
    """`body`: as JSON; `cells`: as texts of a query or of CSV, None where they are those of the body.

    `error`: of a request, "" for an answer by `level` with the value of `like`; `of_cells`: where it is another one.
    `event`: the reason and detail of its quarantine, () for accepted.
    """

    body: str
    cells: dict[str, str] | None = None
    error: str = ""
    of_cells: str | None = None
    event: tuple[str, str] | tuple[()] = ()
    event_of_cells: tuple[str, str] | tuple[()] | None = None
    like: dict[str, Any] = msgspec.field(default_factory=GOOD.copy)
    level: str = "champion"

    @property
    def texts(self) -> dict[str, str]:
        if self.cells is not None:
            return self.cells
        return {name: str(value) for name, value in json.loads(self.body).items() if value is not None}


def sent(**changes: Any) -> str:
    return json.dumps(GOOD | changes)


def without(*names: str) -> str:
    return json.dumps({name: value for name, value in GOOD.items() if name not in names})


def number(text: str, detail: str) -> Case:
    """A distance that is no finite number: JSON cannot say it, texts can."""
    of_json, of_cells, of_rows = NO_NAN, f"{FINITE} {detail}", f"km must be finite, got {detail}"
    if text == "1e999":
        of_json, of_cells = "Number out of range", "km must be a number within range, got '1e999'"
        of_rows = "km must be a number within range, got '1e999'"
    return Case(
        body=sent().replace("2.0", text),
        cells={**{name: str(value) for name, value in GOOD.items()}, "km": text},
        error=of_json,
        of_cells=of_cells,
        event=("decode", of_json),
        event_of_cells=("out_of_range", of_rows),
    )


CASES = {
    "good": Case(sent()),
    "unknown category": Case(sent(kitchen="zz"), like=GOOD | {"kitchen": "never seen either"}),
    "choice that is not declared": Case(
        sent(size="huge"),
        error="size must be one of small, large, got 'huge'",
        event=("bad_choice", "size must be one of small, large, got 'huge'"),
    ),
    "missing where it may be": Case(sent(rain=None)),
    "missing where it must not be": Case(
        without("km"), error="field km must be given, got nothing", event=("missing_field", "km must be given")
    ),
    "null where it must not be": Case(
        sent(km=None),
        error="km must be a number, got None",
        of_cells="field km must be given, got nothing",
        event=("wrong_type", "km must be a number, got None"),
        event_of_cells=("missing_field", "km must be given"),
    ),
    "NaN": number("NaN", "nan"),
    "Infinity": number("Infinity", "inf"),
    "-Infinity": number("-Infinity", "-inf"),
    "beyond a float": number("1e999", "inf"),
    "so large that the model overflows": Case(sent(km=1e308), level="precomputed"),
    "10,000 columns": Case(
        json.dumps(GOOD | WIDE),
        error=f"field must be {FIELDS}, got 'c0'",
        of_cells="",
        event=("too_long", "line must be at most 65536 bytes"),
        event_of_cells=(),
    ),
    "key that is none": Case(
        sent(order=0),
        error="order id must be an integer in ASCII digits without leading zeros from 1, got 0",
        of_cells="order id must be an integer in ASCII digits without leading zeros from 1, got '0'",
        event=("out_of_range", "order must be an integer >= 1, got 0"),
        event_of_cells=("out_of_range", "order must be an integer >= 1, got '0'"),
    ),
}
cases = pytest.mark.parametrize("name", CASES)


def opened(app: App, folder: Path, now_us: int = odd.NOW_US, zone: str = "UTC") -> Runtime:
    return Runtime(app, load_settings(folder, options={"zone": zone}), ManualClock(now_us))


def given(runtime: Runtime, events: list[dict[str, Any]]) -> Runtime:
    """With events as its history."""
    if events:
        ingest_pieces(runtime, "jsonl", [b"\n".join(map(msgspec.json.encode, events))], "history", "history")
    catch_up(runtime)
    return runtime


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    assert learn(given(opened(odd.app, folder), odd.history()), workers=1).released
    return folder


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def caller(home: Path) -> AsyncIterator[httpx.AsyncClient]:
    service = Service(opened(odd.app, home), "test", random.Random(1), stopwatch=ManualStopwatch())
    service.refresher.step()
    transport = httpx.ASGITransport(app=make_app(service), raise_app_exceptions=False)
    await service.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client
    finally:
        await service.stop()


JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}


async def answered(client: httpx.AsyncClient, fields: dict[str, Any]) -> float:
    value: float = (await client.post("/v1/predict", json=fields)).json()["values"]["value"]
    return value


async def check_reply(client: httpx.AsyncClient, case: Case, reply: dict[str, Any]) -> None:
    """An answer as the case says it, of a request that is one."""
    assert reply["level"] == case.level
    if case.level == "champion":
        assert reply["values"]["value"] == await answered(client, case.like)
    else:
        assert np.isfinite(reply["values"]["value"])


@cases
async def test_a_request_in_the_body(caller: httpx.AsyncClient, name: str) -> None:
    case = CASES[name]
    reply = await caller.post("/v1/predict", content=case.body.encode(), headers=JSON)
    if case.error:
        assert (reply.status_code, case.error in reply.json()["detail"]) == (400, True), reply.text
    else:
        await check_reply(caller, case, reply.json())


@cases
async def test_a_request_in_the_query(caller: httpx.AsyncClient, name: str) -> None:
    case = CASES[name]
    error = case.error if case.of_cells is None else case.of_cells
    if len(case.texts) > 100:
        return  # no client sends such a query
    reply = await caller.get("/v1/predict", params=case.texts)
    if error:
        assert (reply.status_code, error in reply.json()["detail"]) == (400, True), reply.text
    else:
        await check_reply(caller, case, reply.json())


@cases
async def test_a_request_among_lines(caller: httpx.AsyncClient, name: str) -> None:
    case, good = CASES[name], json.dumps(GOOD)
    reply = await caller.post("/v1/predict", content="\n".join([good, case.body, good]).encode(), headers=LINES)
    before, own, after = map(json.loads, reply.text.splitlines())
    assert before["values"] == after["values"] == {"value": await answered(caller, GOOD)}
    if case.error:
        assert (reply.status_code, own["line"], case.error in own["error"]) == (207, 2, True), own
    else:
        await check_reply(caller, case, own)


def as_event(case: Case, number: int) -> bytes:
    """The body as an event of its own second."""
    return f'{{"type": "order", "at": "2026-01-04T23:00:{number:02}Z", {case.body[1:]}'.encode()


@cases
async def test_an_event_over_http(caller: httpx.AsyncClient, name: str) -> None:
    case, second = CASES[name], list(CASES).index(name)
    good = json.dumps({"type": "order", "at": f"2026-01-04T22:00:{second:02}Z", **GOOD}).encode()
    late = good.replace(b"T22", b"T21")
    body = b"\n".join([good, as_event(case, second), late])
    reply = (await caller.post("/v1/events", content=body, headers=LINES)).json()
    before, own, after = reply["events"]
    assert (before["verdict"], after["verdict"]) == ("accepted", "accepted")
    if case.event:
        assert (own["verdict"], own["reason"]) == ("quarantined", case.event[0])
        assert case.event[1] in own["detail"]
    else:
        assert own["verdict"] == "accepted"


def ingested(runtime: Runtime, lines: list[bytes], format: str) -> tuple[Any, ...]:
    """(report, [(reason, detail) of the quarantine]) of a file of history."""
    source = LineSource("file", find_format(format, runtime.formats), format, "history")
    report: IngestReport = ingest([b"".join(line + b"\n" for line in lines)], source, runtime.inlet)
    return report, [(entry.reason, entry.detail) for entry in runtime.quarantine.list(limit=100)]


def check_ingested(report: IngestReport, quarantined: list[tuple[str, str]], expected: tuple[Any, ...]) -> None:
    if not expected:
        assert (report.accepted, quarantined) == ({"order": 3}, [])
        return
    ((reason, detail),) = quarantined
    assert (report.accepted, reason) == ({"order": 2}, expected[0])
    assert expected[1] in detail


@cases
def test_a_line_of_history(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    good = [json.dumps({"type": "order", "at": at, **GOOD}).encode() for at in ("2026-01-02", "2026-01-03")]
    check_ingested(*ingested(opened(odd.app, tmp_path), [good[0], as_event(case, 0), good[1]], "jsonl"), case.event)


def table(case: Case, *further: dict[str, str]) -> list[str]:
    """The case between two good rows, with their columns and its own."""
    good = {name: str(value) for name, value in GOOD.items()}
    rows = [good, case.texts, good]
    rows = [{**row, **more} for row, more in zip(rows, further or [{}] * 3, strict=True)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().splitlines()


@cases
def test_a_row_of_history(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    times = [{"at": f"2026-01-0{day}"} for day in (1, 2, 3)]
    lines = [line.encode() for line in table(case, *times)]
    expected = case.event if case.event_of_cells is None else case.event_of_cells
    report, quarantined = ingested(opened(odd.app, tmp_path), lines, "csv")
    check_ingested(report, quarantined, expected)
    assert len(report.ignored) == (MAX_IGNORED if name == "10,000 columns" else 0)


@cases
def test_a_line_of_a_file_to_be_answered(home: Path, tmp_path: Path, name: str) -> None:
    case, good = CASES[name], json.dumps(GOOD)
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join([good, case.body, good]) + "\n")
    report = answer_file(opened(odd.app, home), source, out)
    check_file(case, report.failed, [json.loads(line) for line in out.read_text().splitlines()], case.error)


@cases
def test_a_row_of_a_file_to_be_answered(home: Path, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text("\n".join(table(case)) + "\n")
    report = answer_file(opened(odd.app, home), source, out)
    error = case.error if case.of_cells is None else case.of_cells
    check_file(case, report.failed, [json.loads(line) for line in out.read_text().splitlines()], error)
    assert len(report.unknown) == (10_000 if name == "10,000 columns" else 0)


def check_file(case: Case, failed: int, rows: list[dict[str, Any]], error: str) -> None:
    before, own, after = rows
    assert before["predicted_value"] == after["predicted_value"]
    if error and not (own["error"] is None and "field must be one of" in error):  # other columns are carried over
        null = "km must be a number" in error and "field km must be given" in (own["error"] or "")
        assert (failed, error in own["error"] or null) == (1, True), own
        assert (own["predicted_value"], own["level"]) == (None, None)
    else:
        assert (failed, own["error"], own["level"]) == (0, None, case.level)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("in.jsonl", '{"order": 1,\n[1]\n', "line 1 must be a JSON object: "),
        ("in.csv", "order,kitchen,size,km\n1,a,small,2.0,9\n1,a,small\n", "row 1 must be as long as the header, 4 col"),
    ],
)
def test_what_is_no_row_is_set_apart_and_the_others_are_answered(
    home: Path, tmp_path: Path, name: str, text: str, reason: str
) -> None:
    source, out = tmp_path / name, tmp_path / "out.jsonl"
    good = json.dumps(GOOD) if name.endswith("jsonl") else "9001,a,small,2.0"
    source.write_text(f"{text}{good}\n")
    report = answer_file(opened(odd.app, home), source, out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert (report.rows, report.failed, len(rows)) == (3, 2, 3)
    assert rows[0]["error"].startswith(reason)
    assert (rows[2]["level"], rows[2]["error"]) == ("champion", None)


async def test_a_body_that_is_no_request_at_all(caller: httpx.AsyncClient) -> None:
    for body, detail in (
        (b"[1]", "body must be a JSON object, or an array of them: "),
        (b"{", "body must be a JSON object, or an array of them: "),
        (b"{}", "field order must be given, got nothing"),
    ):
        reply = await caller.post("/v1/predict", content=body, headers=JSON)
        assert (reply.status_code, reply.json()["detail"].startswith(detail)) == (400, True), reply.text


ODD_WAYS = ("http", "jsonl", "csv")
AS_OF_US = odd.START_US + 400 * odd.DAY_US


def waiting_task() -> fb.Predict:
    return fb.Predict(on=Order, target=fb.elapsed(Delivered, by="order", within="6h", unit="m"))


def labels_app() -> App:
    return fb.App("labels", events=[Order, Delivered], task=score_task(), candidates={"linear": fb.Linear()})


async def received(runtime: Runtime, events: list[tuple[Any, int]], way: str) -> None:
    """The events, by one way in."""
    plain = [{"type": type(event).__name__.lower(), **msgspec.to_builtins(event)} for event, _ in events]
    if way == "http":
        service = Service(runtime, "test", random.Random(1), stopwatch=ManualStopwatch())
        await service.start()
        transport = httpx.ASGITransport(app=make_app(service), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for event in plain:
                reply = await client.post("/v1/events", json=event)
                assert reply.json()["quarantined"] == 0, reply.text
        await service.stop()
        return
    if way == "jsonl":
        files = [[json.dumps(event).encode() for event in plain]]
    else:
        kinds = dict.fromkeys(event["type"] for event in plain)
        files = [_as_csv([event for event in plain if event["type"] == kind]) for kind in kinds]
    for lines in files:
        source = LineSource("file", find_format(way, runtime.formats), way, "history")
        assert not ingest([b"\n".join(lines) + b"\n"], source, runtime.inlet).quarantined


def _as_csv(events: list[dict[str, Any]]) -> list[bytes]:
    names = [name for name in events[0] if name != "type"]
    return [",".join(names).encode(), *(",".join(str(event[name]) for name in names).encode() for event in events)]


@pytest.mark.parametrize("way", ODD_WAYS)
@pytest.mark.parametrize("name", [*ODD, "a label sent twice"])
async def test_odd_labels_mean_the_same_by_every_way_in(tmp_path: Path, name: str, way: str) -> None:
    """See `ODD`; sent twice is the same as sent once."""
    events, *must = ODD["a label at the time of its question" if name == "a label sent twice" else name]
    if name == "a label sent twice":
        events = [*events, events[-1]]
    runtime = opened(labels_app(), tmp_path, AS_OF_US)
    await received(runtime, events, way)
    catch_up(runtime)
    as_of_us = AS_OF_US + odd.DAY_US
    snapshot = take_snapshot(runtime.history_folder, runtime.schema, as_of_us, runtime.history_folder / "snapshots")
    past = SnapshotPast(snapshot.frame, as_of_us, ServingLag())
    for task, values in zip((waiting_task(), occurs_task(), score_task()), must, strict=True):
        found = RequestHistory(task, past).examples(as_of_us)
        targets = np.full(len(values), np.nan)
        targets[found.rows] = found.target
        assert np.array_equal(targets, values, equal_nan=True), task.target


def report_of(folder: Path, events: list[dict[str, Any]], app: App = odd.app) -> LearnReport:
    return learn(given(opened(app, folder), events), workers=1)


def occurring(share: float) -> tuple[App, list[dict[str, Any]]]:
    """Whether an order is delivered at all, of which so large a share is."""
    task = fb.Predict(on=odd.Order, target=fb.occurs(odd.Delivered, by="order", within="6h"))
    app = fb.App(
        "comes",
        events=[odd.Order, odd.Delivered],
        task=task,
        candidates={"linear": fb.Linear()},
        gates=fb.gates(min_examples=20),
    )
    return app, [one for one in odd.history() if one["type"] == "order" or one["order"] <= share * 400]


@pytest.mark.parametrize(("share", "which"), [(0.0, "it never happened"), (1.0, "it always happened")])
def test_all_of_one_class_is_named_and_nothing_is_released(tmp_path: Path, share: float, which: str) -> None:
    app, events = occurring(share)
    report = report_of(tmp_path, events, app)
    assert (report.status, report.released, report.reason) == ("done", False, "no candidate passed its gates")
    warnings = [note for note in report.notes if "of one class" in note]
    assert [which in note for note in warnings] == [True, True], report.notes
    assert "AUC" in str(report) or "auc" in str(report)


def test_a_target_that_never_comes_is_named_with_what_to_check(tmp_path: Path) -> None:
    orders = [one for one in odd.history() if one["type"] == "order"]
    report = report_of(tmp_path, orders)
    assert report.status == "too_little_data"
    assert report.reason == (
        "nothing to learn from: no Delivered that names the order of a request came within 6h after any of 400 "
        "requests: check that it is ingested, with the same order, and that the span is long enough"
    )


@pytest.mark.parametrize(("events", "got"), [(0, "no request"), (2, "1 held")])
def test_no_row_and_one_row_are_too_few_by_name(tmp_path: Path, events: int, got: str) -> None:
    report = report_of(tmp_path, odd.history(1)[:events])
    assert report.status == "too_little_data"
    assert report.reason.startswith("too little to evaluate on: the last fifth of the requests with a final label must")
    assert f"labels of Order: {got}" in report.reason


def test_a_value_that_overflows_spoils_no_learning_and_the_champion_stays(tmp_path: Path) -> None:
    events = [one | ({"km": 1e308} if one.get("order") == 7 and "km" in one else {}) for one in odd.history()]
    runtime = given(opened(odd.app, tmp_path), odd.history())
    first = learn(runtime, workers=1)
    assert first.released
    spoiled = report_of(tmp_path / "spoiled", events)
    assert spoiled.status == "done"
    given(runtime, [one | {"order": one["order"] + 1_000, "at": one["at"] + odd.DAY_US} for one in events])
    again = learn(runtime, workers=1)
    assert (again.status, again.champion is not None) == ("done", True)


def test_an_event_may_declare_a_thousand_fields(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(1_000)]
    body: dict[str, Any] = {
        "__module__": __name__,
        "__annotations__": {"order": odd.OrderId, **dict.fromkeys(names, float | None)},
        **dict.fromkeys(names),
    }
    wide: Any = new_class("Order", (fb.Event,), {"frozen": True, "kw_only": True}, lambda space: space.update(body))
    app = fb.App(
        "wide",
        events=[wide, odd.Delivered],
        task=fb.Predict(on=wide, target=fb.elapsed(odd.Delivered, by="order", within="6h", unit="m")),
        candidates={"linear": fb.Linear()},
        gates=fb.gates(min_examples=20),
    )
    events = [
        {"type": one["type"], "at": one["at"], "order": one["order"]} | ({"c7": one["km"]} if "km" in one else {})
        for one in odd.history(200)
    ]
    report = report_of(tmp_path, events, app)
    assert (report.status, report.released) == ("done", True)


def test_the_same_moment_in_any_zone_is_one_event(tmp_path: Path) -> None:
    times: list[Any] = ["2026-01-02T00:30:00+02:00", "2026-01-01T22:30:00Z", 1_767_306_600_000_000, "2026-01-01 22:30"]
    lines = [json.dumps({"type": "order", "at": at, **GOOD}).encode() for at in times]
    report, quarantined = ingested(opened(odd.app, tmp_path), lines, "jsonl")
    assert (report.accepted, report.duplicates, quarantined) == ({"order": 1}, 3, [])


def test_a_time_without_a_zone_is_read_in_that_of_the_settings_by_every_way(home: Path, tmp_path: Path) -> None:
    times = ["2026-03-28 12:00", "2026-03-29 12:00", "2026-03-29 02:30", "29.03.2026"]
    lines = [json.dumps({"type": "order", "at": at, **GOOD}).encode() for at in times]
    runtime = opened(odd.app, tmp_path, odd.START_US + 200 * odd.DAY_US, "Europe/Berlin")
    report, quarantined = ingested(runtime, lines, "jsonl")
    assert report.accepted == {"order": 2}  # at 11:00 and 10:00 UTC; the third does not exist
    assert [reason for reason, _ in quarantined] == ["bad_time", "bad_time"]
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(json.dumps({**GOOD, "at": at}) for at in [*times, -1, 10**16]) + "\n")
    assert answer_file(opened(odd.app, home, zone="Europe/Berlin"), source, out).failed == 4
    errors = [json.loads(line)["error"] for line in out.read_text().splitlines()]
    assert errors[:2] == [None, None]
    assert all(error.startswith("time") for error in errors[2:]), errors


def test_advice_is_given_for_what_json_has_not() -> None:
    assert NO_NAN in json_fault(CASES["NaN"].body.encode(), ValueError("x"))


def test_every_case_is_on_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/odd-input.md").read_text()
    assert [name for name in CASES if name != "good" and name not in page] == []
