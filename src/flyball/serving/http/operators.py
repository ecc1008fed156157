"""What operators look at and do over HTTP besides releases and incidents: the audit trail, quarantine, keys."""

import base64
import random
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from flyball.access import audit_trail, create_key, key_state, limit_key, unbounded_page
from flyball.core import parse_duration
from flyball.events import Quarantined, retry
from flyball.registry import AccessKey, AuditEntry, access_keys, add_entry, revoke_access_key
from flyball.serving.http.decoding import only, required_parameter, struct_of_body, whole_number
from flyball.serving.http.front import caller_of
from flyball.serving.service import Service

MOST_ENTRIES = 1_000
RETRIED = "quarantine retry"
_SHOWN = ("id", "at_us", "reason", "detail", "source", "position", "format", "state")


_SHOWN_OF_KEY = [
    field.name for field in msgspec.structs.fields(AccessKey) if field.name not in ("salt", "digest", "revoked_by")
]


class RetryRequest(msgspec.Struct, frozen=True):
    """Which lines to check again: one by its `id`, or all of a `reason`, or all."""

    id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)] | None = None
    reason: str | None = None


class KeyRequest(msgspec.Struct, frozen=True):
    """A key to make, as `flyball keys create` does; `expires`: "90d", "" for never; limits: rates, "" for those of the
    settings; `event_types`: those it may send, () for all."""

    roles: tuple[str, ...]
    name: str = ""
    origins: tuple[str, ...] = ()
    expires: str = ""
    limit_answers: str = ""
    limit_events: str = ""
    event_types: tuple[str, ...] = ()
    reason: str = "over HTTP"


class LimitRequest(msgspec.Struct, frozen=True):
    """Other limits of a key: rates, "none", or "default" for those of the settings."""

    limit_answers: str | None = None
    limit_events: str | None = None
    reason: str = "over HTTP"


class RevocationRequest(msgspec.Struct, frozen=True):
    """Why a key is revoked."""

    reason: str = "over HTTP"


def operator_routes(service: Service) -> list[Route]:
    """The routes of the audit trail, quarantine and keys."""
    handlers = _Operators(service)
    return [
        Route("/v1/audit", handlers.audit, methods=["GET"]),
        Route("/v1/quarantine", handlers.quarantine, methods=["GET"]),
        Route("/v1/quarantine/retry", handlers.retry, methods=["POST"]),
        Route("/v1/keys", handlers.keys, methods=["GET", "POST"]),
        Route("/v1/keys/{key}/limits", handlers.limit, methods=["POST"]),
        Route("/v1/keys/{key}/revoke", handlers.revoke, methods=["POST"]),
    ]


class _Operators:
    def __init__(self, service: Service) -> None:
        self._service, self._runtime = service, service.runtime

    async def audit(self, request: HttpRequest) -> Response:
        """Who did what; `since=7d`: in the last week."""
        only(request, {"since"})
        since_us = 0
        if "since" in request.query_params:
            since_us = self._now_us() - parse_duration(required_parameter(request, "since"), "parameter since")
        return await self._read(lambda: {"actions": audit_trail(self._runtime.registry, since_us)})

    async def quarantine(self, request: HttpRequest) -> Response:
        """Lines that failed a check, oldest first; `reason`, `after` (an id) and `limit` choose some."""
        only(request, {"reason", "after", "limit"})
        sent = {name: required_parameter(request, name) for name in request.query_params}
        after, limit = _number(sent, "after", 0, 2**62), _number(sent, "limit", 100, MOST_ENTRIES)
        store = self._runtime.quarantine
        return await self._read(
            lambda: {
                "open": store.counts(),
                "entries": [_plain(entry) for entry in store.list(reason=sent.get("reason"), after=after, limit=limit)],
            }
        )

    async def retry(self, request: HttpRequest) -> Response:
        """Check lines again with the present declaration; good ones go into the log."""
        chosen, by = await struct_of_body(request, RetryRequest), caller_of(request).actor()
        runtime = self._runtime

        def retried() -> object:
            ids = None if chosen.id is None else [chosen.id]
            report = retry(runtime.inlet, ids=ids, reason=chosen.reason, formats=runtime.formats)
            subject = f"id {chosen.id}" if chosen.id is not None else chosen.reason or "all"
            entry = AuditEntry(
                at_us=self._now_us(),
                by=by,
                action=RETRIED,
                subject=subject,
                reason="over HTTP",
                after={"accepted": report.accepted, "still_bad": report.still_bad},
            )
            add_entry(runtime.registry, entry)
            return report

        return await self._read(retried)

    async def keys(self, request: HttpRequest) -> Response:
        """All keys without their secrets, or a new one, with its text this once."""
        only(request, set())
        registry = self._runtime.registry
        if request.method != "POST":
            return await self._read(lambda: {"keys": [self._key(key) for key in access_keys(registry)]})
        made, by = await struct_of_body(request, KeyRequest), caller_of(request).actor()
        for_us = parse_duration(made.expires, "field expires") if made.expires else None
        declared = tuple(self._runtime.schema.types)

        def create() -> object:
            key, text = create_key(
                registry,
                made.roles,
                random.SystemRandom(),
                name=made.name,
                by=by,
                now_us=self._now_us(),
                origins=made.origins,
                for_us=for_us,
                reason=made.reason,
                limit_answers=made.limit_answers,
                limit_events=made.limit_events,
                event_types=made.event_types,
                declared=declared,
            )
            warning = unbounded_page(key, declared)
            return self._key(key) | ({"warning": warning} if warning else {}) | {"key": text.text}

        return await self._read(create, 201)

    async def limit(self, request: HttpRequest) -> Response:
        """Change the limits of a key, by its id or name."""
        changed, by = await struct_of_body(request, LimitRequest), caller_of(request).actor()
        name, registry = request.path_params["key"], self._runtime.registry
        limits = {"answers": changed.limit_answers, "events": changed.limit_events}
        return await self._read(
            lambda: self._key(limit_key(registry, name, **limits, by=by, reason=changed.reason, now_us=self._now_us()))
        )

    async def revoke(self, request: HttpRequest) -> Response:
        """Revoke a key by its id or name."""
        why, by = await struct_of_body(request, RevocationRequest), caller_of(request).actor()
        name = request.path_params["key"]
        return await self._read(
            lambda: self._key(revoke_access_key(self._runtime.registry, name, by, why.reason, self._now_us()))
        )

    def _key(self, key: AccessKey) -> dict[str, object]:
        return {"state": key_state(key, self._now_us()), **{name: getattr(key, name) for name in _SHOWN_OF_KEY}}

    def _now_us(self) -> int:
        return self._service.clock.now_us()

    async def _read(self, work: Callable[[], object], status: int = 200) -> Response:
        body = msgspec.json.encode(await self._service.aside(work))
        return Response(body, status, {"cache-control": "no-store"}, media_type="application/json")


def _number(sent: dict[str, str], name: str, default: int, most: int) -> int:
    return whole_number(sent.get(name, str(default)), f"parameter {name}", 0, most)


def _plain(entry: Quarantined) -> dict[str, Any]:
    """An entry: the raw bytes as text where they are text, in base 64 otherwise."""
    plain = {name: getattr(entry, name) for name in _SHOWN}
    try:
        return {**plain, "raw": entry.raw.decode()}
    except UnicodeDecodeError:
        return {**plain, "raw_base64": base64.b64encode(entry.raw).decode()}
