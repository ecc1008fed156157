"""The state as it was for some users, from the part of the log that can tell of them."""

from flyball.events import Offsets
from flyball.runtime import Runtime
from flyball.state import state_at
from flyball.stores import StateStore
from flyball.tasks import Recommend


def state_for(runtime: Runtime, until: Offsets, users: list[str], task: Recommend) -> StateStore:
    """A store with the views of `task`, that holds of `users`, and of all other entities, what the live one held at
    offsets `until`.

    Raises `Refused` when the log does not reach `until`.
    """
    return state_at(runtime.log, until, runtime.views_of(task), users)
