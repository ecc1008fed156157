"""Parts of an OpenAPI document."""

from collections.abc import Mapping, Sequence
from typing import Any

Document = dict[str, Any]

TEXT: Document = {"type": "string"}
WORDS: Document = {"type": "string", "pattern": r"\S"}
"""Text that is not blank."""
DURATION: Document = {"type": "string", "pattern": "^[0-9]{1,4}(w|d|h|m|s|ms|us)$"}
"""What most durations look like; two parts, such as 1h30m, are understood, too."""
_PATH_TEXT: Document = {"type": "string", "minLength": 1, "pattern": "^[^\\u0000-\\u001f\\u007f/]+$"}
"""A path with control characters is refused."""


def object_schema(properties: Mapping[str, Any], required: Sequence[str] = (), *, is_closed: bool = False) -> Document:
    """The schema of an object. `is_closed`: whether it has no other properties."""
    schema: Document = {"type": "object", "properties": dict(properties)}
    if required:
        schema["required"] = list(required)
    return schema | {"additionalProperties": False} if is_closed else schema


def command_body(properties: Mapping[str, Any], required: Sequence[str] = ()) -> Document:
    """The body of a command, which may be left out where no field is required."""
    schema = object_schema(properties, required, is_closed=True)
    return {"required": bool(required), "content": {"application/json": {"schema": schema}}}


def ref(name: str) -> Document:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def operation(
    operation_id: str,
    summary: str,
    tag: str,
    parameters: list[Document],
    responses: Document,
    *problems: int,
    body: Document | None = None,
) -> Document:
    """One operation. `problems`: statuses that are answered with a problem document. `body`: {content type: schema}, or
    a `command_body`."""
    problem = {"description": "problem", "content": {"application/problem+json": {"schema": ref("Problem")}}}
    operation: Document = {
        "operationId": operation_id,
        "summary": summary,
        "tags": [tag],
        "parameters": parameters,
        "responses": responses | {str(status): problem for status in problems},
    }
    if body is not None:
        operation["requestBody"] = body if "content" in body else {"required": True, "content": body}
    return operation


def in_path(name: str, schema: Document | None = None) -> Document:
    """A parameter in the path; without a `schema` any text."""
    return {"name": name, "in": "path", "required": True, "schema": schema or _PATH_TEXT}


def query_parameter(name: str, schema: Document, described: str, required: bool = False) -> Document:
    """A parameter of the query."""
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": described}


def idempotency_key_parameter(described: str) -> Document:
    """The header `Idempotency-Key`."""
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema, "description": described}


def json_reply(schema: Document | None = None, described: str = "the answer") -> Document:
    """A reply as JSON."""
    return {"description": described, "content": {"application/json": {"schema": schema or {"type": "object"}}}}


def several_replies(described: str) -> Document:
    """Answers in the order of the requests: an array, or a line each."""
    array = {"schema": {"type": "array", "items": {"type": "object"}}}
    lines = {"schema": {"type": "string"}}
    return {"description": described, "content": {"application/json": array, "application/x-ndjson": lines}}


def text_reply(described: str, headers: Document | None = None) -> Document:
    """A reply as text."""
    answer: Document = {"description": described, "content": {"text/plain": {"schema": {"type": "string"}}}}
    return answer if headers is None else {**answer, "headers": headers}
