"""Parts of the OpenAPI document."""

from flyball.serving.http.openapi_parts import in_path, json_reply, object_schema, operation


def test_an_operation_names_the_problems_it_may_have() -> None:
    described = operation("show", "Show it", "things", [in_path("id", {"type": "string"})], {"200": json_reply()}, 404)
    assert described["responses"].keys() == {"200", "404"}
    assert described["responses"]["404"]["content"]["application/problem+json"]
    assert (described["parameters"][0]["required"], "requestBody" in described) == (True, False)


def test_an_object_says_what_is_required() -> None:
    assert object_schema({"a": {}}) == {"type": "object", "properties": {"a": {}}}
    assert object_schema({"a": {}}, ("a",))["required"] == ["a"]
