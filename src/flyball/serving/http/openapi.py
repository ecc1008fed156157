"""The OpenAPI document, from the declared events, the task's description and the routes."""

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import msgspec

from flyball.events import Event
from flyball.outcomes import Prediction
from flyball.serving.event_intake import Summary
from flyball.serving.http.documents import RENDERINGS
from flyball.serving.http.openapi_incidents import incident_paths
from flyball.serving.http.openapi_operators import KEY_SCHEME, operator_paths, secured
from flyball.serving.http.openapi_parts import (
    Document,
    idempotency_key_parameter,
    in_path,
    json_reply,
    object_schema,
    operation,
    query_parameter,
    ref,
    several_replies,
    text_reply,
)
from flyball.serving.http.openapi_releases import release_paths
from flyball.serving.http.route_roles import RouteRoles
from flyball.serving.versions.item_titles import items_of
from flyball.tasks import Lookup

if TYPE_CHECKING:
    from flyball.serving.service import Service


def describe(service: "Service", open_roles: Collection[str] = ()) -> Document:
    """OpenAPI 3.1 of everything a process answers. `open_roles`: those that nobody needs a key for now."""
    app, about = service.runtime.app, service.about
    types = [declared.cls for declared in service.runtime.schema.types.values()]
    replies = [lookup.reply for lookup in service.lookups]
    events, parts = msgspec.json.schema_components(
        [*types, Prediction, Summary, *replies], ref_template="#/components/schemas/{name}"
    )
    names = list(service.runtime.schema.types)
    for name, schema in zip(names, events, strict=False):
        _as_sent(parts[_name_in(schema)], name, service.runtime.schema.types[name].is_profile)
    parts |= {"Request": _request_schema(about.request), "Answer": _response_schema(service), "Problem": _PROBLEM}
    parts["Readiness"] = _READINESS
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": app.name,
            "version": "1",
            "description": "Every answer carries the id under which it is recorded, the version that made it and the "
            f"fallback level it came from. Deadline of an answer: {about.deadline_us / 1_000:g} ms. Where keys are "
            "needed, each operation takes one with the role that it names. No reply comes in pages.",
        },
        "servers": [{"url": "/"}],
        "paths": secured(
            _paths(service, [schema["$ref"] for schema in events[: len(names)]]), RouteRoles(service).find, open_roles
        ),
        "components": {"schemas": parts, "securitySchemes": KEY_SCHEME},
    }
    plain: Document = _without_tuples(document)
    return plain


def _paths(service: "Service", events: list[str]) -> Document:
    about = service.about
    return {
        **{path.partition(" ")[2]: _own_path(service, path, rendering) for path, rendering in about.paths.items()},
        **_questions(service),
        **{f"/v1/{lookup.name}{lookup.path}": {"get": _lookup(service, lookup)} for lookup in service.lookups},
        **_event_intake(service, events),
        **_recorded(),
        **release_paths(),
        **incident_paths(),
        **operator_paths(tuple(service.runtime.schema.types)),
        **_state(),
    }


def _questions(service: "Service") -> Document:
    """Requests, one at a time or several."""
    about = service.about
    of_one = [
        query_parameter(
            "reasons", {"type": "integer", "minimum": 1, "maximum": 100}, "so many reasons; of one request"
        ),
        query_parameter("dry", {"type": "boolean"}, "nothing is kept of the request; of one request"),
    ]
    answers = {"oneOf": [ref("Answer"), {"type": "array", "items": ref("Answer")}]}
    requests = {"oneOf": [ref("Request"), {"type": "array", "items": ref("Request"), "minItems": 1, "maxItems": 100}]}
    return {
        f"/v1/{about.kind}": {
            "get": operation(
                about.kind,
                f"Answer one request: {_continued(_first_line(about.request))}",
                "answers",
                [*_parameters(service, about.request), *of_one],
                {"200": json_reply(ref("Answer"))},
                400,
                503,
            ),
            "post": operation(
                f"{about.kind}_post",
                "Answer one request, or an array of them in the same order",
                "answers",
                [*of_one, *_again(service)],
                {
                    "200": json_reply(answers),
                    "207": several_replies("each an answer, or what is wrong with the request"),
                },
                400,
                413,
                415,
                422,
                503,
                body={
                    "application/json": {"schema": requests},
                    "application/x-ndjson": {"schema": {"type": "string"}},
                },
            ),
        },
    }


_SENT_AGAIN = "the same when this request is sent again, a UUID for one: its events are then in the log once"


def _again(service: "Service") -> list[Document]:
    """The header by which a request that becomes an event may come again."""
    return [idempotency_key_parameter(_SENT_AGAIN)] if service.takes_in else []


def _event_intake(service: "Service", events: list[str]) -> Document:
    """Where events go in. `events`: references to their schemas."""
    formats = sorted({"jsonl", "csv", *service.runtime.app.formats} - {"parquet"})
    event = {"oneOf": [{"$ref": name} for name in events]}
    written = {"type": "string", "enum": formats, "default": "jsonl"}
    return {
        "/v1/events": {
            "post": operation(
                "events",
                "Events in: one JSON object, an array, or one event a line; durable before the reply, a verdict each",
                "events",
                [query_parameter("format", written, "how lines are written"), idempotency_key_parameter(_SENT_AGAIN)],
                {"200": json_reply(ref("Summary")), "207": json_reply(ref("Summary"), "some events were set aside")},
                400,
                413,
                415,
                422,
                503,
                body={
                    "application/json": {"schema": {"oneOf": [event, {"type": "array", "items": event}]}},
                    "application/x-ndjson": {"schema": {"type": "string"}},
                    "text/plain": {"schema": {"type": "string"}},
                },
            )
        },
    }


def _recorded() -> Document:
    """What was answered before."""
    return {
        "/v1/predictions/{id}": {
            "get": operation(
                "prediction",
                "An earlier answer, as it is recorded",
                "answers",
                [in_path("id", {"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"})],
                {"200": json_reply(ref("Prediction"))},
                400,
                404,
            )
        },
    }


def _state() -> Document:
    """How the process is, and what it offers."""
    return {
        "/healthz": {"get": operation("healthz", "Whether the process runs", "state", [], {"200": text_reply("ok")})},
        "/readyz": {
            "get": operation(
                "readyz",
                "Whether requests can be answered, and what is not as it should be",
                "state",
                [],
                {"200": json_reply(ref("Readiness")), "503": json_reply(ref("Readiness"), "not yet, with the reasons")},
            )
        },
        "/metrics": {"get": operation("metrics", "Metrics for Prometheus", "state", [], {"200": text_reply("text")})},
        "/openapi.json": {"get": operation("openapi", "This document", "state", [], {"200": json_reply()})},
    }


def _own_path(service: "Service", path: str, rendering: str) -> Document:
    method, _, template = path.partition(" ")
    about, fields = service.about, set(_fields_in(template))
    reply = json_reply(ref("Answer")) if RENDERINGS[rendering] is None else text_reply("one line", headers=_STAMPS)
    parameters = [
        own_parameter for own_parameter in _parameters(service, about.request) if own_parameter["name"] in fields
    ]
    for parameter in parameters:
        parameter |= {"in": "path", "required": True}
    body = {"application/json": {"schema": ref("Request")}} if method == "POST" else None
    parameters += _again(service) if method == "POST" else []
    description = (
        f"{about.items} ids, comma separated, best first" if rendering == "lines" else "The answer to one request"
    )
    described = operation(
        re.sub(r"\W+", "_", f"{method.lower()}_{template}").strip("_"),
        description,
        "answers",
        parameters,
        {"200": reply},
        400,
        503,
        body=body,
    )
    return {method.lower(): described}


def _lookup(service: "Service", lookup: Lookup) -> Document:
    parameters = _parameters(service, lookup.query)
    for parameter in parameters:
        if parameter["name"] in _fields_in(lookup.path):
            parameter |= {"in": "path", "required": True}
    reply = {"200": json_reply(ref(lookup.reply.__name__))}
    return operation(lookup.name, lookup.summary, "lookups", parameters, reply, 400, 404, 409)


def _parameters(service: "Service", struct: type[msgspec.Struct]) -> list[Document]:
    """The query parameters that give the fields of `struct`: lists are repeated, maps have one for each key known."""
    hints = get_type_hints(struct, include_extras=True)
    items = items_of(service.about)
    keys = () if items is None or items.profile is None else items.profile.__struct_fields__
    parameters = []
    for field in msgspec.structs.fields(struct):
        hint = hints[field.name]
        origin = get_origin(get_args(hint)[0] if hasattr(hint, "__metadata__") else hint)
        if field.name == "at":
            continue
        if origin is dict:
            texts = {"type": "array", "items": {"type": "string"}}
            parameters += [
                query_parameter(f"{field.name}.{key}", texts, f"{field.name} by {key}; may be repeated")
                for key in keys
                if key != "at"
            ]
        else:
            schema = msgspec.json.schema(hint)
            if field.default is not msgspec.NODEFAULT and field.default is not None:
                schema |= {"default": field.default}
            parameters.append(query_parameter(field.name, schema, field.name, field.required))
    return parameters


def _as_sent(schema: Document, name: str, profile: bool) -> None:
    """An event as it is sent: it may say its type, its id, and its time, which is now where it is left out."""
    at = {
        "type": ["string", "integer"],
        "description": "ISO 8601, or microseconds since 1970; now where it is left out",
    }
    own_id = {
        "type": ["string", "integer"],
        "minLength": 1,
        "maxLength": 200,
        "description": "what the sender calls this event, so that it is in the log once however often it is sent",
    }
    properties: Document = schema.setdefault("properties", {})
    properties.update({"type": {"const": name}, "at": at})
    if not profile:
        properties.setdefault("id", own_id)
    schema["required"] = [field for field in schema.get("required", []) if field != "at"]


def _request_schema(event_type: type[Event]) -> Document:
    """The request's event without its time, which is the time it arrives."""
    (_,), parts = msgspec.json.schema_components([event_type])
    schema: Document = parts[event_type.__name__]
    schema.setdefault("properties", {}).pop("at", None)
    schema["required"] = [name for name in schema.get("required", []) if name != "at"]
    return schema | {"title": "Request", "additionalProperties": False}


def _response_schema(service: "Service") -> Document:
    about, number = service.about, {"type": "number"}
    item = {"item": {"type": "string"}, "score": number, "source": {"type": "string"}, "title": {"type": "string"}}
    if about.parts:
        item["parts"] = object_schema(dict.fromkeys(about.parts, number))
    properties: Document = {"prediction": {"type": "string"}}
    if service.requests.key_field:
        properties[service.requests.key_field] = {"type": "string"}
    properties |= {
        "level": {"type": "string"},
        "version": {"type": ["string", "null"]},
        "stale_s": {"type": ["number", "null"]},
    }
    if about.items:
        properties["items"] = {"type": "array", "items": object_schema(item, ("item", "score", "source"))}
    if about.values:
        properties["values"] = object_schema(dict.fromkeys(about.values, number))
    further: Document = {
        "decision": {"type": "string"},
        "capacity_used_up": {"type": "boolean"},
        "error": {"type": "string"},
        "dry": {"type": "boolean"},
    }
    return object_schema(properties | further, tuple(properties))


_PROBLEM = object_schema(
    {
        name: {"type": "integer" if name == "status" else "string"}
        for name in ("type", "title", "status", "detail", "instance")
    }
)
_READINESS = object_schema(
    {
        "ready": {"type": "boolean"},
        "degraded": {"type": "boolean"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "champion": {"type": ["string", "null"]},
        "in_service": {"type": "array", "items": {"type": "string"}},
        "worker": {"type": "string"},
    },
    ("ready", "degraded", "reasons", "champion", "in_service", "worker"),
)
_STAMPS = {
    name: {"description": text, "schema": {"type": "string"}}
    for name, text in (
        ("X-Flyball-Prediction", "the id under which the answer is recorded"),
        ("X-Flyball-Level", "the fallback level"),
        ("X-Flyball-Version", "the version that made it, or none"),
        ("X-Flyball-Stale-S", "seconds by which the state lags, when over one"),
    )
}


def _without_tuples(schema: Any) -> Any:
    """Arrays of fixed length as arrays of one kind of element: what generators of clients understand."""
    if isinstance(schema, list):
        return [_without_tuples(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    if "prefixItems" in schema:
        count = len(schema["prefixItems"])
        kept = {name: value for name, value in schema.items() if name != "prefixItems"}
        schema = kept | {"items": schema["prefixItems"][0], "minItems": count, "maxItems": count}
    return {name: _without_tuples(value) for name, value in schema.items()}


def _fields_in(template: str) -> list[str]:
    return [part.partition("}")[0] for part in template.split("{")[1:]]


def _name_in(schema: Document) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[1]


def _continued(sentence: str) -> str:
    """The sentence as it goes on after a colon.

    >>> _continued("A customer orders"), _continued("SMS that was sent")
    ('a customer orders', 'SMS that was sent')
    """
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def _first_line(struct: type) -> str:
    return (struct.__doc__ or struct.__name__).strip().splitlines()[0].rstrip(".")
