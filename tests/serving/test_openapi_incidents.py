"""The OpenAPI document of incidents: the fields of a body are those that the routes read."""

import msgspec

from flyball.monitoring import INCIDENT_COMMANDS
from flyball.serving.http.incidents import EndChange, IncidentChange, SilenceChange
from flyball.serving.http.openapi_incidents import incident_paths


def fields_of(path: str) -> set[str]:
    body = incident_paths()[path]["post"]["requestBody"]["content"]["application/json"]
    return set(body["schema"]["properties"])


def test_bodies_have_the_fields_that_are_read() -> None:
    def read(kind: type[msgspec.Struct]) -> set[str]:
        return {field.encode_name for field in msgspec.structs.fields(kind)}

    for command in INCIDENT_COMMANDS:
        assert fields_of(f"/v1/incidents/{{incident}}/{command}") == read(IncidentChange)
    assert fields_of("/v1/silences") == read(SilenceChange)
    assert fields_of("/v1/silences/{silence}/end") == read(EndChange)


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for path in incident_paths().values() for operation in path.values()]
    assert len(names) == len(set(names))
