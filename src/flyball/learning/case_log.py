"""Opens and closes the cases of an application in its registry."""

from collections.abc import Sequence

import msgspec

from flyball.core import FlyballError
from flyball.learning.causes import LearningCause
from flyball.learning.expectation import expectation_of
from flyball.registry import (
    INTERRUPTED,
    Case,
    Registry,
    cases_of,
    close_case,
    elsewhere,
    open_case,
    refuse_case,
    start_case,
)
from flyball.runtime import Runtime

_WITHDRAWN = "the cause no longer holds"


class CaseLog:
    """The cases that a governor opens. A cause that is seen again is the same case until that is closed."""

    def __init__(self, registry: Registry, app: str) -> None:
        self._registry, self._app = registry, app

    def waiting(self) -> dict[str, str]:
        """{fingerprint: why it was last refused} of the cases that wait."""
        return {
            case.fingerprint: case.refusals[-1]["reason"] if case.refusals else "" for case in self._open("waiting")
        }

    def recover(self, now_us: int, under_way: Sequence[str] = ()) -> list[str]:
        """Close the cases that killed processes left; returns their ids.

        Call it where this process runs none but `under_way`: what it began before is over.
        """
        ended = [case for case in cases_of(self._registry) if case.status in ("running", "interrupted")]
        others = elsewhere(self._registry.database) if ended else set()
        left = [
            case.id
            for case in ended
            if case.id not in under_way and (f"run {case.run}" if case.run else f"case {case.id}") not in others
        ]
        for case_id in left:
            close_case(self._registry, case_id, now_us, INTERRUPTED)
        return left

    def refuse(self, cause: LearningCause, reason: str, now_us: int) -> None:
        """Note that a cause must wait."""
        refuse_case(self._registry, self._case(cause, now_us), now_us, reason)

    def withdraw(self, fingerprint: str, now_us: int) -> None:
        """Close the case that waits with this fingerprint: its cause no longer holds."""
        for case in self._open("waiting"):
            if case.fingerprint == fingerprint:
                close_case(self._registry, case.id, now_us, _WITHDRAWN)

    def begin(self, causes: Sequence[LearningCause], now_us: int) -> tuple[str, ...]:
        """The ids of the cases of `causes`, which now start a run together."""
        return tuple(start_case(self._registry, self._case(cause, now_us)).id for cause in causes)

    def end(self, case_ids: Sequence[str], outcome: str, now_us: int) -> None:
        """Close those that their run did not close."""
        for case_id in case_ids:
            close_case(self._registry, case_id, now_us, outcome)

    def _case(self, cause: LearningCause, now_us: int) -> Case:
        for case in self._open("waiting"):
            if cause.fingerprint and case.fingerprint == cause.fingerprint:
                return case
        return open_case(
            self._registry,
            Case(
                app=self._app,
                trigger=cause.trigger,
                kind=cause.kind,
                cause=cause.message,
                opened_us=now_us,
                evidence=cause.evidence,
                fingerprint=cause.fingerprint,
                expected=msgspec.to_builtins(expectation_of(self._registry, now_us)),
            ),
        )

    def _open(self, status: str) -> list[Case]:
        return [case for case in cases_of(self._registry) if case.status == status]


def open_manual(runtime: Runtime, by: str, now_us: int) -> Case:
    """A case for a run that a person starts."""
    case = Case(
        app=runtime.app.name,
        trigger="by hand",
        kind="manual",
        cause=f"started by {by}",
        opened_us=now_us,
        status="running",
        expected=msgspec.to_builtins(expectation_of(runtime.registry, now_us)),
    )
    return open_case(runtime.registry, case)


def close_cases(runtime: Runtime, case_ids: Sequence[str], outcome: str) -> None:
    """Close the cases of a run that ended; what fails here, such as on a full disk, the governor does later."""
    try:
        for case_id in case_ids:
            close_case(runtime.registry, case_id, runtime.clock.now_us(), outcome)
    except FlyballError:
        return
