"""The paths of `http.operators` in the OpenAPI document, and the role that each operation takes."""

from collections.abc import Callable, Collection

from flyball.access import ROLES
from flyball.serving.http.openapi_parts import (
    DURATION,
    TEXT,
    Document,
    command_body,
    in_path,
    json_reply,
    operation,
    query_parameter,
)
from flyball.serving.http.route_roles import OPEN

_ORIGINS: Document = {"type": "array", "items": {"type": "string", "pattern": r"^https?://[a-z0-9.-]+(:[0-9]{1,4})?$"}}
_ROLES: Document = {"type": "array", "items": {"type": "string", "enum": list(ROLES)}, "minItems": 1}
_NAME: Document = {"type": "string", "pattern": "^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$"}
_EXPIRES: Document = {"type": "string", "pattern": "^([0-9]{1,4}(w|d|h|m|s|ms|us))?$"}
_RATE = "[1-9][0-9]{0,2}/(s|m|h)|none"
_LIMITS: Document = {name: {"type": "string", "pattern": f"^({_RATE})?$"} for name in ("limit_answers", "limit_events")}
_OTHER_LIMITS: Document = {
    name: {"type": ["string", "null"], "pattern": f"^({_RATE}|default)$"} for name in ("limit_answers", "limit_events")
}
_SCHEME = "key"

KEY_SCHEME: Document = {
    _SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "fb_<id>_<secret>",
        "description": "A key of flyball keys create. Roles: "
        + "; ".join(f"{role}: {allowed}" for role, allowed in ROLES.items()),
    }
}


def operator_paths(event_types: Collection[str]) -> Document:
    """The audit trail, quarantine, keys. `event_types`: those that are declared."""
    since = query_parameter("since", DURATION, "how far back, such as 7d")
    chosen = [
        query_parameter("reason", TEXT, "of this reason"),
        query_parameter("after", {"type": "integer", "minimum": 0}, "after the entry with this id"),
        query_parameter(
            "limit", {"type": "integer", "minimum": 0, "maximum": 1_000, "default": 100}, "at most so many"
        ),
    ]
    lines = {
        "id": {"type": ["integer", "null"], "minimum": 0, "maximum": (1 << 62) - 1},
        "reason": {"type": ["string", "null"]},
    }
    key = {"roles": _ROLES, "name": _NAME, "origins": _ORIGINS, "expires": _EXPIRES, "reason": TEXT} | _LIMITS
    key["event_types"] = {"type": "array", "items": {"type": "string", "enum": list(event_types)}}
    return {
        "/v1/audit": {"get": operation("audit", "Who did what", "operators", [since], {"200": json_reply()}, 400)},
        "/v1/quarantine": {
            "get": operation("quarantine", "Lines that failed a check", "operators", chosen, {"200": json_reply()}, 400)
        },
        "/v1/quarantine/retry": {"post": _command("retry_quarantine", "Check lines again", [], lines)},
        "/v1/keys": {
            "get": operation("keys", "All keys, without their secrets", "operators", [], {"200": json_reply()}),
            "post": _command("create_key", "Make a key; its text is shown this once", [], key, "201", ("roles",)),
        },
        "/v1/keys/{key}/limits": {
            "post": _command("limit_key", "Change a key's limits", [in_path("key")], {**_OTHER_LIMITS, "reason": TEXT})
        },
        "/v1/keys/{key}/revoke": {"post": _command("revoke_key", "Revoke a key", [in_path("key")], {"reason": TEXT})},
        "/v1/snippet.js": {"get": operation("snippet", "The script that reports events", "events", [], _script())},
    }


def secured(paths: Document, role_of: Callable[[str, str], str | None], open_roles: Collection[str] = ()) -> Document:
    """The paths, where each operation has the role it takes and says how it is refused. `open_roles`: those that nobody
    needs a key for, so that a key is optional."""
    refused = {
        "401": "no key in force",
        "403": "another role or event type than the key has, or a page that may not",
        "429": "more than the key or address may have now: see Retry-After",
    }
    for path, operations in paths.items():
        for method, described in operations.items():
            role = role_of(method.upper(), path)
            if role is None or role == OPEN:
                described["security"] = []
                continue
            described["security"] = [*([{}] if role in open_roles else []), {_SCHEME: [role]}]
            for status, words in refused.items():
                described["responses"].setdefault(status, _problem(words))
    return paths


def _problem(words: str) -> Document:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": words, "content": {"application/problem+json": {"schema": schema}}}


def _command(
    name: str,
    words: str,
    parameters: list[Document],
    properties: Document,
    done: str = "200",
    required: tuple[str, ...] = (),
) -> Document:
    body = command_body(properties, required)
    return operation(name, words, "operators", parameters, {done: json_reply()}, 400, 404, 409, 415, 503, body=body)


def _script() -> Document:
    return {"200": {"description": "a script", "content": {"text/javascript": {"schema": TEXT}}}}
