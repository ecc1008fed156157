"""Point-in-time history: the only form in which tasks and their candidates read it."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    import polars

Frames = Mapping[str, "polars.DataFrame"]
"""{event type: rows with the event's fields, `at`, `known_at`, `partition`, `offset`}, as a snapshot gives them."""


DECISIONS = "@decisions"
"""The name under which `Past.events` returns past decisions: a row for each response with a decision, with `at`,
`known_at`, `request` (the JSON of its fields), `decision` and `propensity`."""


class ServingLag(msgspec.Struct, frozen=True):
    """The delay of serving, in microseconds after an event is known: until it is in histories and catalog (`state_us`),
    and in the declared features (`features_us`)."""

    state_us: int = 0
    features_us: int = 0


class Past(Protocol):
    """History as known at `as_of_us`. `lag`: the delay with which serving saw it."""

    @property
    def as_of_us(self) -> int: ...

    @property
    def lag(self) -> ServingLag: ...

    def events(self, name: str) -> Any:
        """A polars frame of one event type, joined types too, or of `DECISIONS`; without rows for none."""
        ...

    def shown(self, keys: Collection[str], start_us: int, end_us: int) -> Any:
        """The items shown in responses to requests with these keys in `[start, end)`, and when; see
        `outcomes.exposure_of`."""
        ...

    def before(self, at_us: int) -> "Past":
        """The same history, as known just before `at_us`."""
        ...
