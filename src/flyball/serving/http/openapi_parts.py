"""Parts of an OpenAPI document."""

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]


def object_schema(properties: Mapping[str, Any], required: tuple[str, ...] = ()) -> Document:
    """The schema of an object."""
    return {"type": "object", "properties": dict(properties), **({"required": list(required)} if required else {})}


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
    """One operation. `problems`: statuses that are answered with a problem document."""
    problem = {"description": "problem", "content": {"application/problem+json": {"schema": ref("Problem")}}}
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


def in_path(name: str, schema: Document) -> Document:
    """A parameter in the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema}


def query_parameter(name: str, schema: Document, described: str, required: bool = False) -> Document:
    """A parameter of the query."""
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": described}


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
