"""Releases over HTTP do what the command line does, and change nothing where the setting does not allow it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from flyball import ItemKNN
from flyball.policy import bandit, canary
from flyball.registry import Case, add_versions, open_case
from flyball.releases import ArmReward, MetricEvidence, current
from flyball.runtime import Runtime
from flyball.testing import faulty

pytestmark = pytest.mark.anyio

NOW_US = faulty.START_US + 2 * faulty.DAY_US


@pytest.fixture
async def caller(home: Runtime, call: Any) -> AsyncIterator[Any]:
    """A service whose champion is v1, beside v2 that may serve; the application declares a canary."""
    faulty.release(home, ItemKNN(), NOW_US)
    twin = msgspec.structs.replace(home.registry.version("v1"), id="", state="candidate")
    add_versions(home.registry, [twin])
    before = home.app.release
    home.app.release = canary(10, 100)
    home.settings = msgspec.structs.replace(home.settings, manage=True)
    async with call(home) as caller:
        yield caller
    home.app.release = before


async def post(caller: Any, path: str, document: Any) -> Any:
    return await caller.client.post(path, json=document)


async def test_a_release_is_started_shown_and_ended(caller: Any) -> None:
    listed = (await caller.get("/v1/releases")).json()["releases"]
    assert [(one["id"], one["state"]) for one in listed] == [("rel1", "champion")]
    started = await post(caller, "/v1/releases", {"versions": ["v2"], "reason": "more varied", "by": "ann"})
    assert (started.status_code, started.json()["changed"]) == (201, True)
    shown = (await caller.get("/v1/releases/rel2")).json()
    assert shown["state"] == "canary at 10 % (step 1 of 2)"
    assert shown["next"].startswith("waits to go on to 100 %: until ")
    assert [(step["command"], step["by"], step["reason"]) for step in shown["steps"]] == [
        ("draft", "anyone from 127.0.0.1, says ann", "more varied"),
        ("start", "anyone from 127.0.0.1, says ann", "more varied"),
    ]
    for command, state in (
        ("pause", "held"),
        ("resume", "canary"),
        ("promote", "champion"),
        ("rollback", "rolled_back"),
    ):
        assert (await post(caller, f"/v1/releases/rel2/{command}", {})).status_code == 200
        assert (await caller.get("/v1/releases/rel2")).json()["release"]["state"] == state
    assert current(caller.service.runtime.registry).champion == "v1"


async def test_a_tester_who_asks_for_an_arm_that_is_not_there_gets_the_list_of_arms(caller: Any) -> None:
    async def answered(arm: str, kind: str = "application/json", **sent: Any) -> Any:
        headers = {"x-flyball-arm": arm, "content-type": kind}
        return await caller.client.post("/v1/recommend", headers=headers, **sent)

    nothing = await answered("candidate", json={"user": 1})
    message = "header x-flyball-arm must be left out: no release under way has arms, got 'candidate'"
    assert (nothing.status_code, nothing.json()["detail"]) == (400, message)
    await post(caller, "/v1/releases", {"versions": ["v2"], "reason": "so"})
    await caller.until(lambda: bool(caller.service.engine.arms))
    lines = b'{"user": 1}\n{"user": 2}\n'
    for sent in ({"json": {"user": 1}}, {"json": [{"user": 1}]}, {"content": lines, "kind": "application/x-ndjson"}):
        refused = await answered("nonsense", **sent)
        assert refused.status_code == 400
        assert "one of candidate, control, rel2:candidate, rel2:control, got" in refused.json()["detail"]


async def test_a_shadow_is_started_shown_and_advanced(caller: Any) -> None:
    started = await post(caller, "/v1/releases", {"versions": ["v2"], "shadow": 25})
    assert (started.status_code, started.json()["message"]) == (201, "rel2 started: v2 against v1, shadow")
    shown = (await caller.get("/v1/releases/rel2")).json()
    assert (shown["state"], shown["shadow"], shown["release"]["sampled"]) == ("shadow", None, 0.25)
    assert "1,000 answers of the shadow, 0 so far" in shown["missing"]
    assert (await post(caller, "/v1/releases/rel2/advance", {})).json()["message"] == (
        "rel2: shadow before, now canary at 10 % (step 1 of 2)"
    )


async def test_what_cannot_be_done_says_why(caller: Any) -> None:
    for path, document, status, words in (
        ("/v1/releases", {"versions": []}, 400, "field versions must be a list of versions"),
        (
            "/v1/releases",
            {"versions": ["v2"], "why": "x"},
            400,
            "field must be one of by, credit, interleave, reason, shadow, versions",
        ),
        ("/v1/releases", {"versions": ["v2"], "shadow": 0}, 400, "field shadow must be percent of the requests"),
        ("/v1/releases", [], 400, "body must be one JSON object"),
        ("/v1/releases", {"versions": ["v9"]}, 404, "v9"),
        ("/v1/releases", {"versions": ["v1"]}, 409, "another version than the champion"),
        ("/v1/releases/rel1/abort", {}, 409, "rel1 is champion, where one can"),
        ("/v1/releases/rel1/pause", {"reason": 7}, 400, "field reason must be text"),
        ("/v1/releases/rel9/abort", {}, 404, "rel9"),
    ):
        answer = await post(caller, path, document)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert (await caller.get("/v1/releases/rel9")).status_code == 404


async def test_without_the_setting_nothing_changes(home: Runtime, call: Any) -> None:
    async with call(home) as caller:
        await _nothing_changes(caller)


async def _nothing_changes(caller: Any) -> None:
    runtime = caller.service.runtime
    before = current(runtime.registry)
    for path in ("/v1/releases", "/v1/releases/rel1/rollback"):
        answer = await post(caller, path, {"versions": ["v2"]})
        assert (answer.status_code, "FLYBALL_MANAGE=true" in answer.json()["detail"]) == (401, True)
    assert current(runtime.registry) == before
    assert (await caller.get("/v1/releases")).status_code == 200


async def test_a_release_of_drafted_lists_is_started(caller: Any) -> None:
    document = {"versions": ["v2"], "interleave": True, "credit": "positive"}
    started = await post(caller, "/v1/releases", document)
    assert started.status_code == 201, started.text
    assert "rel2 started: v2 against v1, interleave" in started.json()["message"]
    wrong = await post(caller, "/v1/releases", {"versions": ["v2"], "interleave": "yes"})
    assert (wrong.status_code, "field interleave must be true or false" in wrong.json()["detail"]) == (400, True)


async def test_what_does_not_go_with_drafted_lists_is_refused(caller: Any) -> None:
    for document, words in (
        ({"interleave": True, "credit": "nothing"}, "credit of interleave(...) must be among labels of the task"),
        ({"credit": "positive"}, "field credit must be left out without interleave"),
        ({"interleave": True, "shadow": 5}, "field shadow must be left out with interleave"),
    ):
        answer = await post(caller, "/v1/releases", {"versions": ["v2"], **document})
        assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text
    assert current(caller.service.runtime.registry).numbered == 1


async def test_a_command_needs_no_body(caller: Any) -> None:
    await post(caller, "/v1/releases", {"versions": ["v2"]})
    assert (await caller.client.post("/v1/releases/rel2/abort")).status_code == 200
    steps = (await caller.get("/v1/releases/rel2")).json()["steps"]
    assert (steps[-1]["command"], steps[-1]["reason"]) == ("abort", "over HTTP")
    assert steps[-1]["by"] == "anyone from 127.0.0.1"
    headers = {"content-type": "application/json"}
    broken = await caller.client.post("/v1/releases/rel2/abort", content=b'{"reason": ', headers=headers)
    assert (broken.status_code, "body must be a JSON object" in broken.json()["detail"]) == (400, True)


async def test_what_the_controller_measured_is_shown(caller: Any) -> None:
    await post(caller, "/v1/releases", {"versions": ["v2"], "interleave": True})
    runtime = caller.service.runtime
    (release,) = current(runtime.registry).under_way
    sentence = "v2 (candidate) earned 5 against 3 by control"
    runtime.known_metrics.note(
        release, NOW_US, [MetricEvidence("positive", "candidate", "success", sentence=sentence)], ""
    )
    assert (await caller.get("/v1/releases/rel2")).json()["metrics"] == [sentence]


async def test_a_bandit_shows_what_its_arms_brought_in(caller: Any) -> None:
    runtime = caller.service.runtime
    runtime.app.release = bandit({"control": 3, "candidate": 1}, reward="positive")
    await post(caller, "/v1/releases", {"versions": ["v2"]})
    (release,) = current(runtime.registry).under_way
    rewards = [ArmReward("control", "", 40, 40.0, 0.25, 0.25), ArmReward("candidate", "", 12, 12.0, 0.5, 0.5)]
    runtime.known_metrics.note_rewards(release, rewards, True)
    shown = (await caller.get("/v1/releases/rel2")).json()
    assert shown["rewards"] == [
        {"arm": "control", "group": "", "share": 0.75, "answers": 40, "effective": 40.0, "mean": 0.25},
        {"arm": "candidate", "group": "", "share": 0.25, "answers": 12, "effective": 12.0, "mean": 0.5},
    ]
    assert shown["metrics"] == [
        "control: positive 0.25 over 40 answers, share 75.00%",
        "candidate: positive 0.5 over 12 answers, share 25.00%",
    ]


async def test_cases_are_read_over_http(caller: Any) -> None:
    registry = caller.service.runtime.registry
    waiting = Case(app="cinema", trigger="fb.on_drift()", kind="drift", cause="stars fell", opened_us=5)
    known = len((await caller.get("/v1/cases")).json()["cases"])
    case = open_case(registry, waiting)
    listed = (await caller.get("/v1/cases")).json()["cases"]
    assert len(listed) == known + 1
    shown = (await caller.get(f"/v1/cases/{case.id}")).json()
    assert shown == listed[-1]
    assert (shown["case"]["cause"], shown["verdict"]) == ("stars fell", "waiting")
    assert (await caller.get("/v1/cases/c999")).status_code == 404
