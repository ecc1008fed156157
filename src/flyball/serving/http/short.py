"""Answers requests without routing, as bytes: one JSON object, or a key in the path.

Promises: replies equal those of the routes of `app.py`, byte for byte except for ids (tested); anything unusual is left
to the routes, so that an error has one wording. A request through ASGI takes 60 us more. Clients send the same head
again and again: one that was parsed before, byte for byte, is not parsed again, which saves another 6 us.
"""

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus

import msgspec

from flyball.access import Pass, holds_role
from flyball.core import FlyballError
from flyball.outcomes import Prediction
from flyball.serving.answering.engine import holds_any
from flyball.serving.http.admission import Admission, Client
from flyball.serving.http.documents import AnswerDocument, rendering_of
from flyball.serving.http.limiting import too_late, too_many
from flyball.serving.http.origins import Origins
from flyball.serving.http.problems import Problem, no_value, problem_body
from flyball.serving.http.route_roles import SERVE
from flyball.serving.service import Service
from flyball.tasks import Request

MAX_BODY = 1 << 16
"""Of a request on a short path, in bytes; longer ones are rare, and arrive in several pieces."""

MAX_KNOWN_HEAD, MAX_KNOWN_HEADS = 1 << 11, 256
"""Bytes of a head that is known again, and how many are kept."""

Headers = Sequence[tuple[bytes, bytes]]
Encode = Callable[[Prediction], tuple[bytes, bytes]]
"""A prediction's (headers as bytes, body)."""

_OK = b"HTTP/1.1 200 OK\r\n"
_END = b"\r\n\r\n"
_JSON = b"application/json"
_FORWARDED = b"x-forwarded-for"
_STRANGE = (b"transfer-encoding", b"expect", b"upgrade", b"content-encoding")


class ShortPath:
    """One path. `read`: makes the request from the key in the path, or from the body; it may raise anything."""

    __slots__ = ("encode", "read")

    def __init__(self, read: Callable[[bytes], Request], encode: Encode) -> None:
        self.read, self.encode = read, encode


class _KnownHead:
    """A head that was let in. `generation`: of the keys, at that time."""

    __slots__ = ("generation", "length", "passed", "path")

    def __init__(self, path: ShortPath, length: int, passed: Pass, generation: int) -> None:
        self.path, self.length, self.passed, self.generation = path, length, passed, generation


class ShortPaths:
    """All short paths of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._document = AnswerDocument(service.about, service.runtime.value_names)
        self._decode = msgspec.json.Decoder(dict[str, object]).decode
        self._posts = {f"/v1/{service.about.kind}".encode(): ShortPath(self._posted, self._json)}
        self._gets: dict[bytes, Encode] = {}
        for prefix, render in plain_paths(service).items():
            self._gets[prefix.encode()] = _text_of(render)
        self._is_traced = service.runtime.tracer is not None
        self._heads: dict[int, tuple[Headers, bytes]] = {}
        self._known: dict[bytes, _KnownHead] = {}
        settings, authenticator = service.runtime.settings, service.authenticator
        self._admission = Admission(settings, authenticator)
        self._origins = Origins(settings.origins, authenticator, self._admission.checks_host)
        self._authenticator = authenticator
        self._passed: Pass | None = None  # of the head that was found last
        self._generation = -1  # when that was decided
        self.sender: tuple[Pass | None, str] = (None, "")
        """Who sends the request whose path was found last, and from which address."""

    def find(self, method: bytes, url: bytes, headers: Headers, client: Client = None) -> ShortPath | None:
        """The short path for a request with this head; None for one that needs the routes, or is not let in at once."""
        path = self._path_of(method, url, headers)
        return path if path is not None and self._is_let_in(method, headers, client) else None

    def _is_let_in(self, method: bytes, headers: Headers, client: Client) -> bool:
        """As the front decides, where it need not wait or refuse."""
        head = dict(headers)
        self._generation = self._authenticator.generation  # before it is decided: another thread may change it
        if len(head) != len(headers) or b"host" not in head:
            return False
        try:
            passed = self._admission.at_once(head, headers, client)
        except FlyballError:  # the front says it
            return False
        if passed is None or not self._origins.is_plain(head, passed.identity):
            return False
        self._passed = passed
        self.sender = (passed, self._admission.address(head, client))
        return holds_role(passed.identity.roles, SERVE)

    def _path_of(self, method: bytes, url: bytes, headers: Headers) -> ShortPath | None:
        if self._is_traced and any(name == b"traceparent" for name, _ in headers):
            return None
        if method == b"POST":
            path = self._posts.get(url)
            return path if path is not None and _is_small_json(headers) else None
        if method != b"GET" or b"%" in url or b"?" in url or b"#" in url:
            return None
        for prefix, encode in self._gets.items():
            if url.startswith(prefix):
                return None if _has_body(headers) else ShortPath(partial(self._keyed, url[len(prefix) :]), encode)
        return None

    def remember(self, message: bytes, path: ShortPath, body: bytes) -> None:
        """Note the head of a message that was parsed and is one whole request with its key in `body`."""
        head = message.removesuffix(body)
        if self._passed is None or self._admission.by_address or _FORWARDED in message.lower():
            return
        if body and head.find(_END) == len(head) - len(_END) and len(head) <= MAX_KNOWN_HEAD:
            if len(self._known) >= MAX_KNOWN_HEADS:
                self._known.clear()
            self._known[head] = _KnownHead(path, len(body), self._passed, self._generation)

    def recall(self, message: bytes) -> tuple[ShortPath, bytes, Pass] | None:
        """The path, the body and the sender of a message that is one whole request whose head was parsed before."""
        end = message.find(_END) + len(_END)
        known = self._known.get(message[:end])
        if known is None or len(message) - end != known.length or known.generation != self._authenticator.generation:
            return None
        known.passed.used = True
        return known.path, message[end:], known.passed

    def refusal(self, passed: Pass | None, address: str) -> Problem | None:
        """Why a request is not answered: it has waited too long, or its sender has had too many; else it is counted."""
        service = self._service
        if service.waiting.is_over():
            service.limits.refused("late", address if passed is None else passed.identity.name)
            return too_late()
        if passed is None:
            return None
        wait_s = service.limits.wait_s("answers", passed.identity, address)
        return too_many(service, "answers", wait_s, passed.identity) if wait_s else None

    def refused(self, problem: Problem, defaults: Headers, closing: bool) -> bytes:
        """The whole response to a request that is not answered."""
        self._service.metrics.status(problem.status)
        body = problem_body(problem, f"/v1/{self._service.about.kind}")
        phrase = HTTPStatus(problem.status).phrase
        status = f"HTTP/1.1 {problem.status} {phrase}\r\nretry-after: {problem.headers['retry-after']}\r\n"
        head = self._head(defaults).replace(_OK, status.encode(), 1)
        further = b"content-length: %d\r\ncontent-type: application/problem+json\r\n" % len(body)
        return b"".join((head, further, b"connection: close\r\n\r\n" if closing else b"\r\n", body))

    def answer(self, request: Request, done: Callable[[Prediction], None]) -> None:
        """Calls `done` with the answer, in time."""
        self._service.answer_soon(request, done)

    def response(self, path: ShortPath, prediction: Prediction, defaults: Headers, closing: bool) -> bytes:
        """The whole response; `defaults`: the server's own headers."""
        last = b"connection: close\r\n\r\n" if closing else b"\r\n"
        if not holds_any(self._service.about, prediction):
            return self._problem(prediction, defaults, last)
        headers, body = path.encode(prediction)
        self._service.metrics.status(200)
        return b"".join((self._head(defaults), headers, last, body))

    def _problem(self, prediction: Prediction, defaults: Headers, last: bytes) -> bytes:
        """The response where there is nothing to answer."""
        about = self._service.about
        problem = no_value(self._service.why_unanswered(), prediction.id)
        body = problem_body(problem, f"/v1/{about.kind}")
        self._service.metrics.status(problem.status)
        head = self._head(defaults).replace(_OK, b"HTTP/1.1 503 Service Unavailable\r\n", 1)
        headers = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
        further = b"content-length: %d\r\ncontent-type: application/problem+json\r\n" % len(body)
        return b"".join((head, headers.encode(), further, last, body))

    def _head(self, defaults: Headers) -> bytes:
        """The status line and the server's headers, which change once a second."""
        made_at, head = self._heads.get(0, (None, b""))
        if made_at is not defaults:
            head = _OK + b"".join(name + b": " + value + b"\r\n" for name, value in defaults)
            self._heads[0] = (defaults, head)
        return head

    def _posted(self, body: bytes) -> Request:
        return self._service.requests.read(self._decode(body))

    def _keyed(self, key: bytes, body: bytes) -> Request:
        return self._service.requests.plain(key.decode("ascii"))

    def _json(self, prediction: Prediction) -> tuple[bytes, bytes]:
        body = msgspec.json.encode(self._document.of(prediction, self._service.engine.serving.titles))
        return (
            b"x-flyball-prediction: %b\r\ncache-control: no-store\r\ncontent-length: %d\r\n"
            b"content-type: application/json\r\n" % (prediction.id.encode(), len(body)),
            body,
        )


def plain_paths(service: Service) -> dict[str, Callable[[Prediction], bytes]]:
    """{prefix: rendering} of the GET paths that end in the request's key and answer with text."""
    short = {}
    for path, name in service.about.paths.items():
        method, _, template = path.partition(" ")
        prefix, brace, field = template.partition("{")
        render = rendering_of(path, name)
        if method == "GET" and brace and field == f"{service.requests.key_field}}}" and render is not None:
            short[prefix] = render
    return short


def plain_headers(prediction: Prediction, length: int) -> list[tuple[bytes, bytes]]:
    """The headers of a plain list, whose body is `length` bytes."""
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % length),
        (b"x-flyball-prediction", prediction.id.encode()),
        (b"x-flyball-level", prediction.level.encode()),
        (b"x-flyball-version", (prediction.version or "none").encode()),
    ]
    if prediction.stale_us:
        headers.append((b"x-flyball-stale-s", b"%.3f" % (prediction.stale_us / 1e6)))
    return headers


def _text_of(render: Callable[[Prediction], bytes]) -> Encode:
    def encode(prediction: Prediction) -> tuple[bytes, bytes]:
        body = render(prediction)
        return b"".join(name + b": " + value + b"\r\n" for name, value in plain_headers(prediction, len(body))), body

    return encode


def _is_small_json(headers: Headers) -> bool:
    """Whether the head announces one small JSON document."""
    length = content_type = b""
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"content-type":
            content_type = value
        elif name in _STRANGE:
            return False
    return content_type == _JSON and length.isdigit() and len(length) < 6 and int(length) <= MAX_BODY


def _has_body(headers: Headers) -> bool:
    return any(name == b"content-length" or name in _STRANGE for name, _ in headers)
