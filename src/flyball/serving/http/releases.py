"""Releases, and the cases that led to them, over HTTP: the commands of `flyball releases` and `flyball cases`, as JSON.
The audit trail has who sent a change; a name in its body is noted as what it says."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from flyball.core import BadDeclaration, BadInput
from flyball.policy import ReleasePlan, as_shadow
from flyball.releases import (
    Actor,
    Change,
    all_releases,
    case_reports,
    change_release,
    current,
    declared_arrangement,
    describe_now,
    start_release,
)
from flyball.serving.http.decoding import fields_of_body, only
from flyball.serving.http.front import caller_of
from flyball.serving.http.problems import Problem
from flyball.serving.service import Service
from flyball.tasks import interleaved_plan

COMMANDS = ("advance", "pause", "resume", "abort", "promote", "finish", "rollback")
"""The commands on a release, by its id."""
_TEXTS = {"reason": "over HTTP", "by": "", "version": "", "credit": ""}


def release_routes(service: Service) -> list[Route]:
    """The routes of releases."""
    handlers = _Releases(service)
    return [
        Route("/v1/cases", handlers.cases, methods=["GET"]),
        Route("/v1/cases/{case}", handlers.case, methods=["GET"]),
        Route("/v1/releases", handlers.list_or_start, methods=["GET", "POST"]),
        Route("/v1/releases/{release}", handlers.show, methods=["GET"]),
        *(
            Route(f"/v1/releases/{{release}}/{command}", handlers.command(command), methods=["POST"])
            for command in COMMANDS
        ),
    ]


class _Releases:
    def __init__(self, service: Service) -> None:
        self._service, self._runtime = service, service.runtime

    async def list_or_start(self, request: HttpRequest) -> Response:
        """All releases, or a new one: {"versions": ["v3"], "reason": ..., "by": ..., "shadow": percent}; with
        "interleave": true, one of drafted lists, by the label "credit"."""
        only(request, set())
        if request.method != "POST":
            releases = await self._service.aside(lambda: all_releases(self._runtime.registry))
            return _answered({"releases": releases})
        fields = await self._fields(request, {"versions", "reason", "by", "shadow", "interleave", "credit"})
        versions = fields.get("versions")
        if not (isinstance(versions, list) and versions and all(isinstance(name, str) for name in versions)):
            raise BadInput("field versions", 'a list of versions, such as ["v3"]', versions)
        plan, sample = self._runtime.app.release, fields.get("shadow")
        if sample is not None:
            if not isinstance(sample, int | float) or isinstance(sample, bool) or not 0.01 <= sample <= 100:
                raise BadInput("field shadow", "percent of the requests, from 0.01 to 100", sample)
            plan = as_shadow(plan, sample)
        if not isinstance(fields.get("interleave", False), bool):
            raise BadInput("field interleave", "true or false", fields["interleave"])
        if "credit" in fields and not fields.get("interleave"):
            must = "left out without interleave: it says which label earns credit for the lists it drafts"
            raise BadInput("field credit", must, fields["credit"])
        if sample is not None and fields.get("interleave"):
            raise BadInput("field shadow", "left out with interleave: what it drafts is seen", sample)
        actor = self._actor(request, fields)
        return await self._changed(lambda: self._start(versions, plan, fields, actor), 201)

    async def cases(self, request: HttpRequest) -> Response:
        """Why learning began, and what came of it."""
        only(request, set())
        return _answered({"cases": await self._service.aside(lambda: case_reports(self._runtime.registry))})

    async def case(self, request: HttpRequest) -> Response:
        """One case."""
        only(request, set())
        name = request.path_params["case"]
        return _answered((await self._service.aside(lambda: case_reports(self._runtime.registry, name)))[0])

    async def show(self, request: HttpRequest) -> Response:
        """One release with its evidence and steps."""
        only(request, set())
        name = request.path_params["release"]

        def described() -> Any:
            runtime, now_us = self._runtime, self._runtime.clock.now_us()
            counters = runtime.exposures_now(), runtime.shadow_counter
            known = runtime.known_metrics
            ends = runtime.predictions.ends()
            return describe_now(runtime.registry, name, *counters, now_us, known, known.rewards, ends)

        return _answered(await self._service.aside(described))

    def command(self, command: Any) -> Callable[[HttpRequest], Any]:
        async def handle(request: HttpRequest) -> Response:
            fields = await self._fields(request, {"reason", "by", *(["version"] if command == "promote" else [])})
            name = request.path_params["release"]
            actor, version = self._actor(request, fields), _text(fields, "version")
            return await self._changed(
                lambda: change_release(self._runtime.registry, name, command, actor, version=version)
            )

        return handle

    def _start(self, versions: list[str], plan: ReleasePlan, fields: dict[str, Any], actor: Actor) -> Change:
        runtime = self._runtime
        about = runtime.app.task.about
        if fields.get("interleave"):
            plan = interleaved_plan(plan, versions, _text(fields, "credit"), about, runtime.app.metrics)
        runtime.exposures_now()
        return start_release(
            runtime.registry,
            plan,
            versions,
            actor,
            constants=runtime.release_constants(current(runtime.registry).champion, actor.now_us),
            arrangement=declared_arrangement(
                runtime.registry, runtime.app.name, about.arrangement, actor.by, actor.now_us
            ),
        )

    def _actor(self, request: HttpRequest, fields: dict[str, Any]) -> Actor:
        return self._runtime.actor(caller_of(request).actor(_text(fields, "by")), _text(fields, "reason"))

    async def _fields(self, request: HttpRequest, known: set[str]) -> dict[str, Any]:
        """The fields of the body."""
        fields = await fields_of_body(request, may_be_empty=True)
        if not isinstance(fields, dict):
            raise BadInput("body", "one JSON object", f"an array of {len(fields)}")
        if unknown := set(fields) - known:
            raise BadInput("field", f"one of {', '.join(sorted(known))}", sorted(unknown)[0])
        return fields

    async def _changed(self, change: Callable[[], Change], status: int = 200) -> Response:
        try:
            done = await self._service.aside(change)
        except BadDeclaration as error:  # what was sent does not fit the application as declared
            raise Problem(400, str(error)) from None
        return _answered({"changed": done.changed, "message": done.message, "releases": done.state.releases}, status)


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, _TEXTS[name])
    if not isinstance(value, str):
        raise BadInput(f"field {name}", "text", value)
    return value


def _answered(document: Any, status: int = 200) -> Response:
    body = msgspec.json.encode(document)
    return Response(body, status, {"cache-control": "no-store"}, media_type="application/json")
