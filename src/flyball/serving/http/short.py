"""Answers requests without routing, as bytes: one JSON object, or a key in the path.

Promises: replies equal those of the routes of `app.py`, byte for byte except for ids (tested); anything unusual is left
to the routes, so that an error has one wording. A request through ASGI takes 60 us more. Clients send the same head
again and again: one that was parsed before, byte for byte, is not parsed again, which saves another 6 us.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from flyball.outcomes import Prediction
from flyball.serving.answering.engine import holds_any
from flyball.serving.http.documents import AnswerDocument, rendering_of
from flyball.serving.http.problems import no_value, problem_body
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
_STRANGE = (b"transfer-encoding", b"expect", b"upgrade", b"content-encoding")


class ShortPath:
    """One path. `read`: makes the request from the key in the path, or from the body; it may raise anything."""

    __slots__ = ("encode", "read")

    def __init__(self, read: Callable[[bytes], Request], encode: Encode) -> None:
        self.read, self.encode = read, encode


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
        self._heads: dict[int, tuple[Headers, bytes]] = {}
        self._known: dict[bytes, tuple[ShortPath, int]] = {}

    def find(self, method: bytes, url: bytes, headers: Headers) -> ShortPath | None:
        """The short path for a request with this head; None for one that needs the routes."""
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
        if body and head.find(_END) == len(head) - len(_END) and len(head) <= MAX_KNOWN_HEAD:
            if len(self._known) >= MAX_KNOWN_HEADS:
                self._known.clear()
            self._known[head] = (path, len(body))

    def recall(self, message: bytes) -> tuple[ShortPath, bytes] | None:
        """The path and the body of a message that is one whole request whose head was parsed before."""
        end = message.find(_END) + len(_END)
        known = self._known.get(message[:end])
        return None if known is None or len(message) - end != known[1] else (known[0], message[end:])

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
    length = b""
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name in _STRANGE or (name == b"content-type" and value != _JSON):
            return False
    return length.isdigit() and len(length) < 6 and int(length) <= MAX_BODY


def _has_body(headers: Headers) -> bool:
    return any(name == b"content-length" or name in _STRANGE for name, _ in headers)
