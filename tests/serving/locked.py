"""A service that needs keys: one of each role, and the forms in which a key can be wrong."""

import random
from collections.abc import Mapping

import httpx
import msgspec

from flyball.access import ROLES, create_key
from flyball.core import SystemClock
from flyball.registry import access_keys, revoke_access_key
from flyball.runtime import Runtime
from flyball.serving import Service

DAY_US = 86_400_000_000


def lock_home(runtime: Runtime, **settings: object) -> dict[str, str]:
    """Make keys, and have the service need them: {role, "revoked", "expired", "page": text of a key}."""
    runtime.settings = msgspec.structs.replace(runtime.settings, **settings)
    now_us, rng = SystemClock().now_us(), random.Random(5)
    texts = {}
    for name in (*ROLES, "revoked", "expired", "page"):
        roles = (name,) if name in ROLES else ("serve", "write-events") if name == "page" else ("admin",)
        made_us = now_us - 2 * DAY_US if name == "expired" else now_us
        key, text = create_key(
            runtime.registry,
            roles,
            rng,
            name=name,
            by="ann",
            now_us=made_us,
            origins=("https://shop.example",) if name == "page" else (),
            for_us=DAY_US if name == "expired" else None,
        )
        texts[name] = text.text
        if name == "revoked":
            revoke_access_key(runtime.registry, key.id, "ann", "", now_us)
    return texts


def bearer(key: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} | {name.replace("_", "-"): value for name, value in more.items()}


def refresh(service: Service) -> None:
    """What the service's thread does twice a second."""
    runtime = service.runtime
    service.authenticator.refresh(access_keys(runtime.registry), service.clock.now_us())


async def send(client: httpx.AsyncClient, route: str, headers: Mapping[str, str]) -> httpx.Response:
    """A request to a route of the table, with ids that exist nowhere and a body that says nothing."""
    method, _, path = route.partition(" ")
    ids = {"id": "0" * 26, "user": "7", "item": "film-3"}
    filled = "/".join(ids.get(part.strip("{}"), "x9") if part.startswith("{") else part for part in path.split("/"))
    more: dict[str, object] = {"json": {}} if method == "POST" else {}
    return await client.request(method, filled, headers=headers, **more)  # type: ignore[arg-type]
