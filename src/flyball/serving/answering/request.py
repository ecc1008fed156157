"""A request, numbered on arrival and checked once."""

import random
from collections.abc import Mapping
from typing import Any

from flyball.core import BadInput, Clock, new_id
from flyball.events import Event
from flyball.serving.answering.ids import IdRule, id_rules
from flyball.tasks import Request, key_field, request_of


class RequestReader:
    """Makes requests of one type from what clients send.

    Ids may be given as text, whatever their declared type. `rng` numbers the requests: different in each process.
    """

    def __init__(self, event_type: type[Event], clock: Clock, rng: random.Random) -> None:
        self.event_type, self.key_field = event_type, key_field(event_type)
        self._clock, self._rng = clock, rng
        self._single, self._several = id_rules(event_type)

    def rule(self, field: str) -> IdRule:
        """What ids in this field, or in the list that it holds, must be."""
        return self._single.get(field) or self._several[field]

    def plain(self, key: object) -> Request:
        """A request with nothing but its key; raises `BadInput` for a malformed one."""
        value, now_us = self._single[self.key_field].value(key), self._clock.now_us()
        event = self.event_type(at=now_us, **{self.key_field: value})
        return Request(new_id(now_us, self._rng), str(value), now_us, event)

    def read(self, fields: Mapping[str, Any], strict: bool = True) -> Request:
        """A request with these fields; raises `BadInput` that names the field.

        `strict`: numbers other than ids may not be given as text.
        """
        now_us = self._clock.now_us()
        values = dict(fields)
        for field, rule in self._single.items():
            if field in values:
                values[field] = rule.value(values[field])
        for field, rule in self._several.items():
            if field in values:
                values[field] = [rule.value(value) for value in _listed(field, values[field])]
        return request_of(self.event_type, new_id(now_us, self._rng), now_us, values, strict)


def _listed(field: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise BadInput(field, "a list", value)
    return value
