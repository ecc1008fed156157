"""Each route, for each role, without a key, and with one that is revoked, expired or of a web page: from the table."""

from typing import Any

import pytest
from starlette.routing import Route
from tests.serving.locked import bearer, lock_home, refresh, send

from flyball import ItemKNN
from flyball.access import ROLES, holds_role
from flyball.core import NotAllowed
from flyball.runtime import Runtime
from flyball.serving import Service
from flyball.serving.http.front import guarded
from flyball.serving.http.route_roles import OPEN, ROLE_OF_ROUTE, RouteRoles
from flyball.testing import faulty

pytestmark = pytest.mark.anyio

NOW_US = faulty.START_US + 2 * faulty.DAY_US
PAGE = "https://shop.example"


def routes_of(service: Service, app: Any) -> set[str]:
    return {
        f"{method} {route.path.replace(':path}', '}')}"
        for route in app._inner._inner.routes
        if isinstance(route, Route)
        for method in (route.methods or ("GET",)) - {"HEAD"}
    }


async def test_every_route_has_a_role_and_every_row_a_route(home: Runtime, call: Any) -> None:
    async with call(home, wait=False) as caller:
        routes = routes_of(caller.service, caller.client._transport.app)
        assert routes == RouteRoles(caller.service).table.keys()
    assert set(ROLE_OF_ROUTE.values()) <= {*ROLES, OPEN}


async def test_each_route_takes_its_role_and_nothing_else(home: Runtime, call: Any) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    keys = lock_home(home)
    async with call(home) as caller:
        table = RouteRoles(caller.service).table
        for route, role in table.items():
            if route.startswith("POST /v1/keys/{key}/"):
                assert role == "admin"
            for name, key in keys.items():
                headers = bearer(key, origin=PAGE) if name == "page" else bearer(key)
                answer = await send(caller.client, route, headers)
                holds = name in ROLES and holds_role((name,), role)
                holds = holds or (name == "page" and role in ("serve", "write-events"))
                if role == OPEN or holds:
                    assert answer.status_code not in (401, 403, 429), (route, name, answer.text)
                elif name in ("revoked", "expired"):
                    assert answer.status_code == 401, (route, name, answer.text)
                    assert answer.headers["www-authenticate"] == 'Bearer realm="flyball"'
                else:
                    assert answer.status_code == 403, (route, name, answer.text)
                    assert f"must be {role}" in answer.json()["detail"]
            for headers in ({}, {"authorization": "Basic eDp5"}, bearer("fb_x"), bearer("")):
                answer = await send(caller.client, route, headers)
                assert (answer.status_code == 401) == (role != OPEN), (route, headers, answer.text)


async def test_what_is_no_route_needs_a_key_too(home: Runtime, call: Any) -> None:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        for method, path, status in (("GET", "/nowhere", 404), ("DELETE", "/v1/events", 405), ("PUT", "/healthz", 405)):
            assert (await caller.client.request(method, path)).status_code == 401
            assert (await caller.client.request(method, path, headers=bearer(keys["read"]))).status_code == status


async def test_a_key_that_is_revoked_stops_with_the_next_reading(home: Runtime, call: Any) -> None:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        admin, serve = bearer(keys["admin"]), bearer(keys["serve"])
        assert (await caller.client.get("/v1/recommend?user=7", headers=serve)).status_code != 401
        listed = (await caller.client.get("/v1/keys", headers=admin)).json()["keys"]
        assert {key["name"]: key["state"] for key in listed}["expired"] == "expired"
        assert not any("salt" in key or "digest" in key for key in listed)
        gone = await caller.client.post("/v1/keys/serve/revoke", json={"reason": "leaked"}, headers=admin)
        assert (gone.status_code, gone.json()["state"]) == (200, "revoked")
        refresh(caller.service)
        assert (await caller.client.get("/v1/recommend?user=7", headers=serve)).status_code == 401
        made = await caller.client.post("/v1/keys", json={"roles": ["serve"], "expires": "1d"}, headers=admin)
        refresh(caller.service)
        assert (made.status_code, made.json()["roles"]) == (201, ["serve"])
        assert (await caller.client.get("/v1/rating?user=7", headers=bearer(made.json()["key"]))).status_code != 401
        trail = (await caller.client.get("/v1/audit", headers=bearer(keys["read"]))).json()["actions"]
        last = [(action["action"], action["by"].partition(" (")[0], action["source"]) for action in trail[-2:]]
        assert last == [("keys revoke", "key admin", "127.0.0.1"), ("keys create", "key admin", "127.0.0.1")]


async def test_a_path_that_only_the_routing_would_match_is_refused(home: Runtime, call: Any) -> None:
    """A pattern that ends in $ matches before a line feed, too."""
    for locked in (False, True):
        keys = lock_home(home) if locked else {}
        sent = [bearer(keys["serve"]), bearer(keys["admin"])] if keys else [{}]
        async with call(home, wait=False) as caller:
            for route in RouteRoles(caller.service).table:
                method, _, path = route.partition(" ")
                for ending in ("%0A", "%0a", "%0D", "%7f", "%00"):
                    for headers in sent:
                        body = {"json": {"roles": ["admin"], "name": "stolen"}} if method == "POST" else {}
                        answer = await caller.client.request(method, path + ending, headers=headers, **body)
                        assert answer.status_code == 400, (route, ending, answer.text)
                        assert "path must be free of control characters" in answer.json()["detail"]


async def test_a_head_request_changes_nothing_whatever_its_body(home: Runtime, call: Any) -> None:
    paths = ("/v1/releases", "/v1/silences")
    for locked in (False, True):
        keys = lock_home(home) if locked else {}
        headers = bearer(keys["admin"]) if keys else {}
        async with call(home, wait=False) as caller:
            before = [(await caller.client.get(path, headers=headers)).json() for path in paths]
            for route in RouteRoles(caller.service).table:
                method, _, path = route.partition(" ")
                for body in ({"versions": ["v1"], "reason": "x"}, {"matches": {"monitor": "m"}, "reason": "x"}, {}):
                    answer = await caller.client.request("HEAD", path, headers=headers, json=body)
                    assert answer.content == b""
                    assert answer.status_code not in (201, 204), route
                    if method == "POST" and f"GET {path}" not in RouteRoles(caller.service).table:
                        assert answer.status_code in (404, 405), (route, answer.status_code)
            after = [(await caller.client.get(path, headers=headers)).json() for path in paths]
            assert after == before


async def test_a_handler_runs_by_the_role_of_its_own_route_alone() -> None:
    ran = []

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        ran.append(scope["method"])

    kept = guarded(handler, {"GET": "read", "POST": "admin"})
    for role, method, runs in (
        ("read", "GET", True),
        ("read", "POST", False),
        ("admin", "POST", True),
        ("read", "PATCH", False),
        (None, "GET", False),
    ):
        ran.clear()
        try:
            await kept({"method": method, "flyball.role": role}, None, None)  # type: ignore[arg-type]
        except NotAllowed:
            assert not runs
        assert ran == ([method] if runs else [])


async def test_a_header_that_decides_is_sent_once(home: Runtime, call: Any) -> None:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        for name, values in (
            ("authorization", [f"Bearer {keys['serve']}", f"Bearer {keys['admin']}"]),
            ("host", ["evil.example", "localhost"]),
            ("origin", ["https://evil.example", "http://localhost"]),
        ):
            headers = [("authorization", f"Bearer {keys['admin']}")] if name != "authorization" else []
            headers += [(name, value) for value in values]
            answer = await caller.client.get("/v1/keys", headers=headers)
            assert answer.status_code == 400, name
            assert f"header {name} must be sent once, got '2 of them'" in answer.json()["detail"]
