"""Which simulated world an application can be tried in."""

from collections.abc import Callable
from typing import Any

import msgspec

from flyball.core import BadDeclaration

WORLDS = {
    "movies": "flyball.simulation.worlds.movies:MovieWorld",
    "shop": "flyball.simulation.worlds.shop:ShopWorld",
}
"""The worlds that come with Flyball."""


class WorldSpec(msgspec.Struct, frozen=True):
    """What makes a world: a name of `WORLDS` or a callable of the application's own, and its settings."""

    kind: str | Callable[..., Any]
    settings: dict[str, Any] = {}


def world(kind: str | Callable[..., Any], **settings: Any) -> WorldSpec:
    """A world of simulated users for `flyball up --world` and `flyball simulate`.

    `kind`: "movies", "shop", or a class of your own with the five methods of a world; it is called with `seed`,
    `start_us` and the settings. `settings`: other values for what its arguments are by default, such as `users=500`.
    Raises `BadDeclaration`.

    >>> world("shop", users=500).settings
    {'users': 500}
    """
    if not callable(kind) and kind not in WORLDS:
        raise BadDeclaration("world(...)", f"a class of your own or one of {', '.join(sorted(WORLDS))}", kind)
    return WorldSpec(kind, settings)
