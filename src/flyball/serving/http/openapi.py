"""The OpenAPI document, from the declared events and the routes."""

from typing import TYPE_CHECKING, Any

import msgspec

from flyball.outcomes import Prediction

if TYPE_CHECKING:
    from flyball.serving.service import Service

Json = dict[str, Any]


def describe(service: "Service") -> Json:
    """OpenAPI 3.1 of everything a process answers."""
    app = service.runtime.app
    events, parts = msgspec.json.schema_components(
        [event.cls for event in service.runtime.schema.types.values()] + [Prediction],
        ref_template="#/components/schemas/{name}",
    )
    names = list(service.runtime.schema.types)
    for name, schema in zip(names, events, strict=False):
        parts[schema["$ref"].rsplit("/", 1)[1]].setdefault("properties", {})["type"] = {"const": name}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": app.name,
            "version": "1",
            "description": "Every answer carries the id under which it is recorded, the version that made it and the "
            f"rung of the ladder it came from. Deadline of a list: {app.task.deadline}.",
        },
        "paths": _paths(service, names, [schema["$ref"] for schema in events[: len(names)]]),
        "components": {"schemas": {**parts, **_shapes(service)}},
    }


def _paths(service: "Service", names: list[str], events: list[str]) -> Json:
    user, item, task = service.users.json_schema, service.items.json_schema, service.task
    k = {"type": "integer", "minimum": 1, "maximum": 1_000, "default": task.k}
    fields = () if task.item.profile is None else [name for name in task.item.profile.__struct_fields__ if name != "at"]
    filters = [
        _query(f"{kind}.{field}", {"type": "string"}, f"{words} with this {field}; may be repeated")
        for kind, words in (("include", "only items"), ("exclude", "no item"))
        for field in fields
    ]
    formats = sorted({"jsonl", "csv", *service.runtime.app.formats} - {"parquet"})
    return {
        f"/recommend/{{{task.user.name}}}": {
            "get": _operation(
                f"Up to {task.k} {task.item.name} ids for a {task.user.name}, comma separated, best first",
                "lists",
                [_path(task.user.name, user)],
                {"200": _text("one line", headers=_stamp_headers())},
                400,
            )
        },
        "/v1/recommend": {
            "get": _operation(
                "A list with scores and sources",
                "lists",
                [_query("user", user, "for whom", True), _query("k", k, "how many"),
                 _query("without", {"type": "string"}, "ids not to show, comma separated"), *filters],
                {"200": _answer("#/components/schemas/List")},
                400,
            ),
            "post": _operation(
                "A list with scores and sources",
                "lists",
                [],
                {"200": _answer("#/components/schemas/List")},
                400, 413, 415,
                body={"application/json": {"schema": {"$ref": "#/components/schemas/Ask"}}},
            ),
        },
        f"/v1/similar/{{{task.item.name}}}": {
            "get": _operation(
                f"What is most like one {task.item.name}",
                "items",
                [_path(task.item.name, item), _query("k", k, "how many")],
                {"200": _answer("#/components/schemas/SimilarItems")},
                400, 404, 409,
            )
        },
        "/v1/rating": {
            "get": _operation(
                f"The rating a {task.user.name} would give a {task.item.name}",
                "items",
                [_query("user", user, "who", True), _query("item", item, "what", True)],
                {"200": _answer("#/components/schemas/Rating")},
                400, 404, 409,
            )
        },
        "/v1/events": {
            "post": _operation(
                "Events in: one JSON object, an array, or one event a line; durable before the reply, a verdict each",
                "events",
                [_query("format", {"type": "string", "enum": formats, "default": "jsonl"}, "how lines are written")],
                {"200": _answer("#/components/schemas/Verdicts"),
                 "207": _answer("#/components/schemas/Verdicts", "some events were set aside")},
                400, 413, 415, 422, 503,
                body={
                    "application/json": {"schema": {"oneOf": [{"$ref": ref} for ref in events]}},
                    "application/x-ndjson": {"schema": {"type": "string"}},
                    "text/plain": {"schema": {"type": "string"}},
                },
            )
        },
        "/v1/predictions/{id}": {
            "get": _operation(
                "An earlier answer",
                "lists",
                [_path("id", {"type": "string", "minLength": 26, "maxLength": 26})],
                {"200": _answer("#/components/schemas/Prediction")},
                400, 404,
            )
        },
        "/healthz": {"get": _operation("Whether the process runs", "state", [], {"200": _text("ok")})},
        "/readyz": {
            "get": _operation(
                "Whether a list can be answered, and what is not as it should be", "state", [],
                {"200": _answer(), "503": _answer(None, "not yet, with the reasons")},
            )
        },
        "/metrics": {"get": _operation("ServingMetrics for Prometheus", "state", [], {"200": _text("text")})},
        "/openapi.json": {"get": _operation("This document", "state", [], {"200": _answer()})},
    }  # fmt: skip


def _shapes(service: "Service") -> Json:
    user, item = service.users.json_schema, service.items.json_schema
    filters = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}
    scored = {"type": "object", "properties": {"item": item, "score": {"type": "number"}, "source": {"type": "string"}}}
    return {
        "Ask": {
            "type": "object",
            "required": ["user"],
            "additionalProperties": False,
            "properties": {
                "user": user,
                "k": {"type": "integer", "minimum": 1, "maximum": 1_000},
                "include": filters,
                "exclude": filters,
                "without": {"type": "array", "items": item},
            },
        },
        "List": {
            "type": "object",
            "properties": {
                "prediction": {"type": "string"},
                "user": {"type": "string"},
                "level": {"type": "string"},
                "version": {"type": ["string", "null"]},
                "stale_s": {"type": ["number", "null"]},
                "items": {"type": "array", "items": scored},
            },
        },
        "SimilarItems": {
            "type": "object",
            "properties": {
                "item": item,
                "version": {"type": "string"},
                "items": {"type": "array", "items": scored},
            },
        },
        "Rating": {
            "type": "object",
            "properties": {
                "user": {"type": "string"},
                "item": {"type": "string"},
                "version": {"type": "string"},
                "rating": {"type": "number"},
            },
        },
        "Verdicts": {
            "type": "object",
            "properties": {
                **{name: {"type": "integer"} for name in ("accepted", "duplicate", "quarantined")},
                "events": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "event": {"type": "integer"},
                            **{name: {"type": "string"} for name in ("verdict", "type", "reason", "detail")},
                        },
                    },
                },
            },
        },
        "Problem": {
            "type": "object",
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "instance": {"type": "string"},
            },
        },
    }


def _operation(
    summary: str, tag: str, parameters: list[Json], responses: Json, *problems: int, body: Json | None = None
) -> Json:
    told = {
        str(status): {
            "description": "problem",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in problems
    }
    operation: Json = {"summary": summary, "tags": [tag], "parameters": parameters, "responses": responses | told}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: Json, described: str, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": described}


def _answer(ref: str | None = None, described: str = "the answer") -> Json:
    schema: Json = {"type": "object"} if ref is None else {"$ref": ref}
    return {"description": described, "content": {"application/json": {"schema": schema}}}


def _text(described: str, headers: Json | None = None) -> Json:
    answer: Json = {"description": described, "content": {"text/plain": {"schema": {"type": "string"}}}}
    return answer if headers is None else {**answer, "headers": headers}


def _stamp_headers() -> Json:
    described = {
        "X-Flyball-Prediction": "the id under which the answer is recorded",
        "X-Flyball-Level": "the rung of the ladder",
        "X-Flyball-Version": "the version that made the list, or none",
        "X-Flyball-Stale-S": "seconds by which the state lags, when over one",
    }
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in described.items()}
