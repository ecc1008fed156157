"""The OpenAPI document, from the declared events, the task's description and the routes."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import msgspec

from flyball.events import Event
from flyball.outcomes import Prediction
from flyball.serving.event_intake import Summary
from flyball.serving.http.documents import RENDERINGS
from flyball.serving.versions.item_titles import items_of
from flyball.tasks import Lookup

if TYPE_CHECKING:
    from flyball.serving.service import Service

Document = dict[str, Any]


def describe(service: "Service") -> Document:
    """OpenAPI 3.1 of everything a process answers."""
    app, about = service.runtime.app, service.about
    types = [declared.cls for declared in service.runtime.schema.types.values()]
    replies = [lookup.reply for lookup in service.lookups]
    events, parts = msgspec.json.schema_components(
        [*types, Prediction, Summary, *replies], ref_template="#/components/schemas/{name}"
    )
    names = list(service.runtime.schema.types)
    for name, schema in zip(names, events, strict=False):
        _as_sent(parts[_name_in(schema)], name)
    parts |= {"Request": _request_schema(about.request), "Response": _response_schema(service), "Problem": _PROBLEM}
    parts["Readiness"] = _READINESS
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": app.name,
            "version": "1",
            "description": "Every answer carries the id under which it is recorded, the version that made it and the "
            f"fallback level it came from. Deadline of an answer: {about.deadline_us / 1_000:g} ms. Nothing asks for a "
            "password, and no reply comes in pages.",
        },
        "servers": [{"url": "/"}],
        "security": [],
        "paths": _paths(service, [schema["$ref"] for schema in events[: len(names)]]),
        "components": {"schemas": parts},
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
        **_releases(),
        **_state(),
    }


def _questions(service: "Service") -> Document:
    """Requests, one at a time or several."""
    about = service.about
    of_one = [
        _query("reasons", {"type": "integer", "minimum": 1, "maximum": 100}, "so many reasons; of one request"),
        _query("dry", {"type": "boolean"}, "nothing is kept of the request; of one request"),
    ]
    answers = {"oneOf": [_ref("Response"), {"type": "array", "items": _ref("Response")}]}
    requests = {"oneOf": [_ref("Request"), {"type": "array", "items": _ref("Request"), "minItems": 1, "maxItems": 100}]}
    return {
        f"/v1/{about.kind}": {
            "get": _operation(
                about.kind,
                f"Answer one request: {_continued(_first_line(about.request))}",
                "answers",
                [*_parameters(service, about.request), *of_one],
                {"200": _json(_ref("Response"))},
                400,
                503,
            ),
            "post": _operation(
                f"{about.kind}_post",
                "Answer one request, or an array of them in the same order",
                "answers",
                of_one,
                {
                    "200": _json(answers),
                    "207": _several("each an answer, or what is wrong with the request"),
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


def _event_intake(service: "Service", events: list[str]) -> Document:
    """Where events go in. `events`: references to their schemas."""
    formats = sorted({"jsonl", "csv", *service.runtime.app.formats} - {"parquet"})
    event = {"oneOf": [{"$ref": ref} for ref in events]}
    return {
        "/v1/events": {
            "post": _operation(
                "events",
                "Events in: one JSON object, an array, or one event a line; durable before the reply, a verdict each",
                "events",
                [_query("format", {"type": "string", "enum": formats, "default": "jsonl"}, "how lines are written")],
                {"200": _json(_ref("Summary")), "207": _json(_ref("Summary"), "some events were set aside")},
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
            "get": _operation(
                "prediction",
                "An earlier answer, as it is recorded",
                "answers",
                [_in_path("id", {"type": "string", "minLength": 26, "maxLength": 26})],
                {"200": _json(_ref("Prediction"))},
                400,
                404,
            )
        },
    }


def _state() -> Document:
    """How the process is, and what it offers."""
    return {
        "/healthz": {"get": _operation("healthz", "Whether the process runs", "state", [], {"200": _text("ok")})},
        "/readyz": {
            "get": _operation(
                "readyz",
                "Whether requests can be answered, and what is not as it should be",
                "state",
                [],
                {"200": _json(_ref("Readiness")), "503": _json(_ref("Readiness"), "not yet, with the reasons")},
            )
        },
        "/metrics": {"get": _operation("metrics", "Metrics for Prometheus", "state", [], {"200": _text("text")})},
        "/openapi.json": {"get": _operation("openapi", "This document", "state", [], {"200": _json()})},
    }


def _releases() -> Document:
    """The paths of `http.releases`."""
    name = _in_path("release", {"type": "string"})
    texts: Document = {"reason": {"type": "string"}, "by": {"type": "string"}}
    sample: Document = {"type": "number", "minimum": 0.01, "maximum": 100}
    versions: Document = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    fields = {"versions": versions, "shadow": sample, **texts}

    def changed(command: str, words: str, parameters: list[Document], properties: Document) -> Document:
        body = {"application/json": {"schema": {"type": "object", "properties": properties}}}
        done = "201" if command == "start" else "200"
        return _operation(
            f"{command}_release", words, "releases", parameters, {done: _json()}, 400, 403, 404, 409, body=body
        )

    words = {
        "advance": "Advance it: a shadow to a canary, or a canary to its next step",
        "pause": "Pause it: units keep their arms",
        "resume": "Resume it where it was",
        "abort": "End it: the champion answers all requests",
        "promote": "Let its version answer all requests",
        "finish": "End it; the champion stays",
        "rollback": "Undo the release that made the champion",
    }
    case = _in_path("case", {"type": "string"})
    return {
        "/v1/cases": {
            "get": _operation("cases", "Why learning began, and what came of it", "releases", [], {"200": _json()})
        },
        "/v1/cases/{case}": {"get": _operation("case", "One of these", "releases", [case], {"200": _json()}, 404)},
        "/v1/releases": {
            "get": _operation("releases", "All releases, present and past", "releases", [], {"200": _json()}),
            "post": changed("start", "Start a release as declared, or as a shadow", [], fields),
        },
        "/v1/releases/{release}": {
            "get": _operation(
                "release", "One release, with its evidence and steps", "releases", [name], {"200": _json()}, 404
            )
        },
        **{
            f"/v1/releases/{{release}}/{command}": {"post": changed(command, text, [name], texts)}
            for command, text in words.items()
        },
    }


def _own_path(service: "Service", path: str, rendering: str) -> Document:
    method, _, template = path.partition(" ")
    about, fields = service.about, set(_fields_in(template))
    reply = _json(_ref("Response")) if RENDERINGS[rendering] is None else _text("one line", headers=_STAMPS)
    parameters = [
        own_parameter for own_parameter in _parameters(service, about.request) if own_parameter["name"] in fields
    ]
    for parameter in parameters:
        parameter |= {"in": "path", "required": True}
    body = {"application/json": {"schema": _ref("Request")}} if method == "POST" else None
    description = (
        f"{about.items} ids, comma separated, best first" if rendering == "lines" else "The answer to one request"
    )
    operation = _operation(
        re.sub(r"\W+", "_", f"{method.lower()}_{template}").strip("_"),
        description,
        "answers",
        parameters,
        {"200": reply},
        400,
        503,
        body=body,
    )
    return {method.lower(): operation}


def _lookup(service: "Service", lookup: Lookup) -> Document:
    parameters = _parameters(service, lookup.query)
    for parameter in parameters:
        if parameter["name"] in _fields_in(lookup.path):
            parameter |= {"in": "path", "required": True}
    reply = {"200": _json(_ref(lookup.reply.__name__))}
    return _operation(lookup.name, lookup.summary, "lookups", parameters, reply, 400, 404, 409)


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
                _query(f"{field.name}.{key}", texts, f"{field.name} by {key}; may be repeated")
                for key in keys
                if key != "at"
            ]
        else:
            schema = msgspec.json.schema(hint)
            if field.default is not msgspec.NODEFAULT and field.default is not None:
                schema |= {"default": field.default}
            parameters.append(_query(field.name, schema, field.name, field.required))
    return parameters


def _as_sent(schema: Document, name: str) -> None:
    """An event as it is sent: it may say its type, and its time, which is now where it is left out."""
    at = {
        "type": ["string", "integer"],
        "description": "ISO 8601, or microseconds since 1970; now where it is left out",
    }
    schema.setdefault("properties", {}).update({"type": {"const": name}, "at": at})
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
        item["parts"] = _object(dict.fromkeys(about.parts, number))
    properties: Document = {"prediction": {"type": "string"}}
    if service.requests.key_field:
        properties[service.requests.key_field] = {"type": "string"}
    properties |= {
        "level": {"type": "string"},
        "version": {"type": ["string", "null"]},
        "stale_s": {"type": ["number", "null"]},
    }
    if about.items:
        properties["items"] = {"type": "array", "items": _object(item, ("item", "score", "source"))}
    if about.values:
        properties["values"] = _object(dict.fromkeys(about.values, number))
    further: Document = {
        "decision": {"type": "string"},
        "capacity_used_up": {"type": "boolean"},
        "error": {"type": "string"},
        "dry": {"type": "boolean"},
    }
    return _object(properties | further, tuple(properties))


def _object(properties: Mapping[str, Any], required: tuple[str, ...] = ()) -> Document:
    return {"type": "object", "properties": dict(properties), **({"required": list(required)} if required else {})}


_PROBLEM = _object(
    {
        name: {"type": "integer" if name == "status" else "string"}
        for name in ("type", "title", "status", "detail", "instance")
    }
)
_READINESS = _object(
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


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(
    operation_id: str,
    summary: str,
    tag: str,
    parameters: list[Document],
    responses: Document,
    *problems: int,
    body: Document | None = None,
) -> Document:
    problem = {"description": "problem", "content": {"application/problem+json": {"schema": _ref("Problem")}}}
    operation: Document = {
        "operationId": operation_id,
        "summary": summary,
        "tags": [tag],
        "parameters": parameters,
        "responses": responses | {str(status): problem for status in problems},
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _in_path(name: str, schema: Document) -> Document:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: Document, described: str, required: bool = False) -> Document:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": described}


def _json(schema: Document | None = None, described: str = "the answer") -> Document:
    return {"description": described, "content": {"application/json": {"schema": schema or {"type": "object"}}}}


def _several(described: str) -> Document:
    """Answers in the order of the requests: an array, or a line each."""
    array = {"schema": {"type": "array", "items": {"type": "object"}}}
    lines = {"schema": {"type": "string"}}
    return {"description": described, "content": {"application/json": array, "application/x-ndjson": lines}}


def _text(described: str, headers: Document | None = None) -> Document:
    answer: Document = {"description": described, "content": {"text/plain": {"schema": {"type": "string"}}}}
    return answer if headers is None else {**answer, "headers": headers}
