"""Requests above a limit, as problems: 429 with Retry-After, and 503 for what has waited too long."""

from flyball.access import Identity
from flyball.serving.http.problems import Problem
from flyball.serving.service import Service

COUNTED = "flyball.counted"
"""In the scope of a request: that it was counted before it reached the front."""

_WHAT = {"answers": ("requests", "limit_answers"), "events": ("events", "limit_events")}


def too_many(service: Service, kind: str, wait_s: int, identity: Identity) -> Problem:
    """For a sender that must wait."""
    name, _ = _WHAT[kind]
    limit = _limit(service, kind, identity)
    return Problem(
        429,
        f"{name} of one sender must be at most {limit}, got more: send it again in {wait_s} s",
        {"retry-after": str(wait_s)},
    )


def _limit(service: Service, kind: str, identity: Identity) -> str:
    """The rate of a sender, and where it comes from."""
    where = f"of {identity.name}" if identity.limits.get(kind) else _WHAT[kind][1]
    return f"{service.limits.text(kind, identity)} ({where})"


def too_late() -> Problem:
    """For a request that has waited too long; nothing was done for it."""
    return Problem(503, "service must not be busier than it can answer in time: send it again", {"retry-after": "1"})


def check_limit(service: Service, kind: str, identity: Identity, address: str, count: int) -> None:
    """Count so many answers or events of a sender.

    Raises `Problem`: 429 for more than it may have now, 413 for more than it may ever have at once.
    """
    rate = service.limits.rate(kind, identity)
    if rate is None or not count:
        return
    if count >= rate.burst:  # the request itself was counted as one
        limit = _limit(service, kind, identity)
        raise Problem(413, f"{_WHAT[kind][0]} in a body must be at most {rate.burst}, for {limit}, got {count + 1}")
    wait_s = service.limits.wait_s(kind, identity, address, count)
    if wait_s:
        raise too_many(service, kind, wait_s, identity)
