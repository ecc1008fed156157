"""Incidents over HTTP do what the command line does, and change nothing where the setting does not allow it."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import msgspec
import pytest

from flyball import ItemKNN
from flyball.monitoring import Finding, clear, find_incident, record_findings
from flyball.runtime import Runtime
from flyball.testing import faulty

pytestmark = pytest.mark.anyio

NOW_US = faulty.START_US + 2 * faulty.DAY_US
SEEN = Finding("freshness", "events.Watch", NOW_US, NOW_US - 5, "high", "the latest watch is 2 h old", "own", {"h": 2})


@pytest.fixture
async def caller(home: Runtime, call: Any) -> AsyncIterator[Any]:
    """A service of an application with one incident of high severity."""
    faulty.release(home, ItemKNN(), NOW_US)
    record_findings(home, [SEEN], NOW_US)
    home.settings = msgspec.structs.replace(home.settings, manage=True)
    async with call(home) as caller:
        yield caller


async def post(caller: Any, path: str, document: Any) -> Any:
    return await caller.client.post(path, json=document)


async def test_an_incident_is_listed_shown_and_brought_to_its_end(caller: Any) -> None:
    (row,) = (await caller.get("/v1/incidents")).json()["incidents"]
    assert (row["incident"]["id"], row["holding"]) == ("inc1", 1)
    shown = (await caller.get("/v1/incidents/inc1")).json()
    assert (shown["holding"][0]["last"]["message"], shown["context"]["champion"]) == (
        "the latest watch is 2 h old",
        "v1",
    )
    taken = (await post(caller, "/v1/incidents/inc1/acknowledge", {"by": "ann", "revision": 1})).json()
    assert (taken["state"], taken["owner"], taken["revision"]) == ("acknowledged", "ann", 2)
    late = await post(caller, "/v1/incidents/inc1/assign", {"owner": "ben", "revision": 1})
    assert (late.status_code, "must be at revision 1, got 2" in late.json()["detail"]) == (409, True)
    await post(caller, "/v1/incidents/inc1/note", {"reason": "seen", "cause": "a full disk", "action": "watch it"})
    await post(caller, "/v1/incidents/inc1/mitigate", {"reason": "restarted", "step": 1})
    early = await post(caller, "/v1/incidents/inc1/close", {"reason": "over"})
    assert (early.status_code, "no finding that still holds" in early.json()["detail"]) == (409, True)
    clear(caller.service.runtime, SEEN.fingerprint, NOW_US + 1)
    assert (await post(caller, "/v1/incidents/inc1/close", {"reason": "over"})).json()["state"] == "closed"
    assert (await caller.get("/v1/incidents")).json()["incidents"] == []
    assert len((await caller.get("/v1/incidents?closed=true")).json()["incidents"]) == 1
    commands = [entry["command"] for entry in (await caller.get("/v1/incidents/inc1")).json()["timeline"]]
    assert commands == ["open", "acknowledge", "note", "mitigate", "over", "close"]
    assert (await post(caller, "/v1/incidents/inc1/reopen", {"reason": "not yet"})).json()["state"] == "reopened"


async def test_the_bundle_is_a_zip_file(caller: Any) -> None:
    answer = await caller.get("/v1/incidents/inc1/bundle")
    name = caller.service.runtime.app.name
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}-inc1.zip"'
    with ZipFile(BytesIO(answer.content)) as archive:
        versions = json.loads(archive.read(f"{name}-inc1/versions.json"))["versions"]
    assert [version["id"] for version in versions] == ["v1"]


async def test_silences_and_the_digest(caller: Any) -> None:
    silence = {"matches": {"monitor": "miss*"}, "for": "3h", "reason": "a move", "by": "ann"}
    added = await post(caller, "/v1/silences", silence)
    assert (added.status_code, added.json()["id"]) == (201, "sil1")
    assert added.json()["ends_us"] - added.json()["starts_us"] == 3 * 3_600_000_000
    assert (await post(caller, "/v1/silences/sil1/end", {})).status_code == 200
    assert len((await caller.get("/v1/silences")).json()["silences"]) == 1
    assert (await caller.get("/v1/incidents/digest?since=1d")).json()["open"] == ["inc1"]
    assert (await caller.get("/v1/sinks")).json() == {"sinks": []}


async def test_what_cannot_be_done_says_why(caller: Any) -> None:
    for path, document, status, words in (
        ("/v1/incidents/inc9/note", {"reason": "x"}, 404, "no incident 'inc9'"),
        ("/v1/incidents/inc1/note", {}, 400, "reason of note must be the text of the note"),
        ("/v1/incidents/inc1/note", {"reason": 7}, 400, "field reason must be text"),
        ("/v1/incidents/inc1/note", {"why": "x"}, 400, "field must be one of accept, action, by, cause, done"),
        ("/v1/incidents/inc1/reopen", {"reason": "x"}, 409, "inc1 is open, where it can be acknowledged"),
        ("/v1/incidents/inc1/note", [], 400, "body must be one JSON object"),
        ("/v1/silences", {"matches": {}, "reason": "x"}, 400, "matchers of a silence must be one or more of"),
        ("/v1/silences", {"matches": {"monitor": "x"}, "for": "soon"}, 400, "field for must be numbers with units"),
        ("/v1/silences/sil9/end", {}, 404, "no silence 'sil9'"),
    ):
        answer = await post(caller, path, document)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    for path, status in (("/v1/incidents/inc9", 404), ("/v1/incidents?closed=maybe", 400), ("/v1/incidents?x=1", 400)):
        assert (await caller.get(path)).status_code == status


async def test_without_the_setting_nothing_changes(home: Runtime, call: Any) -> None:
    record_findings(home, [SEEN], NOW_US)
    async with call(home) as caller:
        await _nothing_changes(caller)


async def _nothing_changes(caller: Any) -> None:
    runtime = caller.service.runtime
    for path in ("/v1/incidents/inc1/acknowledge", "/v1/silences", "/v1/silences/sil1/end"):
        answer = await post(caller, path, {})
        assert (answer.status_code, "FLYBALL_MANAGE=true" in answer.json()["detail"]) == (401, True)
    assert find_incident(runtime.registry, "inc1").state == "open"
    assert (await caller.get("/v1/incidents")).status_code == 200


async def test_every_route_is_in_the_document(caller: Any) -> None:
    described = (await caller.get("/openapi.json")).json()["paths"]
    routes = [
        route
        for route in caller.client._transport.app._inner._inner.routes
        if "/incidents" in route.path or "sil" in route.path
    ]
    assert {route.path for route in routes} <= described.keys()
    for route in routes:
        assert {method.lower() for method in route.methods - {"HEAD"}} <= described[route.path].keys()


async def test_metrics_count_incidents_and_alerts(caller: Any) -> None:
    text = (await caller.get("/metrics")).text
    assert 'flyball_incidents{severity="high",state="open"} 1.0' in text
    assert 'flyball_incidents{severity="low",state="open"} 0.0' in text
    assert 'flyball_alerts{state="firing"} 1.0' in text
    assert "flyball_incidents_overdue 0.0" in text
