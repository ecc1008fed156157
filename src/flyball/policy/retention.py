"""How long events and answers are kept."""

from collections.abc import Collection, Mapping
from typing import Any

from flyball.core import BadDeclaration, declared_duration

ANSWERS = "predictions"
"""What the answers are called among the names of event types."""


def retentions(declared: Any, types: Collection[str], where: str) -> dict[str, int]:
    """{event type in lower case, or "predictions": microseconds} of `retention={"Watch": "400d"}`.

    `types`: the names that may stand there, in lower case. Raises `BadDeclaration`.

    >>> retentions({"Watch": "1d"}, ["watch"], "App 'cinema'")
    {'watch': 86400000000}
    """
    known = [*sorted(types), ANSWERS]
    must = f'durations by event type, such as {{"{known[0]}": "400d"}}'
    if declared is not None and not isinstance(declared, Mapping):
        raise BadDeclaration(f"retention of {where}", must, declared)
    kept: dict[str, int] = {}
    for name, duration in (declared or {}).items():
        if not isinstance(name, str) or name.lower() not in known:
            raise BadDeclaration(f"retention of {where}", f"of {', '.join(known)}", name)
        kept[name.lower()] = declared_duration(f"retention of {name} in {where}", duration, least="1h")
    return kept
