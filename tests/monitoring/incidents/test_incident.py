"""The state machine of an incident: every pair of command and state is allowed or refused as written."""

import pytest
from tests.monitoring.incidents.world import incident

from flyball.core import Refused
from flyball.monitoring.incidents.incident import NOT_CLOSED, IncidentCommand, IncidentState, state_after

STATES: tuple[IncidentState, ...] = (*NOT_CLOSED, "closed")
ALLOWED = {
    "open acknowledge": "acknowledged",
    "open mitigate": "mitigated",
    "open close": "closed",
    "reopened acknowledge": "acknowledged",
    "reopened mitigate": "mitigated",
    "reopened close": "closed",
    "acknowledged mitigate": "mitigated",
    "acknowledged close": "closed",
    "mitigated mitigate": "mitigated",
    "mitigated close": "closed",
    "mitigated reopen": "reopened",
    "closed reopen": "reopened",
}
"""{"state command": the state after it}, as the page of the reference has it."""


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("command", ["acknowledge", "mitigate", "close", "reopen"])
def test_every_transition_is_allowed_or_refused(state: IncidentState, command: IncidentCommand) -> None:
    after = ALLOWED.get(f"{state} {command}")
    if after is not None:
        assert state_after(incident(state), command) == after
        return
    with pytest.raises(Refused, match=f"inc1 is {state}, where it can be .*, got {command}"):
        state_after(incident(state), command)
