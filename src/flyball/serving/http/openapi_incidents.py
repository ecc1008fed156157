"""The paths of `http.incidents` in the OpenAPI document."""

from flyball.monitoring import INCIDENT_COMMANDS
from flyball.serving.http.openapi_parts import (
    DURATION,
    TEXT,
    WORDS,
    Document,
    command_body,
    in_path,
    json_reply,
    operation,
    query_parameter,
)

_NUMBER: Document = {"type": "integer", "minimum": 0}
_WORDS = {
    "acknowledge": "Say that you look at it",
    "assign": "Give it to the owner",
    "mitigate": "Say that users are out of harm's way, and what you did",
    "note": "Add a note, the cause or an action item; say that one is done",
    "close": "Close it with a note",
    "reopen": "Open it again",
}
_NEED_REASON = ("mitigate", "note", "close", "reopen")


def incident_paths() -> Document:
    """What is wrong, what people do about it, what is silenced, and how sinks do."""
    incident, silence = in_path("incident"), in_path("silence")
    return {
        "/v1/incidents": {
            "get": operation(
                "incidents",
                "Incidents, the most urgent first",
                "incidents",
                [query_parameter("closed", {"type": "boolean"}, "closed ones, too")],
                {"200": json_reply()},
                400,
            )
        },
        "/v1/incidents/digest": {
            "get": operation(
                "incidents_digest",
                "What happened in a week",
                "incidents",
                [query_parameter("since", DURATION | {"default": "7d"}, "how far back")],
                {"200": json_reply()},
                400,
            )
        },
        "/v1/incidents/{incident}": {
            "get": operation(
                "incident",
                "One incident, with all that is known",
                "incidents",
                [incident],
                {"200": json_reply()},
                400,
                404,
            )
        },
        "/v1/incidents/{incident}/bundle": {
            "get": operation(
                "incident_bundle",
                "What a colleague needs to look into it",
                "incidents",
                [incident],
                _archive(),
                400,
                404,
            )
        },
        **{
            f"/v1/incidents/{{incident}}/{command}": {"post": _incident_changed(command, incident)}
            for command in INCIDENT_COMMANDS
        },
        "/v1/silences": {
            "get": operation("silences", "All silences", "incidents", [], {"200": json_reply()}),
            "post": _changed(
                "add_silence", "Silence findings for a while", [], _silence(), ("matches", "reason"), "201"
            ),
        },
        "/v1/silences/{silence}/end": {"post": _changed("end_silence", "End it now", [silence], {"by": TEXT})},
        "/v1/sinks": {
            "get": operation("sinks", "How the sinks of notifications do", "incidents", [], {"200": json_reply()})
        },
    }


def _incident_changed(command: str, incident: Document) -> Document:
    required = {"assign": ("owner",)}.get(command, ("reason",) if command in _NEED_REASON else ())
    fields = _fields() | dict.fromkeys(required, WORDS)
    return _changed(f"{command}_incident", _WORDS[command], [incident], fields, required)


def _changed(
    name: str,
    words: str,
    parameters: list[Document],
    properties: Document,
    required: tuple[str, ...] = (),
    done: str = "200",
) -> Document:
    body = command_body(properties, required)
    return operation(name, words, "incidents", parameters, {done: json_reply()}, 400, 403, 404, 409, 415, body=body)


def _fields() -> Document:
    texts = dict.fromkeys(("reason", "by", "owner", "cause", "action"), TEXT)
    return {
        **texts,
        "step": _NUMBER,
        "done": _NUMBER,
        "revision": {"type": ["integer", "null"], "minimum": 0},
        "accept": {"type": "boolean"},
    }


def _silence() -> Document:
    matches = {"type": "object", "additionalProperties": TEXT, "minProperties": 1}
    return {"matches": matches, "for": DURATION | {"default": "2h"}, "reason": WORDS, "by": TEXT}


def _archive() -> Document:
    content = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
    return {"200": {"description": "a zip file", "content": content}}
