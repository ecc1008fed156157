"""Incidents over HTTP: the commands of `flyball incidents`, as JSON. Timelines have who sent a change; a name in its
body is noted as what it says."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from flyball.core import BadInput, parse_duration
from flyball.monitoring import (
    INCIDENT_COMMANDS,
    IncidentActor,
    add_silence,
    all_silences,
    bundle_archive,
    change_incident,
    describe_incident,
    digest,
    end_silence,
    incident_bundle,
    list_incidents,
    sink_statuses,
)
from flyball.serving.http.decoding import only, required_parameter, struct_of_body
from flyball.serving.http.front import caller_of
from flyball.serving.service import Service


class IncidentChange(msgspec.Struct, frozen=True):
    """The fields of a command on an incident, as those of `change_incident`."""

    reason: str = ""
    by: str = ""
    owner: str = ""
    step: int = 0
    cause: str = ""
    action: str = ""
    done: int = 0
    accept: bool = False
    revision: int | None = None


class SilenceChange(msgspec.Struct, frozen=True, rename={"lasts": "for"}):
    """The fields of a silence; `lasts`: how long."""

    matches: dict[str, str] = {}
    lasts: str = "2h"
    reason: str = ""
    by: str = ""


class EndChange(msgspec.Struct, frozen=True):
    """The field of the end of a silence."""

    by: str = ""


def incident_routes(service: Service) -> list[Route]:
    """The routes of incidents, silences and sinks."""
    handlers = _Incidents(service)
    return [
        Route("/v1/incidents", handlers.list_, methods=["GET"]),
        Route("/v1/incidents/digest", handlers.digest, methods=["GET"]),
        Route("/v1/incidents/{incident}", handlers.show, methods=["GET"]),
        Route("/v1/incidents/{incident}/bundle", handlers.bundle, methods=["GET"]),
        *(
            Route(f"/v1/incidents/{{incident}}/{command}", handlers.command(command), methods=["POST"])
            for command in INCIDENT_COMMANDS
        ),
        Route("/v1/silences", handlers.silences, methods=["GET", "POST"]),
        Route("/v1/silences/{silence}/end", handlers.end_silence, methods=["POST"]),
        Route("/v1/sinks", handlers.sinks, methods=["GET"]),
    ]


class _Incidents:
    def __init__(self, service: Service) -> None:
        self._service, self._runtime = service, service.runtime

    async def list_(self, request: HttpRequest) -> Response:
        """Incidents, the most urgent first; `closed=true`: closed ones, too."""
        only(request, {"closed"})
        text = required_parameter(request, "closed") if "closed" in request.query_params else "false"
        if text not in ("true", "false"):
            raise BadInput("parameter closed", "true or false", text)
        return await self._read(lambda now_us: list_incidents(self._runtime.registry, now_us, text == "true"))

    async def digest(self, request: HttpRequest) -> Response:
        """What happened since a while ago."""
        only(request, {"since"})
        text = required_parameter(request, "since") if "since" in request.query_params else "7d"
        since_us = parse_duration(text, "parameter since")
        return await self._read(lambda now_us: digest(self._runtime.registry, now_us - since_us, now_us))

    async def show(self, request: HttpRequest) -> Response:
        """One incident with its findings and timeline."""
        only(request, set())
        name, app = request.path_params["incident"], self._runtime.app
        registry = self._runtime.registry
        return await self._read(lambda now_us: describe_incident(registry, app.spec, app.alerts, name, now_us=now_us))

    async def bundle(self, request: HttpRequest) -> Response:
        """The debug bundle as a zip file."""
        only(request, set())
        name = request.path_params["incident"]
        folder = f"{self._runtime.app.name}-{name}"
        body = await self._service.aside(lambda: bundle_archive(incident_bundle(self._runtime, name), folder))
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{folder}.zip"'}
        return Response(body, 200, headers, media_type="application/zip")

    def command(self, command: Any) -> Callable[[HttpRequest], Any]:
        async def handle(request: HttpRequest) -> Response:
            change = await struct_of_body(request, IncidentChange)
            name, caller = request.path_params["incident"], caller_of(request)
            by, person = caller.actor(change.by), change.by.strip() or caller.identity.name
            return await self._read(
                lambda now_us: change_incident(
                    self._runtime.registry,
                    name,
                    command,
                    IncidentActor(by, now_us, change.reason, person),
                    revision=change.revision,
                    owner=change.owner,
                    step=change.step,
                    cause=change.cause,
                    action=change.action,
                    done=change.done,
                    accept=change.accept,
                )
            )

        return handle

    async def silences(self, request: HttpRequest) -> Response:
        """All silences, or a new one: {"matches": {"group": ...}, "for": "2h", "reason": ...}."""
        only(request, set())
        registry = self._runtime.registry
        if request.method != "POST":
            return await self._read(lambda _: {"silences": all_silences(registry)})
        change = await struct_of_body(request, SilenceChange)
        lasts_us, by = parse_duration(change.lasts, "field for"), caller_of(request).actor(change.by)
        return await self._read(
            lambda now_us: add_silence(
                registry, change.matches, IncidentActor(by, now_us, change.reason), now_us + lasts_us
            ),
            201,
        )

    async def end_silence(self, request: HttpRequest) -> Response:
        """End a silence now."""
        change = await struct_of_body(request, EndChange)
        by = caller_of(request).actor(change.by)
        name = request.path_params["silence"]
        return await self._read(lambda now_us: end_silence(self._runtime.registry, name, IncidentActor(by, now_us)))

    async def sinks(self, request: HttpRequest) -> Response:
        """How the sinks of notifications do."""
        only(request, set())
        return await self._read(lambda _: {"sinks": sink_statuses(self._runtime.registry)})

    async def _read(self, work: Callable[[int], object], status: int = 200) -> Response:
        document = await self._service.aside(lambda: work(self._runtime.clock.now_us()))
        return Response(
            msgspec.json.encode(document), status, {"cache-control": "no-store"}, media_type="application/json"
        )
