"""The paths of `http.releases` in the OpenAPI document."""

from flyball.serving.http.openapi_parts import TEXT, WORDS, Document, command_body, in_path, json_reply, operation


def release_paths() -> Document:
    """The paths of `http.releases`."""
    name = in_path("release")
    texts: Document = {"reason": TEXT, "by": TEXT}
    sample: Document = {"type": "number", "minimum": 0.01, "maximum": 100}
    versions: Document = {"type": "array", "items": WORDS, "minItems": 1}
    fields = {"versions": versions, "shadow": sample, "interleave": {"type": "boolean"}, "credit": TEXT, **texts}

    def changed(command: str, words: str, parameters: list[Document], properties: Document) -> Document:
        body = command_body(properties, ("versions",) if command == "start" else ())
        done = "201" if command == "start" else "200"
        return operation(
            f"{command}_release",
            words,
            "releases",
            parameters,
            {done: json_reply()},
            400,
            403,
            404,
            409,
            415,
            body=body,
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
    case = in_path("case")
    return {
        "/v1/cases": {
            "get": operation("cases", "Why learning began, and what came of it", "releases", [], {"200": json_reply()})
        },
        "/v1/cases/{case}": {
            "get": operation("case", "One of these", "releases", [case], {"200": json_reply()}, 400, 404)
        },
        "/v1/releases": {
            "get": operation("releases", "All releases, present and past", "releases", [], {"200": json_reply()}),
            "post": changed("start", "Start a release as declared, or as a shadow", [], fields),
        },
        "/v1/releases/{release}": {
            "get": operation(
                "release",
                "One release, with its evidence and steps",
                "releases",
                [name],
                {"200": json_reply()},
                400,
                404,
            )
        },
        **{
            f"/v1/releases/{{release}}/{command}": {
                "post": changed(command, text, [name], texts | ({"version": TEXT} if command == "promote" else {}))
            }
            for command, text in words.items()
        },
    }
