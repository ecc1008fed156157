"""The HTTP application: short paths, routes from the task's description, problem documents for errors."""

import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from flyball.core import BadInput, FlyballError, json_fault
from flyball.events import name_of_request, read_worker_report
from flyball.monitoring import IncidentCounts, count_incidents
from flyball.outcomes import Prediction
from flyball.registry import LeaseStanding, lease_standings
from flyball.releases import level_of
from flyball.serving.answering.engine import holds_any
from flyball.serving.http.admission import Admission
from flyball.serving.http.decoding import (
    JSON_LINES,
    content_type_of,
    events_of,
    fields_of_body,
    fields_of_query,
    idempotency_key,
    only,
    read_body,
    required_parameter,
    whole_number,
)
from flyball.serving.http.docs import docs_page
from flyball.serving.http.documents import AnswerDocument, rendering_of
from flyball.serving.http.front import Front, Handler, caller_of, guarded
from flyball.serving.http.incidents import incident_routes
from flyball.serving.http.limiting import check_limit
from flyball.serving.http.openapi import describe
from flyball.serving.http.operators import operator_routes
from flyball.serving.http.problems import Problem, no_value, problem_of, problem_response
from flyball.serving.http.refusals import CountedRefusals
from flyball.serving.http.releases import release_routes
from flyball.serving.http.route_roles import RouteRoles
from flyball.serving.http.snippet import SNIPPET
from flyball.serving.metrics import metrics_text
from flyball.serving.service import Reasons, Service
from flyball.tasks import Lookup, Request

MAX_BATCH, MAX_LINES, MAX_REASONS = 100, 10_000, 100
LINES_AT_ONCE = 256
"""Lines that are answered together; other requests wait for some 3 ms meanwhile."""

REASONS, DRY = "reasons", "dry"
"""The parameters of one request: how many reasons it wants; that it is answered, and nothing is kept of it."""

Render = Callable[[Prediction], bytes]

_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode


def make_app(service: Service) -> ASGIApp:
    """The ASGI application of one process; its lifespan starts and stops the service."""
    routes, about = _Routes(service), service.about

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    inner = Starlette(
        routes=[
            Route("/", routes.root, methods=["GET"]),
            *(routes.own(path, rendering) for path, rendering in about.paths.items()),
            Route(f"/v1/{about.kind}", routes.answer, methods=["GET", "POST"]),
            *(Route(f"/v1/{lookup.name}{_loose(lookup.path)}", routes.lookup(lookup)) for lookup in service.lookups),
            Route("/v1/events", routes.events, methods=["POST"]),
            Route("/v1/predictions/{id}", routes.prediction, methods=["GET"]),
            *release_routes(service),
            *incident_routes(service),
            *operator_routes(service),
            Route("/healthz", routes.healthz, methods=["GET"]),
            Route("/readyz", routes.readyz, methods=["GET"]),
            Route("/metrics", routes.metrics, methods=["GET"]),
            Route("/openapi.json", routes.openapi, methods=["GET"]),
            Route("/docs", routes.docs, methods=["GET"]),
            Route("/v1/snippet.js", routes.snippet, methods=["GET"]),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_problem, FlyballError: routes.problem, Exception: routes.problem},
    )
    inner.router.redirect_slashes = False
    roles = RouteRoles(service)
    for route in inner.routes:
        if isinstance(route, Route):
            route.app = guarded(route.app, roles.of_route(route.path))
    direct: dict[str, Handler] = {f"/v1/{about.kind}": routes.answer}
    for path, rendering in about.paths.items():
        method, _, template = path.partition(" ")
        if method == "POST" and "{" not in template:
            direct[template] = routes.own_handler(path, rendering)
    return CountedRefusals(service, Front(service, inner, direct))


def _reasons_asked(request: HttpRequest, fields: Collection[str]) -> int:
    """The number of reasons that the request wants for each value or item, 0 for none; `fields`: of the query that the
    request's own type has."""
    if REASONS in fields or REASONS not in request.query_params:
        return 0
    return whole_number(required_parameter(request, REASONS), REASONS, 1, MAX_REASONS)


def _one_at_a_time(request: HttpRequest, several: str) -> None:
    """Raise `BadInput` for what only one request may ask for."""
    for name in (REASONS, DRY):
        if name in request.query_params:
            raise BadInput(name, "asked for one request at a time", several)


def _is_dry(request: HttpRequest, fields: Collection[str]) -> bool:
    """Whether nothing is to be kept of a request; `fields`: of the query that the request's own type has."""
    if DRY in fields or DRY not in request.query_params:
        return False
    text = required_parameter(request, DRY)
    if text not in ("true", "false"):
        raise BadInput(DRY, "true or false", text)
    return text == "true"


def _loose(path: str) -> str:
    """The path with a parameter that may contain slashes, so that a malformed id gets a 400, not a 404."""
    return path.replace("}", ":path}")


class _Routes:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._document = AnswerDocument(service.about, service.runtime.value_names)
        self._described: dict[frozenset[str], bytes] = {}
        self._admission = Admission(service.runtime.settings, service.authenticator)

    async def problem(self, request: HttpRequest, error: Exception) -> Response:
        if problem_of(error).status >= 500:
            self._service.metrics.note("fault", request.url.path, error)
        return problem_response(error, request.url.path)

    async def root(self, request: HttpRequest) -> Response:
        return RedirectResponse("/docs", 307)

    async def answer(self, request: HttpRequest) -> Response:
        """One request by query or body, or an array of them."""
        reader = self._service.requests
        if request.method != "POST":
            fields = fields_of_query(request, reader.event_type, (REASONS, DRY))
            return await self._answer_one(request, reader.read(fields, strict=False), reader.names)
        if content_type_of(request) in JSON_LINES:
            return await self._answer_lines(request)
        body = await fields_of_body(request, (REASONS, DRY))
        if isinstance(body, dict):
            return await self._answer_one(request, reader.read(body), ())
        return await self._answer_array(request, body)

    async def _answer_one(self, request: HttpRequest, sent: Request, fields: Collection[str]) -> Response:
        """`fields`: of the query that are the request's own."""
        question, most = self._with_headers(request, sent), _reasons_asked(request, fields)
        dry = _is_dry(request, fields)
        prediction = await self._service.answer(question, dry)
        reasons = await self._service.reasons(question, prediction, most) if most else None
        return await self._answered(prediction, reasons=reasons, dry=dry)

    def _arm(self, request: HttpRequest) -> str:
        """The arm that the header of a tester names, "" without one. Raises `BadInput` for one that there is not."""
        arm, arms = request.headers.get(ARM_HEADER, ""), self._service.engine.arms
        if arm and arm not in arms:
            must = f"one of {', '.join(arms)}" if arms else "left out: no release under way has arms"
            raise BadInput(f"header {ARM_HEADER}", must, arm)
        return arm

    def _with_headers(self, request: HttpRequest, question: Request, position: int = 0) -> Request:
        """`position`: of the request in the body."""
        arm, traceparent, key = self._arm(request), request.headers.get("traceparent", ""), idempotency_key(request)
        if not arm and not traceparent and not key:
            return question
        name = name_of_request(key, position) if key else b""
        return msgspec.structs.replace(question, arm=arm, traceparent=traceparent, name=name)

    async def _answer_array(self, request: HttpRequest, body: Sequence[dict[str, Any]]) -> Response:
        """All requests, or an error that names the first one that is none."""
        _one_at_a_time(request, f"{len(body)} requests")
        self._arm(request)
        if not 1 <= len(body) <= MAX_BATCH:
            raise BadInput("requests in the body", f"from 1 to {MAX_BATCH}", len(body))
        self._count(request, "answers", len(body) - 1)
        requests = []
        for number, fields in enumerate(body, 1):
            try:
                requests.append(self._with_headers(request, self._service.requests.read(fields), number))
            except BadInput as error:
                raise Problem(400, f"request {number} of {len(body)}: {error}") from None
        predictions = await self._service.answer_all(requests)
        documents = [self._reply(prediction) for prediction in predictions]
        answered = [holds_any(self._service.about, prediction) for prediction in predictions]
        if not any(answered):
            return problem_response(self._no_value(predictions[0]), request.url.path)
        return _json(documents, {"cache-control": "no-store"}, 200 if all(answered) else 207)

    async def _answer_lines(self, request: HttpRequest) -> Response:
        """One request for each line; the reply has a line for each in the same order: the answer, or the error. Blank
        lines have none."""
        only(request, {REASONS, DRY})
        _one_at_a_time(request, "a request a line")
        self._arm(request)
        every = (await read_body(request)).split(b"\n")
        lines = [(number, line) for number, line in enumerate(every, 1) if line.strip()]
        if not 1 <= len(lines) <= MAX_LINES:
            raise BadInput("requests in the body", f"from 1 to {MAX_LINES} lines", len(lines))
        self._count(request, "answers", len(lines) - 1)
        replies: list[dict[str, Any]] = []
        for first in range(0, len(lines), LINES_AT_ONCE):
            replies += await self._answer_part(request, lines[first : first + LINES_AT_ONCE])
        good = sum("error" not in reply for reply in replies)
        unanswered = any("prediction" in reply for reply in replies)
        status = 200 if good == len(replies) else 207 if good else 503 if unanswered else 422
        body = b"".join(msgspec.json.encode(reply) + b"\n" for reply in replies)
        return Response(body, status, {"cache-control": "no-store"}, media_type="application/x-ndjson")

    async def _answer_part(self, request: HttpRequest, lines: Sequence[tuple[int, bytes]]) -> list[dict[str, Any]]:
        """A reply to each line; with its number in the body, which counts blank lines."""
        questions, replies = [], dict[int, dict[str, Any]]()
        for number, line in lines:
            try:
                question = self._service.requests.read(_decode_fields(line))
                questions.append((number, self._with_headers(request, question, number)))
            except BadInput as error:
                replies[number] = {"line": number, "error": str(error)}
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                replies[number] = {"line": number, "error": f"line must be a JSON object: {json_fault(line, error)}"}
        predictions = await self._service.answer_all([question for _, question in questions])
        for (number, _), prediction in zip(questions, predictions, strict=True):
            replies[number] = self._reply(prediction)
        return [replies[number] for number, _ in lines]

    async def _answered(
        self, prediction: Prediction, render: Render | None = None, reasons: Reasons | None = None, dry: bool = False
    ) -> Response:
        headers = {"x-flyball-prediction": prediction.id, "cache-control": "no-store"}
        if not holds_any(self._service.about, prediction):
            return problem_response(self._no_value(prediction, dry), f"/v1/{self._service.about.kind}")
        if render is not None:
            return Response(render(prediction), 200, headers, media_type="text/plain; charset=utf-8")
        document = self._reply(prediction) | ({DRY: True} if dry else {})
        return _json(document if reasons is None else {**document, "reasons": reasons}, headers)

    def _reply(self, prediction: Prediction) -> dict[str, Any]:
        """The answer as a document, with an error where it holds nothing."""
        document = self._document.of(prediction, self._service.engine.serving.titles)
        if holds_any(self._service.about, prediction):
            return document
        return {**document, "error": str(self._no_value(prediction))}

    def _no_value(self, prediction: Prediction, dry: bool = False) -> Problem:
        return no_value(self._service.why_unanswered(dry), prediction.id)

    def own(self, path: str, rendering: str) -> Route:
        """The route of an application's path, such as "POST /eta"."""
        method, _, template = path.partition(" ")
        return Route(_loose(template), self.own_handler(path, rendering), methods=[method])

    def own_handler(self, path: str, rendering: str) -> Handler:
        """The handler of an application's path, with fields in the path, query or body."""
        method, _, template = path.partition(" ")
        render, reader = rendering_of(path, rendering), self._service.requests

        async def handle(request: HttpRequest) -> Response:
            if method == "POST":
                body = await fields_of_body(request)
                if isinstance(body, list):
                    raise BadInput("body", "one request", f"an array of {len(body)}")
                fields = body
            else:
                fields = fields_of_query(request, reader.event_type)
            question = reader.read({**fields, **request.path_params}, strict=method == "POST" and "{" not in template)
            return await self._answered(await self._service.answer(self._with_headers(request, question)), render)

        return handle

    def lookup(self, lookup: Lookup) -> Handler:
        async def handle(request: HttpRequest) -> Response:
            fields = {**fields_of_query(request, lookup.query), **request.path_params}
            return _json(await self._service.lookup(lookup, fields))

        return handle

    async def events(self, request: HttpRequest) -> Response:
        only(request, {"format"})
        named = required_parameter(request, "format") if "format" in request.query_params else None
        format_name, lines = events_of(named, content_type_of(request), await read_body(request))
        self._count(request, "events", len(lines) - 1)
        identity = caller_of(request).identity
        summary = await self._service.intake.take(format_name, lines, idempotency_key(request), identity.event_types)
        bad, good = summary.refused, summary.accepted + summary.duplicate
        if bad and not good:
            more: dict[str, Any] = msgspec.to_builtins(summary)
            if summary.not_allowed == bad:
                raise Problem(403, f"{identity.name} may not send this: {summary.first_reason()}", **more)
            raise Problem(422, f"{bad} of {bad} events set aside: {summary.first_reason()}", **more)
        return _json(summary, status=207 if bad else 200)

    def _count(self, request: HttpRequest, kind: str, further: int) -> None:
        """Count what a request holds besides the first answer or event, which the front has counted."""
        caller = caller_of(request)
        check_limit(self._service, kind, caller.identity, caller.address, further)

    async def prediction(self, request: HttpRequest) -> Response:
        return _json(await self._service.prediction(request.path_params["id"]))

    async def healthz(self, request: HttpRequest) -> Response:
        return Response("ok\n", media_type="text/plain", headers={"cache-control": "no-store"})

    async def readyz(self, request: HttpRequest) -> Response:
        """503 only while this process cannot answer well, or is about to stop: a problem of the whole service would
        affect the process that a load balancer would choose instead, and answers from a lagging state are better than
        none."""
        unready, serving = self._service.refresher.unready(), self._service.engine.serving
        if self._service.runtime.layout.draining.exists():
            unready = ["it is about to stop", *unready]
        reasons = list(dict.fromkeys([*unready, *self._service.refresher.reasons()]))
        document = {
            "ready": not unready,
            "degraded": bool(reasons),
            "reasons": reasons,
            "champion": serving.release.champion,
            "in_service": list(serving.pipelines),
            "worker": self._service.worker,
        }
        return _json(document, status=503 if unready else 200)

    async def metrics(self, request: HttpRequest) -> Response:
        serving = self._service.engine.serving
        levels = {version: level_of(serving.release, version) for version in serving.pipelines}
        folder, refused = self._service.metrics.folder, dict(serving.refused)
        report = self._service.runtime.worker_report_path
        text = await self._service.aside(
            lambda: metrics_text(folder, levels, refused, read_worker_report(report), self._incidents(), self._leases())
        )
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def _incidents(self) -> IncidentCounts | None:
        """What is counted of incidents; None where the registry cannot be read."""
        try:
            return count_incidents(self._service.runtime.registry)
        except FlyballError:
            return None

    def _leases(self) -> list[LeaseStanding]:
        """Who leads; nobody known where the registry cannot be read."""
        try:
            return lease_standings(self._service.runtime.registry)
        except FlyballError:
            return []

    async def openapi(self, request: HttpRequest) -> Response:
        open_roles = self._admission.open_roles
        if open_roles not in self._described:
            self._described[open_roles] = msgspec.json.encode(describe(self._service, open_roles))
        return Response(self._described[open_roles], media_type="application/json")

    async def snippet(self, request: HttpRequest) -> Response:
        headers = {"cache-control": "public, max-age=3600", "cross-origin-resource-policy": "cross-origin"}
        return Response(SNIPPET, media_type="text/javascript; charset=utf-8", headers=headers)

    async def docs(self, request: HttpRequest) -> Response:
        page, headers = docs_page()
        return Response(page, media_type="text/html; charset=utf-8", headers=headers)


ARM_HEADER = "x-flyball-arm"
"""The header with which a tester requests an arm of a release."""


def _json(value: object, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


async def _http_problem(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        problem = Problem(405, f"method must be one of {allowed}, got {request.method}", {"allow": allowed})
    elif error.status_code == 404:
        problem = Problem(404, f"no such path: {path}; /docs lists what there is")
    else:
        problem = Problem(error.status_code, error.detail, error.headers)
    return problem_response(problem, path)
