"""Declares the simulated world of an application."""

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
    """A declared world: a name in `WORLDS` or a callable of the application, with its settings.

    `past_days`: how many days are simulated before the service starts, by default.
    """

    kind: str | Callable[..., Any]
    settings: dict[str, Any] = {}
    past_days: int = 3


def world(kind: str | Callable[..., Any], *, past_days: int = 3, **settings: Any) -> WorldSpec:
    """A simulated world for `flyball up --world` and `flyball simulate`.

    `kind`: "delivery", "fraud", "movies", "shop", or your own class with the five methods of a world. It is called with
    `seed`, `start_us` and the settings. `settings`: arguments of the world that replace its defaults, such as
    `users=500`. `past_days`: days that are simulated before a service starts; it should be the time until labels are
    final, plus some days to learn from. Raises `BadDeclaration`.

    >>> world("shop", users=500).settings
    {'users': 500}
    """
    if not callable(kind) and kind not in WORLDS:
        raise BadDeclaration("world(...)", f"a class of your own or one of {', '.join(sorted(WORLDS))}", kind)
    if past_days < 0:
        raise BadDeclaration("past_days", "0 or more", past_days)
    return WorldSpec(kind, settings, past_days)
