"""What every request passes first: who sends it, what it may do, which page it comes from; then its handler.

Plain lists and requests in a body are handled by their exact path, without routing; all errors become problem
documents.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flyball.access import ROLES, Identity, Pass, holds_role
from flyball.core import BadInput, NotAllowed, NotAuthenticated
from flyball.serving.http.admission import Admission
from flyball.serving.http.limiting import COUNTED, too_late, too_many
from flyball.serving.http.origins import Head, HeaderLines, Origins
from flyball.serving.http.problems import problem_body, problem_of
from flyball.serving.http.route_roles import OPEN, SERVE, RouteRoles
from flyball.serving.http.short import plain_headers, plain_paths
from flyball.serving.service import Service

Handler = Callable[[HttpRequest], Awaitable[Response]]

_CALLER, _ROLE = "flyball.caller", "flyball.role"
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_ONCE = (b"authorization", b"host", b"origin", b"content-type")
"""Headers that are decided by: a request with two of one is refused, as another server may believe the other one."""


class Caller(msgspec.Struct, frozen=True):
    """Who sends a request, and from which address."""

    identity: Identity
    address: str

    def actor(self, claimed: str = "") -> str:
        """Who does it, for histories; `claimed`: the name that the request's body gives."""
        return self.identity.actor(self.address, claimed)


def caller_of(request: HttpRequest) -> Caller:
    """Who sends a request that the front let in."""
    caller: Caller = request.scope[_CALLER]
    return caller


def guarded(handler: ASGIApp, roles: Mapping[str, str]) -> ASGIApp:
    """The handler of a route, for requests that were let in by its own role alone: where the routing matches another
    path than the table of roles does, nobody is. `roles`: {method: role}."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        role = roles.get(scope["method"])
        if role is None or scope.get(_ROLE) != role:
            raise NotAllowed("path must be one that a role allows, got none of them: /openapi.json lists them")
        await handler(scope, receive, send)

    return run


class Front:
    """`direct`: {path of POST: its handler}, which is called without routing."""

    def __init__(self, service: Service, inner: ASGIApp, direct: Mapping[str, Handler]) -> None:
        self._service, self._inner, self._direct = service, inner, direct
        self._short = plain_paths(service)
        self._prefixes = tuple(self._short)
        settings, authenticator = service.runtime.settings, service.authenticator
        self._roles, self._admission = RouteRoles(service), Admission(settings, authenticator)
        self._origins = Origins(settings.origins, authenticator, self._admission.checks_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        path: str = scope["path"]
        if scope["method"] == "HEAD":  # the server leaves out the body of the answer
            scope = {**scope, "method": "GET"}
        method: str = scope["method"]
        head = dict(scope["headers"])
        try:
            _check_head(scope, head, path)
            if method == "OPTIONS" and await self._preflight(head, send):
                return
            identity = await self._let_in(scope, head, method, path)
        except Exception as error:
            await self._problem(error, path, _with_lines(send, self._origins.shown(head)))
            return
        send = _with_lines(send, self._origins.shown(head, identity))
        is_answered = scope[_ROLE] == SERVE
        if is_answered and method == "POST" and path in self._direct:
            await self._posted(scope, receive, send)
        elif is_answered and path.startswith(self._prefixes) and method == "GET" and not self._is_in_trace(scope):
            await self._plain(path, send)
        else:
            await self._routed(scope, receive, send)

    async def _let_in(self, scope: Scope, head: Head, method: str, path: str) -> Identity | None:
        """Identity, limits, origin, role, in this order; raises what the request is refused with. Returns who it is,
        None where nobody is asked."""
        role = scope[_ROLE] = self._roles.find(method, path)
        headers, client = scope["headers"], scope.get("client")
        if role == OPEN:
            return None
        passed = self._admission.at_once(head, headers, client)
        if passed is None:
            passed = await self._admission.admit(head, headers, client)
        address = self._admission.address(head, client)
        if COUNTED not in scope:
            self._limit(role, passed.identity, address)
        self._origins.check(head, method, role, passed.identity)
        if role is not None and not holds_role(passed.identity.roles, role):
            _refuse(passed, role)
        scope[_CALLER] = Caller(passed.identity, address)
        return passed.identity

    def _limit(self, role: str | None, identity: Identity, address: str) -> None:
        """Count the request, of whose body nothing was read; raises `Problem` for one above a limit."""
        kind = "events" if role == "write-events" else "answers"
        yields = kind == "events" or role == SERVE  # whoever looks after the service gets through
        if yields and self._service.waiting.is_over(of_events=kind == "events"):
            self._service.limits.refused("late", identity.name)
            raise too_late()
        wait_s = self._service.limits.wait_s(kind, identity, address)
        if wait_s:
            raise too_many(self._service, kind, wait_s, identity)

    async def _preflight(self, head: Head, send: Send) -> bool:
        """Whether it was a preflight request, which is answered; browsers send no key with it."""
        lines = self._origins.preflight(head)
        if lines is None:
            return False
        self._service.metrics.status(204)
        await send({"type": "http.response.start", "status": 204, "headers": lines})
        await send({"type": "http.response.body", "body": b""})
        return True

    def _is_in_trace(self, scope: Scope) -> bool:
        """Whether the caller sent its trace, which the routes read."""
        return self._service.runtime.tracer is not None and any(name == b"traceparent" for name, _ in scope["headers"])

    async def _plain(self, path: str, send: Send) -> None:
        prefix = next(prefix for prefix in self._prefixes if path.startswith(prefix))
        try:
            prediction = await self._service.plain(path[len(prefix) :])
        except Exception as error:  # mostly BadInput; any error becomes a problem document
            if not isinstance(error, BadInput):
                self._service.metrics.note("fault", prefix, error)
            await self._problem(error, path, send)
            return
        body = self._short[prefix](prediction)
        headers = plain_headers(prediction, len(body))
        self._service.metrics.status(200)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _posted(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        try:
            response = await self._direct[path](HttpRequest(scope, receive))
        except Exception as error:
            if problem_of(error).status >= 500:
                self._service.metrics.note("fault", path, error)
            await self._problem(error, path, send)
            return
        self._service.metrics.status(response.status_code)
        await response(scope, receive, send)

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
            # an unexpected error was answered already, and is raised again by Starlette for the server's log
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


def _refuse(passed: Pass, role: str) -> NoReturn:
    identity = passed.identity
    if identity.is_known:
        raise NotAllowed(
            f"role of {identity.name} must be {role} ({ROLES[role]}), got {', '.join(sorted(identity.roles))}: "
            f"flyball keys create APP --role {role} makes a key with it"
        )
    must = "a request that changes or manages something must have a key, got none, and anyone reaches this port"
    raise NotAuthenticated(
        f"{must}: flyball keys create APP --role {role} makes one"
        + ("; or set manage (FLYBALL_MANAGE=true), with which nobody needs one" if role == "operate" else "")
    )


def _check_head(scope: Scope, head: Head, path: str) -> None:
    """Raise `BadInput` for what no client sends by mistake, and two servers may read in two ways."""
    if not path.isprintable() and _CONTROL.search(path):
        raise BadInput("path", "free of control characters", path)
    if len(head) != len(scope["headers"]):
        names = [name for name, _ in scope["headers"]]
        for name in _ONCE:
            if names.count(name) > 1:
                raise BadInput(f"header {name.decode()}", "sent once", f"{names.count(name)} of them")
    if b"host" not in head and scope["http_version"] == "1.1":
        raise BadInput("header host", "sent, as HTTP/1.1 has it", "none")


def _with_lines(send: Send, lines: HeaderLines) -> Send:
    """`send`, with further headers of the response."""
    if not lines:
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *lines]}
        await send(message)

    return sending
