"""Leaves a trace of who was not let in: counters by reason, and a line in the log once a minute."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flyball.core import FlyballError
from flyball.limits import RefusalLog
from flyball.serving.http.admission import Admission
from flyball.serving.service import Service

REASON_OF_STATUS = {401: "no-key", 403: "not-allowed", 429: "too-many"}


class CountedRefusals:
    """An application whose refusals are counted and logged. What is above a limit of an admitted sender is not:
    `flyball_limited_total` has it."""

    def __init__(self, service: Service, inner: ASGIApp) -> None:
        self._inner, self._metrics = inner, service.metrics
        self._log = RefusalLog(service.stopwatch, "not let in")
        self._admission = Admission(service.runtime.settings, service.authenticator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in REASON_OF_STATUS:
                self._note(scope, REASON_OF_STATUS[message["status"]])
            await send(message)

        await self._inner(scope, receive, sending)

    def _note(self, scope: Scope, reason: str) -> None:
        head, client = dict(scope["headers"]), scope.get("client")
        if reason == "too-many" and self._is_admitted(scope):
            return
        self._metrics.counters.add(f"not_let_in|{reason}")
        self._log.note(reason, self._admission.address(head, client))

    def _is_admitted(self, scope: Scope) -> bool:
        try:
            return self._admission.at_once(dict(scope["headers"]), scope["headers"], scope.get("client")) is not None
        except FlyballError:  # who sends it is not known
            return False
