"""Pages of other origins: refused where they change anything, declared ones let in, and none by a rebound name."""

from typing import Any

import httpx
import pytest
from tests.serving.locked import bearer, lock_home

from flyball.runtime import Runtime

pytestmark = pytest.mark.anyio

PAGE, OTHER = "https://shop.example", "https://evil.example"
EVENT = {"type": "watch", "user": 7, "film": "film-3"}


async def post(caller: Any, path: str = "/v1/events", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer: httpx.Response = await caller.client.post(path, json=EVENT, headers=named)
    return answer


async def test_a_page_elsewhere_cannot_write_or_ask_where_no_key_is_needed(home: Runtime, call: Any) -> None:
    async with call(home, wait=False) as caller:
        assert (await post(caller)).status_code == 200
        assert (await post(caller, origin="http://localhost")).status_code == 200
        assert (await post(caller, sec_fetch_site="same-origin")).status_code == 200
        for headers in (
            {"origin": OTHER},
            {"origin": "null"},
            {"origin": "http://localhost:3000"},
            {"sec_fetch_site": "cross-site"},
            {"sec_fetch_site": "same-site"},
        ):
            for path in ("/v1/events", "/v1/recommend"):
                refused = await post(caller, path, **headers)
                assert refused.status_code == 403, (headers, refused.text)
                assert "access-control-allow-origin" not in refused.headers
        for path in ("/recommend/7", "/v1/recommend?user=7"):
            headers = {"sec-fetch-site": "cross-site"}
            assert (await caller.client.get(path, headers=headers)).status_code == 403, "an answer leaves a record"
        assert (await caller.client.get("/v1/releases", headers=headers)).status_code == 200
        detail = (await post(caller, origin=OTHER)).json()["detail"]
        assert "must be this service or one in the setting origins, got https://evil.example: declare it" in detail


async def test_a_declared_page_is_let_in_and_may_read_the_answer(home: Runtime, call: Any) -> None:
    keys = lock_home(home, origins=("http://localhost:3000",))
    async with call(home, wait=False) as caller:
        for page, key in (("http://localhost:3000", keys["admin"]), (PAGE, keys["page"])):
            asked = await caller.client.options(
                "/v1/events", headers={"origin": page, "access-control-request-method": "POST"}
            )
            assert asked.status_code == 204
            assert asked.headers["access-control-allow-origin"] == page
            assert asked.headers["access-control-max-age"] == "600"
            assert "Origin" in asked.headers["vary"]
            assert "authorization" in asked.headers["access-control-allow-headers"]
            sent = await post(caller, origin=page, **bearer(key))
            assert (sent.status_code, sent.headers["access-control-allow-origin"]) == (200, page)
            assert sent.headers["vary"] == "Origin"
            without = await post(caller, origin=page)
            assert (without.status_code, without.headers["access-control-allow-origin"]) == (401, page)


async def test_preflights_of_other_pages_are_refused(home: Runtime, call: Any) -> None:
    lock_home(home, origins=("http://localhost:3000",))
    async with call(home, wait=False) as caller:
        for page in (
            OTHER,
            "http://localhost:3001",
            "https://localhost:3000",
            "null",
            "http://localhost:3000.evil.example",
        ):
            headers = {"origin": page, "access-control-request-method": "POST"}
            asked = await caller.client.options("/v1/events", headers=headers)
            assert asked.status_code == 403, page
            assert "access-control-allow-origin" not in asked.headers


async def test_a_key_of_a_page_is_refused_from_elsewhere(home: Runtime, call: Any) -> None:
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        key = bearer(keys["page"])
        assert (await post(caller, origin=PAGE, **key)).status_code == 200
        for headers in (
            {},
            {"origin": OTHER},
            {"origin": "https://shop.example:8443"},
            {"sec_fetch_site": "same-origin"},
        ):
            refused = await post(caller, **headers, **key)
            assert refused.status_code == 403
            assert "origin of a request with this key must be https://shop.example" in refused.json()["detail"]
        own = {"host": "shop.example", "sec-fetch-site": "same-origin", **key}
        assert (await caller.client.get("/v1/recommend?user=7", headers=own)).status_code != 403


async def test_a_rebound_name_is_refused_where_no_key_is_needed(home: Runtime, call: Any) -> None:
    async with call(home, wait=False) as caller:
        for host, status in (
            ("evil.example:8082", 403),
            ("localhost.evil.example", 403),
            ("localhost:8082", 200),
            ("127.0.0.1:8082", 200),
            ("[::1]:8082", 200),
        ):
            assert (await caller.client.get("/v1/releases", headers={"host": host})).status_code == status, host
            assert (await post(caller, host=host, origin=f"http://{host}")).status_code == status
            assert (await caller.client.get("/healthz", headers={"host": host})).status_code == 200
    keys = lock_home(home)
    async with call(home, wait=False) as caller:
        headers = {"host": "shop.example", **bearer(keys["read"])}
        assert (await caller.client.get("/v1/releases", headers=headers)).status_code == 200


async def test_a_page_of_a_key_may_do_nothing_without_it(home: Runtime, call: Any) -> None:
    """Where this machine needs no key, a page that a key is bound to must send that key nevertheless."""
    lock_home(home, access="loopback-open", manage=True)
    async with call(home, wait=False) as caller:
        for path in ("/v1/audit", "/v1/releases"):
            read = await caller.client.get(path, headers={"origin": PAGE})
            assert "access-control-allow-origin" not in read.headers, "the browser keeps it from the page"
        body = {"matches": {"monitor": "m"}, "reason": "x"}
        assert (await caller.client.post("/v1/silences", json=body, headers={"origin": PAGE})).status_code == 403
        assert (await post(caller, origin=PAGE)).status_code == 403


async def test_a_rebound_name_is_refused_too_where_others_need_a_key(home: Runtime, call: Any) -> None:
    lock_home(home, access="loopback-open", host="0.0.0.0")
    async with call(home, wait=False) as caller:
        for host, status in (("evil.example:8082", 403), ("[::1].evil.example", 403), ("localhost:8082", 200)):
            assert (await post(caller, host=host, origin=f"http://{host}")).status_code == status, host
