"""Quarantine, keys and the audit trail over HTTP: what is listed, what is done, and what is wrong."""

from typing import Any

import pytest
from tests.serving.locked import bearer, lock_home, refresh

from flyball.runtime import Runtime

pytestmark = pytest.mark.anyio

BAD = {"type": "watch", "user": "nobody", "film": "film-3"}


async def test_lines_in_quarantine_are_listed_and_tried_again(home: Runtime, call: Any) -> None:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        for number in range(3):
            line = BAD | {"film": f"film-{number}"}
            await caller.client.post("/v1/events", json=line, headers=bearer(keys["write-events"]))
        read, operate = bearer(keys["read"]), bearer(keys["operate"])
        listed = (await caller.client.get("/v1/quarantine", headers=read)).json()
        assert sum(listed["open"].values()) == len(listed["entries"]) == 3
        first = listed["entries"][0]
        assert '"nobody"' in first["raw"]
        path = f"/v1/quarantine?limit=1&after={first['id']}&reason={first['reason']}"
        (second,) = (await caller.client.get(path, headers=read)).json()["entries"]
        assert second["id"] > first["id"]
        for query in ("limit=1001", "limit=-1", "after=x", "limit=1&limit=2", "x=1", f"after={'9' * 30}"):
            assert (await caller.client.get(f"/v1/quarantine?{query}", headers=read)).status_code == 400, query
        tried = (await caller.client.post("/v1/quarantine/retry", json={"id": first["id"]}, headers=operate)).json()
        assert (tried["tried"], tried["still_bad"]) == (1, 1)
        (action,) = (await caller.client.get("/v1/audit?since=1h", headers=read)).json()["actions"][-1:]
        assert (action["action"], action["subject"]) == ("quarantine retry", f"id {first['id']}")
        assert action["by"].startswith("key operate (")
        for body in ({"id": "x"}, {"other": 1}, [1], {"id": 1 << 62}, {"id": 1 << 80}, {"id": 1e300}, {"id": 1.5}):
            answer = await caller.client.post("/v1/quarantine/retry", json=body, headers=operate)
            assert answer.status_code == 400, answer.text


async def test_what_is_wrong_with_a_key_is_said(home: Runtime, call: Any) -> None:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        admin = bearer(keys["admin"])
        for body, words in (
            ({}, "field roles must be given, got nothing"),
            ({"roles": ["owner"]}, "roles of a key must be of read, serve"),
            ({"roles": ["admin"], "origins": ["https://shop.example"]}, "of serve and write-events alone"),
            ({"roles": ["serve"], "expires": "soon"}, "field expires"),
            (
                {"roles": ["serve"], "key": "x"},
                "field must be one of event_types, expires, limit_answers, limit_events",
            ),
        ):
            answer = await caller.client.post("/v1/keys", json=body, headers=admin)
            assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text
        taken = await caller.client.post("/v1/keys", json={"roles": ["serve"], "name": "serve"}, headers=admin)
        assert taken.status_code == 409
        assert (await caller.client.post("/v1/keys/nobody/revoke", headers=admin)).status_code == 404


async def test_a_name_in_the_body_is_kept_as_what_it_says(home: Runtime, call: Any) -> None:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        silence = {"matches": {"monitor": "missing"}, "reason": "a move", "by": "admin from 1.2.3.4"}
        added = await caller.client.post("/v1/silences", json=silence, headers=bearer(keys["operate"]))
        assert added.status_code == 201, added.text
        trail = (await caller.client.get("/v1/audit", headers=bearer(keys["read"]))).json()["actions"]
        (last,) = [action for action in trail if action["action"] == "silence"]
        assert last["source"] == "127.0.0.1"
        assert last["by"].startswith("key operate (")
        assert last["by"].endswith("), says admin from 1.2.3.4")


async def test_the_last_use_of_a_key_is_shown(home: Runtime, call: Any) -> None:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        await caller.client.get("/v1/releases", headers=bearer(keys["read"]))
        caller.service._keys.step()
        listed = (await caller.client.get("/v1/keys", headers=bearer(keys["admin"]))).json()["keys"]
        used = {key["name"] for key in listed if key["used_us"] is not None}
        assert used == {"read"}
        refresh(caller.service)


async def test_the_document_asks_for_a_key_where_one_is_needed(home: Runtime, call: Any) -> None:
    async with call(home, wait=False) as caller:
        paths = (await caller.get("/openapi.json")).json()["paths"]
        assert paths["/v1/audit"]["get"]["security"] == [{}, {"key": ["read"]}]
        assert paths["/v1/recommend"]["post"]["security"] == [{}, {"key": ["serve"]}]
        assert paths["/v1/keys"]["get"]["security"] == [{"key": ["admin"]}]
        assert paths["/healthz"]["get"]["security"] == []
        assert (await caller.get("/v1/keys")).status_code == 401
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        answer = await caller.client.get("/openapi.json", headers=bearer(keys["read"]))
        security = [of_path["security"] for path in answer.json()["paths"].values() for of_path in path.values()]
        assert not any({} in alternatives for alternatives in security)
        assert answer.json()["paths"]["/v1/audit"]["get"]["security"] == [{"key": ["read"]}]


async def test_a_key_with_limits_of_its_own_is_refused_by_these_and_they_change_over_http(
    home: Runtime, call: Any
) -> None:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        admin, client = bearer(keys["admin"]), caller.client
        made = await client.post(
            "/v1/keys", json={"roles": ["serve"], "name": "few", "limit_answers": "20/h, burst 2"}, headers=admin
        )
        assert (made.status_code, made.json()["limit_answers"]) == (201, "20/h, burst 2")
        few = bearer(made.json()["key"])

        async def statuses(headers: dict[str, str], count: int) -> list[int]:
            refresh(caller.service)
            return [(await client.get("/recommend/7", headers=headers)).status_code for _ in range(count)]

        assert await statuses(few, 3) == [200, 200, 429]
        refused = await client.get("/recommend/7", headers=few)
        assert "must be at most 20/h, burst 2 (of key few (" in refused.json()["detail"]
        assert await statuses(bearer(keys["serve"]), 5) == [200] * 5
        many = await client.post("/v1/recommend", json=[{"user": 7}] * 3, headers=few)
        assert many.status_code == 429
        changed = await client.post("/v1/keys/few/limits", json={"limit_answers": "20/h, burst 3"}, headers=admin)
        assert (changed.status_code, changed.json()["limit_answers"]) == (200, "20/h, burst 3")
        assert await statuses(few, 4) == [200, 200, 200, 429]
        await client.post("/v1/keys/few/limits", json={"limit_answers": "default"}, headers=admin)
        assert await statuses(few, 5) == [200] * 5
        for body, status in (({}, 400), ({"limit_events": "lots"}, 400), ({"limit_answers": 5}, 400)):
            assert (await client.post("/v1/keys/few/limits", json=body, headers=admin)).status_code == status
        assert (await client.post("/v1/keys/x/limits", json={"limit_events": "none"}, headers=admin)).status_code == 404
        trail = (await client.get("/v1/audit", headers=bearer(keys["read"]))).json()["actions"]
        assert [action["source"] for action in trail if action["action"] == "keys limit"] == ["127.0.0.1"] * 2
