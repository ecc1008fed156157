"""Decodes requests: bodies within a limit, fields in the query or as JSON, events as lines."""

from collections.abc import Collection
from typing import Any, TypeVar, get_origin, get_type_hints

import msgspec
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from flyball.core import NOTHING, BadInput, json_fault, requirement
from flyball.events import Event, check_client_id, field_names_now
from flyball.serving.http.problems import Problem

MAX_BODY = 1 << 20
MAX_EVENTS = 20_000
"""In a request: 300,000 empty ones fit into a body, and each takes a line of the quarantine."""
IDEMPOTENCY_KEY = "Idempotency-Key"
Body = TypeVar("Body", bound=msgspec.Struct)
_ONE = "application/json"
JSON_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
"""Content types of a body with a JSON object a line. For a page of another origin browsers send these and JSON only
after they have asked (a preflight request); text/plain, forms and bodies without a type they send at once."""
TEXT_LINES = ("text/plain", "text/csv", "application/octet-stream")
"""Content types of lines in another format, which the request must name."""


async def read_body(request: HttpRequest, limit: int = MAX_BODY) -> bytes:
    """The whole body, chunked or not.

    Raises `Problem`: 413 as soon as it is known to be over `limit` bytes, 415 for a compressed one.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise Problem(415, f"body must be sent as it is, without content-encoding, got {encoding}")
    announced = request.headers.get("content-length", "0")
    too_large = Problem(413, f"body must be at most {limit} bytes", {"connection": "close"})
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    pieces, size = [], 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise too_large
            pieces.append(piece)
    except ClientDisconnect:
        raise Problem(
            400, "body must be sent in whole"
        ) from None  # the client has disconnected, but the error is counted
    return b"".join(pieces)


async def fields_of_body(
    request: HttpRequest, parameters: Collection[str] = (), may_be_empty: bool = False
) -> dict[str, Any] | list[dict[str, Any]]:
    """One request as a JSON object, or several as an array of them; raises `Problem`. `parameters`: of the query, that
    may be given besides. `may_be_empty`: whether no body at all stands for an object without fields."""
    only(request, set(parameters))
    content_type = content_type_of(request)
    if content_type != _ONE and not (may_be_empty and _is_empty(request)):
        raise Problem(415, f"content type must be {_ONE}, got {content_type or 'none'}: {_SAY} application/json")
    body = await read_body(request)
    if may_be_empty and not body:
        return {}
    try:
        if body.lstrip()[:1] == b"[":
            return msgspec.json.decode(body, type=list[dict[str, Any]])
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"body must be a JSON object, or an array of them: {json_fault(body, error)}") from None


async def struct_of_body(request: HttpRequest, kind: type[Body]) -> Body:
    """A command's fields, which may all be left out where they have defaults; raises `BadInput` naming a wrong one."""
    fields = await fields_of_body(request, may_be_empty=True)
    if not isinstance(fields, dict):
        raise BadInput("body", "one JSON object", f"an array of {len(fields)}")
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, value in fields.items():
        if name not in known:
            raise BadInput("field", f"one of {', '.join(sorted(known))}", name)
        if isinstance(value, float) and value.is_integer():  # to JSON 3.0 is an integer
            value = fields[name] = int(value)
        try:
            msgspec.convert(value, known[name].type)
        except msgspec.ValidationError as error:
            raise BadInput(f"field {name}", requirement(str(error)), value) from None
    for name, field in known.items():
        if field.required and name not in fields:
            raise BadInput(f"field {name}", "given", NOTHING)
    return msgspec.convert(fields, kind)


def fields_of_query(
    request: HttpRequest, struct: type[msgspec.Struct], parameters: Collection[str] = ()
) -> dict[str, Any]:
    """The fields of `struct` by the parameters of the query: a list is given by commas or repeatedly, a value of a map
    as `field.key=value`. Numbers stay text. A field of an event may have a former name. `parameters`: that may be given
    besides, unless fields have their names."""
    hints = get_type_hints(struct, include_extras=True)
    origins = {name: get_origin(_bare(hints[name])) for name in struct.__struct_fields__ if name != "at"}
    present = list(origins)
    if issubclass(struct, Event) and not origins.keys() >= set(request.query_params):
        origins |= {former: origins[name] for former, name in field_names_now(struct).items() if name in origins}
    fields: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in parameters and name not in origins:
            continue
        field, dot, key = name.partition(".")
        if dot and key and origins.get(field) is dict:
            fields.setdefault(field, {}).setdefault(key, []).append(value)
        elif not dot and field in origins and origins[field] is list:
            fields.setdefault(field, []).extend(part for part in value.split(",") if part)
        elif not dot and field in origins and origins[field] is not dict:
            fields[field] = required_parameter(request, field)
        else:
            names = [f"{known}.<key>" if origins[known] is dict else known for known in present]
            raise BadInput("parameter", f"one of {', '.join(names)}", name)
    return fields


def _bare(hint: Any) -> Any:
    return getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint


def only(request: HttpRequest, known: set[str]) -> None:
    """Raise `BadInput` for an unknown parameter."""
    for name in request.query_params:
        if name not in known:
            must = f"one of {', '.join(sorted(known))}" if known else "left out: this path takes none"
            raise BadInput("parameter", must, name)


def required_parameter(request: HttpRequest, name: str) -> str:
    """The parameter, which must be given once."""
    values = request.query_params.getlist(name)
    if len(values) != 1:
        raise BadInput(f"parameter {name}", "given once", values)
    return values[0]


def whole_number(text: str, name: str, least: int, most: int) -> int:
    """The number that a parameter of the query is; raises `BadInput` also for digits of other scripts, and for more of
    them than Python reads."""
    if text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most:
        return int(text)
    raise BadInput(name, f"a whole number from {least} to {most}", text)


def content_type_of(request: HttpRequest) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def idempotency_key(request: HttpRequest) -> str:
    """What the client calls this request, so that its events are added once however often it comes; "" for nothing.

    In quotes, as the draft "The Idempotency-Key HTTP Header Field" has it, or without. Raises `BadInput`.
    """
    values = request.headers.getlist(IDEMPOTENCY_KEY)
    if not values:
        return ""
    text = values[0].strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if len(values) > 1:
        raise BadInput(f"header {IDEMPOTENCY_KEY}", "sent once", values)
    return check_client_id(text, f"header {IDEMPOTENCY_KEY}")


def events_of(named: str | None, content_type: str, body: bytes) -> tuple[str, list[bytes]]:
    """(format, lines) of a body that holds events. `named`: the format, if the request says it.

    Raises `Problem`: 400 for an unreadable body, 415 for a content type that holds no events.
    """
    format_name = named or "jsonl"
    return format_name, lines_of(format_name, content_type, body)


def lines_of(format_name: str, content_type: str, body: bytes) -> list[bytes]:
    """The body as lines: `application/json` holds one event or an array of them, the rest one event a line."""
    if format_name == "jsonl" and content_type not in (_ONE, *JSON_LINES):
        raise Problem(
            415, f"content type must be {_ONE} or {JSON_LINES[0]}, got {content_type or 'none'}: {_SAY} {JSON_LINES[0]}"
        )
    if content_type not in (_ONE, *JSON_LINES, *TEXT_LINES):
        raise Problem(415, f"content type must be {' or '.join(TEXT_LINES)}, got {content_type or 'none'}")
    if format_name == "parquet":
        raise Problem(400, "format must be one of lines to come over HTTP, got parquet")
    if content_type == _ONE:
        if format_name != "jsonl":
            raise Problem(415, f"events in format {format_name} must come as text/plain, got {content_type}")
        lines = _documents(body)
    else:
        lines = [line.removesuffix(b"\r") for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    _check_number(len(lines))
    if not any(line.strip() for line in lines):
        raise Problem(400, "body must hold an event or more, got none")
    return lines


_SAY = "send the header Content-Type:"


def _is_empty(request: HttpRequest) -> bool:
    return request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers


def _check_number(events: int) -> None:
    if events > MAX_EVENTS:
        raise Problem(413, f"body must hold at most {MAX_EVENTS} events, got {events}: send them in parts")


def _documents(body: bytes) -> list[bytes]:
    """The events of a JSON document, one for each line; invalid JSON stays one line, for the quarantine."""
    try:
        if body.lstrip()[:1] == b"[":
            documents = msgspec.json.decode(body, type=list[msgspec.Raw])
            _check_number(len(documents))
            return [msgspec.json.format(bytes(document), indent=-1) for document in documents]
        return [msgspec.json.format(body, indent=-1)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [body.replace(b"\r", b" ").replace(b"\n", b" ")]
