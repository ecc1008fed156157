"""Errors over HTTP: problem documents (RFC 9457), never a 500."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from flyball.core import (
    BadInput,
    FlyballError,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Refused,
    StoreUnavailable,
    TooManyAttempts,
)

_KINDS = {
    400: "bad-input",
    401: "no-key",
    403: "not-allowed",
    404: "not-found",
    405: "wrong-method",
    408: "too-slow",
    409: "not-offered",
    413: "too-large",
    415: "wrong-content",
    422: "rejected",
    429: "too-many",
    431: "too-large",
    503: "try-later",
}


class Problem(FlyballError):
    """An error that is answered with `status` and a problem document."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        self.status, self.detail, self.headers, self.more = status, detail, dict(headers or {}), more
        super().__init__(detail)


def no_value(reason: str, prediction_id: str) -> Problem:
    """What is answered where no version can and none has computed what is usual. It has no Retry-After: where requests
    are events this one was kept, and asked again it would be kept twice."""
    headers = {"x-flyball-prediction": prediction_id, "cache-control": "no-store"}
    return Problem(503, reason, headers, prediction=prediction_id)


def problem_of(error: BaseException) -> Problem:
    """The problem for an error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, BadInput):
        return Problem(400, str(error))
    if isinstance(error, NotFound):
        return Problem(404, f"no {error.kind} {error.name!r}")
    if isinstance(error, NotAuthenticated):
        return Problem(401, str(error), {"www-authenticate": 'Bearer realm="flyball"'})
    if isinstance(error, NotAllowed):
        return Problem(403, str(error))
    if isinstance(error, TooManyAttempts):
        return Problem(429, str(error), {"retry-after": str(error.retry_after_s)})
    if isinstance(error, Refused):
        return Problem(409, str(error))
    if isinstance(error, StoreUnavailable):
        return Problem(503, str(error), {"retry-after": "1"})
    return Problem(503, "the request could not be served now; the reason is in the log", {"retry-after": "1"})


def problem_body(problem: Problem, instance: str) -> bytes:
    """The document; `type` points into the page of documentation."""
    document = {
        "type": f"/docs#{_KINDS.get(problem.status, 'problem')}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        **problem.more,
    }
    return msgspec.json.encode(document)


def problem_response(error: BaseException, instance: str) -> Response:
    problem = problem_of(error)
    return Response(
        problem_body(problem, instance), problem.status, problem.headers, media_type="application/problem+json"
    )
