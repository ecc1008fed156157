"""Which simulated world an application can be tried in."""

from collections.abc import Callable
from typing import Any

import msgspec

from flyball.core import BadDeclaration

WORLDS = {
    "delivery": "flyball.simulation.worlds.delivery:DeliveryWorld",
    "fraud": "flyball.simulation.worlds.fraud:FraudWorld",
    "movies": "flyball.simulation.worlds.movies:MovieWorld",
    "shop": "flyball.simulation.worlds.shop:ShopWorld",
}
"""The worlds that come with Flyball."""


class WorldSpec(msgspec.Struct, frozen=True):
    """What makes a world: a name of `WORLDS` or a callable of the application's own, and its settings.

    `past_days`: how long it lives before a service comes, unless who starts it says otherwise.
    """

    kind: str | Callable[..., Any]
    settings: dict[str, Any] = {}
    past_days: int = 3


def world(kind: str | Callable[..., Any], *, past_days: int = 3, **settings: Any) -> WorldSpec:
    """A simulated world for `flyball up --world` and `flyball simulate`.

    `kind`: "delivery", "fraud", "movies", "shop", or a class of your own with the five methods of a world; it is
    called with `seed`, `start_us` and the settings. `settings`: other values for what its arguments are by default,
    such as `users=500`. `past_days`: of its life that are history when a service starts; as long as labels take to
    come, and some days more to learn from. Raises `BadDeclaration`.

    >>> world("shop", users=500).settings
    {'users': 500}
    """
    if not callable(kind) and kind not in WORLDS:
        raise BadDeclaration("world(...)", f"a class of your own or one of {', '.join(sorted(WORLDS))}", kind)
    if past_days < 0:
        raise BadDeclaration("past_days", "0 or more", past_days)
    return WorldSpec(kind, settings, past_days)
