"""The HTTP face: a short path for the plain list, ordinary routes for the rest, problem documents for what is wrong."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flyball.core import BadInput, FlyballError
from flyball.events import read_worker_report
from flyball.outcomes import Prediction
from flyball.releases import level_of
from flyball.serving.event_endpoint import UNTOLD, is_json
from flyball.serving.http.docs import docs_page
from flyball.serving.http.openapi import describe
from flyball.serving.metrics import metrics_text
from flyball.serving.problems import Problem, problem_body, problem_of, problem_response
from flyball.serving.service import Service

MAX_BODY = 1 << 20
PLAIN = "/recommend/"

Handler = Callable[[Request], Awaitable[Response]]

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_NO_STORE = (b"cache-control", b"no-store")


def make_app(service: Service) -> ASGIApp:
    """The ASGI application of one process; its lifespan starts and stops the service."""
    routes = _Routes(service)

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
            Route(PLAIN + "{user:path}", routes.unreached, methods=["GET"]),
            Route("/v1/recommend", routes.recommend, methods=["GET", "POST"]),
            Route("/v1/similar/{item:path}", routes.similar, methods=["GET"]),
            Route("/v1/rating", routes.rating, methods=["GET"]),
            Route("/v1/events", routes.events, methods=["POST"]),
            Route("/v1/predictions/{id}", routes.prediction, methods=["GET"]),
            Route("/healthz", routes.healthz, methods=["GET"]),
            Route("/readyz", routes.readyz, methods=["GET"]),
            Route("/metrics", routes.metrics, methods=["GET"]),
            Route("/openapi.json", routes.openapi, methods=["GET"]),
            Route("/docs", routes.docs, methods=["GET"]),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_problem, FlyballError: routes.problem, Exception: routes.problem},
    )
    inner.router.redirect_slashes = False
    return _Front(service, inner)


class _Front:
    """Takes the short path for the plain list, and turns whatever goes wrong into a problem document."""

    def __init__(self, service: Service, inner: ASGIApp) -> None:
        self._service, self._inner = service, inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith(PLAIN) and scope["method"] in ("GET", "HEAD"):
            await self._plain(path, send)
        else:
            await self._routed(scope, receive, send)

    async def _plain(self, path: str, send: Send) -> None:
        try:
            prediction = await self._service.plain(path[len(PLAIN) :])
        except Exception as error:  # BadInput as a rule; whatever else it is, the caller gets a document
            if not isinstance(error, BadInput):
                self._service.metrics.note("fault", "recommend", error)
            await self._problem(error, path, send)
            return
        body = ",".join(prediction.items).encode()
        headers = [_TEXT, _NO_STORE, (b"content-length", b"%d" % len(body)), *_stamps(prediction)]
        self._service.metrics.status(200)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self._service.metrics.status(message["status"])
            await send(message)

        try:
            await self._inner(scope, receive, sending)
        except Exception as error:
            # what nobody foresaw was answered and noted within, and is raised again by Starlette for the server's log
            if not begun:
                await self._problem(error, scope["path"], send)

    async def _problem(self, error: Exception, path: str, send: Send) -> None:
        problem = problem_of(error)
        body = problem_body(problem, path)
        headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
        headers += [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        self._service.metrics.status(problem.status)
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Routes:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._described: bytes | None = None

    async def problem(self, request: Request, error: Exception) -> Response:
        if problem_of(error).status >= 500:
            self._service.metrics.note("fault", request.url.path, error)
        return problem_response(error, request.url.path)

    async def root(self, request: Request) -> Response:
        return RedirectResponse("/docs", 307)

    async def unreached(self, request: Request) -> Response:
        raise Problem(404, "no such list")  # GET and HEAD never come here; the route makes other methods a 405

    async def recommend(self, request: Request) -> Response:
        if request.method == "POST":
            asked = self._service.requests.read(await _fields(request))
        else:
            asked = self._service.requests.read(_fields_of_query(request), strict=False)
        return _json(answer_document(await self._service.answer(asked)), _stamps_of(asked.id))

    async def similar(self, request: Request) -> Response:
        _only(request, {"k"})
        k = _whole(request, "k")
        found = await self._service.similar(request.path_params["item"], self._service.task.k if k is None else k)
        items = [{"item": item, "score": score} for item, score in zip(found.items, found.scores, strict=True)]
        return _json({"item": found.item, "version": found.version, "items": items})

    async def rating(self, request: Request) -> Response:
        _only(request, {"user", "item"})
        return _json(await self._service.rating(_given(request, "user"), _given(request, "item")))

    async def events(self, request: Request) -> Response:
        _only(request, {"format"})
        named = _given(request, "format") if "format" in request.query_params else None
        body = await read_body(request)
        summary = await self._service.intake.take(named, _content_type(request), body)
        bad, good = summary.quarantined, summary.accepted + summary.duplicate
        if bad and not good:
            more: dict[str, Any] = msgspec.to_builtins(summary)
            raise Problem(422, f"{bad} of {bad} events set aside: {summary.first_reason()}", **more)
        return _json(summary, status=207 if bad else 200)

    async def prediction(self, request: Request) -> Response:
        return _json(await self._service.prediction(request.path_params["id"]))

    async def healthz(self, request: Request) -> Response:
        return Response("ok\n", media_type="text/plain", headers={"cache-control": "no-store"})

    async def readyz(self, request: Request) -> Response:
        unready, serving = self._service.refresher.unready(), self._service.engine.serving
        document = {
            "ready": not unready,
            "reasons": [*unready, *self._service.refresher.reasons()],
            "champion": serving.release.champion,
            "in_service": list(serving.pipelines),
            "worker": self._service.worker,
        }
        return _json(document, status=503 if unready else 200)

    async def metrics(self, request: Request) -> Response:
        serving = self._service.engine.serving
        roles = {version: level_of(serving.release, version) for version in serving.pipelines}
        folder, refused = self._service.metrics.folder, dict(serving.refused)
        report = self._service.runtime.worker_report_path
        text = await self._service.aside(lambda: metrics_text(folder, roles, refused, read_worker_report(report)))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, request: Request) -> Response:
        if self._described is None:
            self._described = msgspec.json.encode(describe(self._service))
        return Response(self._described, media_type="application/json")

    async def docs(self, request: Request) -> Response:
        return Response(docs_page(self._service.runtime.app.name), media_type="text/html; charset=utf-8")


def answer_document(prediction: Prediction) -> dict[str, Any]:
    """An answer as JSON shows it."""
    items = [
        {"item": item, "score": score, "source": source}
        for item, score, source in zip(prediction.items, prediction.scores, prediction.sources, strict=True)
    ]
    return {
        "prediction": prediction.id,
        "user": prediction.key,
        "level": prediction.level,
        "version": prediction.version or None,
        "stale_s": prediction.stale_us / 1e6 if prediction.stale_us else None,
        "items": items,
    }


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The whole body, chunked or not; raises `Problem` 413 as soon as it is known to be over `limit` bytes."""
    told = request.headers.get("content-length", "0")
    too_large = Problem(413, f"body must be at most {limit} bytes", {"connection": "close"})
    if told.isdecimal() and int(told) > limit:
        raise too_large
    pieces, size = [], 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise too_large
            pieces.append(piece)
    except ClientDisconnect:
        raise Problem(400, "body must be sent in whole") from None  # nobody is left to read it, but it is counted
    return b"".join(pieces)


async def _fields(request: Request) -> dict[str, Any]:
    _only(request, set())
    if _content_type(request) not in ("", "application/json", *UNTOLD):
        raise Problem(415, f"content type must be application/json, got {_content_type(request)}")
    body = await read_body(request)
    if _content_type(request) in UNTOLD and not is_json(body):
        raise Problem(415, f"content type must be application/json, got {_content_type(request)}")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"body must be a JSON object: {error}") from None


def _fields_of_query(request: Request) -> dict[str, Any]:
    given = request.query_params
    filters: dict[str, dict[str, list[str]]] = {"include": {}, "exclude": {}}
    for name, value in given.multi_items():
        kind, dot, attribute = name.partition(".")
        if dot and kind in filters and attribute:
            filters[kind].setdefault(attribute, []).append(value)
        elif name not in ("user", "k", "without"):
            raise BadInput("parameter", "user, k, without, include.<attribute> or exclude.<attribute>", name)
    k = _whole(request, "k")
    return {
        "user": _given(request, "user"),
        **({} if k is None else {"k": k}),
        **filters,
        "without": [item for value in given.getlist("without") for item in value.split(",") if item],
    }


def _only(request: Request, known: set[str]) -> None:
    for name in request.query_params:
        if name not in known:
            raise BadInput("parameter", f"one of {', '.join(sorted(known)) or 'none'}", name)


def _given(request: Request, name: str) -> str:
    values = request.query_params.getlist(name)
    if len(values) != 1:
        raise BadInput(f"parameter {name}", "given once", values)
    return values[0]


def _whole(request: Request, name: str) -> int | None:
    if name not in request.query_params:
        return None
    text = _given(request, name)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise BadInput(f"parameter {name}", "a whole number", text)
    return int(text)


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _stamps(prediction: Prediction) -> list[tuple[bytes, bytes]]:
    stamps = [
        (b"x-flyball-prediction", prediction.id.encode()),
        (b"x-flyball-level", prediction.level.encode()),
        (b"x-flyball-version", (prediction.version or "none").encode()),
    ]
    if prediction.stale_us:
        stamps.append((b"x-flyball-stale-s", b"%.3f" % (prediction.stale_us / 1e6)))
    return stamps


def _stamps_of(prediction_id: str) -> dict[str, str]:
    return {"x-flyball-prediction": prediction_id, "cache-control": "no-store"}


def _json(value: object, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


async def _http_problem(request: Request, error: Exception) -> Response:
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
