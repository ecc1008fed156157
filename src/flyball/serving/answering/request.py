"""Makes requests: assigns ids on arrival, checks fields once, refuses undeclared ones."""

import random
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from flyball.core import BadInput, Clock, new_id
from flyball.events import Event, field_names_now
from flyball.serving.answering.ids import IdRule, id_rules
from flyball.tasks import Request, bad_request, key_field, request_of

Query = TypeVar("Query", bound=msgspec.Struct)


class RequestReader:
    """Makes requests of one type from the fields that clients send.

    Ids may be given as text, whatever their declared type. A request type that refers to nothing has the request's own
    id as its key. `names`: the fields that a request may have. `rng` numbers the requests: different in each process.
    """

    def __init__(self, event_type: type[Event], clock: Clock, rng: random.Random) -> None:
        self.event_type, self.key_field = event_type, key_field(event_type)
        self.names = tuple(name for name in event_type.__struct_fields__ if name != "at")
        self._names = {*self.names, "at"}
        self._clock, self._rng = clock, rng
        self._rules = id_rules(event_type)

    def plain(self, key: object) -> Request:
        """A request with nothing but its key; raises `BadInput` for a malformed one."""
        value, now_us = self._rules[0][self.key_field].value(key), self._clock.now_us()
        event = self.event_type(at=now_us, **{self.key_field: value})
        return Request(new_id(now_us, self._rng), str(value), now_us, event)

    def read(self, fields: Mapping[str, Any], strict: bool = True, at_us: int | None = None) -> Request:
        """A request with these fields; raises `BadInput` that names the field.

        `strict`: numbers other than ids may not be given as text. `at_us`: when it is made, by default now.
        """
        now_us = self._clock.now_us() if at_us is None else at_us
        if not self._names.issuperset(fields):
            fields = self._named_now(fields)
        values = with_ids(fields, self._rules)
        return request_of(self.event_type, new_id(now_us, self._rng), now_us, values, strict)

    def _named_now(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields under their present names; raises `BadInput` for one that is unknown or given by two names."""
        names = field_names_now(self.event_type)
        values: dict[str, Any] = {}
        for name, value in fields.items():
            present = names.get(name)
            if present is None:
                raise BadInput("field", f"one of {', '.join(self.names)}", name)
            if present in values:
                raise BadInput(f"field {present}", "given once, by its present or a former name", name)
            values[present] = value
        return values


def read_query(struct: type[Query], fields: Mapping[str, Any]) -> Query:
    """A query with these fields, numbers given as text too; raises `BadInput` that names the field."""
    values = with_ids(fields, id_rules(struct))
    try:
        return msgspec.convert(values, struct, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(str(error), struct, values) from None


Rules = tuple[dict[str, IdRule], dict[str, IdRule]]


def with_ids(fields: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """The fields with all ids checked, in their declared type."""
    values, (single, several) = dict(fields), rules
    for field, rule in single.items():
        if field in values:
            values[field] = rule.value(values[field])
    for field, rule in several.items():
        if field in values:
            values[field] = [rule.value(value) for value in _listed(field, values[field])]
    return values


def _listed(field: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise BadInput(field, "a list", value)
    return value
