"""Windows of time, in microseconds: the left end is included, the right end is not."""

import msgspec

from flyball.core import BadDeclaration, BadInput, format_duration, parse_duration

TILED, EXACT, LIFETIME = "tiled", "exact", "lifetime"
MAX_TILES = 2_000
MAX_EVENTS = 100_000
FEWEST_TILES = 24
LONGEST_US = 1 << 60
"""The limit of durations, so that sums of times and durations fit 64 bits."""
TILES_US = tuple(parse_duration(text) for text in ("1d", "6h", "1h", "10m", "1m", "10s", "1s"))


class Window(msgspec.Struct, frozen=True):
    """A window that ends before `end`: `[floor((end - size) / tile) * tile, end)`, `[end - size, end)` or all before.

    `kind` is "tiled", "exact" or "lifetime". `max_events`: for exact windows, how many events are kept at most.
    """

    kind: str
    size_us: int = 0
    tile_us: int = 0
    max_events: int = 0

    def start_us(self, end_us: int) -> int | None:
        """The start of the window that ends before `end_us`; None for lifetime.

        >>> tiled("1d", "1h").start_us(parse_duration("30h30m")) == parse_duration("6h")
        True
        """
        if self.kind == LIFETIME:
            return None
        start = end_us - self.size_us
        return start // self.tile_us * self.tile_us if self.kind == TILED else start

    @property
    def tiles(self) -> int:
        """The most tiles that a read touches; 0 for windows without tiles."""
        return self.size_us // self.tile_us + 1 if self.kind == TILED else 0

    @property
    def length(self) -> str:
        """Its length as text."""
        return "all" if self.kind == LIFETIME else format_duration(self.size_us)

    def text(self) -> str:
        """As text for people."""
        if self.kind == LIFETIME:
            return LIFETIME
        size = format_duration(self.size_us)
        if self.kind == EXACT:
            return f"exact({size}, max_events={self.max_events})"
        return f"tiled({size}, {format_duration(self.tile_us)})"


lifetime = Window(LIFETIME)
"""The window of everything before the query time."""


def tiled(size: str, tile: str | None = None) -> Window:
    """A window in steps of `tile`, aligned to 1970 (UTC): `[floor((end - size) / tile) * tile, end)`.

    `tile` must divide `size`. Default: the longest of 1d, 6h, 1h, 10m, 1m, 10s, 1s that divides `size` into 24 tiles
    or more, so the window is never more than 1/24 longer than declared.

    >>> tiled("7d").text(), tiled("30d").text(), tiled("1h").text()
    ('tiled(7d, 6h)', 'tiled(30d, 1d)', 'tiled(1h, 1m)')
    """
    size_us = _duration("size of a window", size)
    tile_us = _default_tile(size, size_us) if tile is None else _duration("tile of a window", tile)
    if size_us % tile_us:
        raise BadDeclaration(f"tile of the window {size!r}", f"a whole fraction of {size}", tile)
    if size_us // tile_us > MAX_TILES:
        tiles_text = f"{size_us // tile_us} of {format_duration(tile_us)}"
        raise BadDeclaration(f"window {size!r}", f"at most {MAX_TILES} tiles (take longer ones)", tiles_text)
    return Window(TILED, size_us, tile_us)


def exact(size: str, max_events: int = 1_000) -> Window:
    """The window `[end - size, end)`, to the microsecond.

    Its events are stored one by one, at most `max_events`: a value over more of them is missing.
    """
    check_max_events(f"exact window {size!r}", max_events)
    return Window(EXACT, _duration("size of a window", size), 0, max_events)


def window_of(window: "str | Window") -> Window:
    """A window from its declaration: `"7d"` is `tiled("7d")`, `"lifetime"` everything."""
    if isinstance(window, Window):
        return window
    if not isinstance(window, str):
        raise BadDeclaration("a window", 'such as "7d", fb.tiled, fb.exact or fb.lifetime', window)
    return lifetime if window == LIFETIME else tiled(window)


def check_max_events(where: str, max_events: int) -> None:
    if type(max_events) is not int or not 1 <= max_events <= MAX_EVENTS:
        raise BadDeclaration(f"max_events of {where}", f"a whole number in 1..{MAX_EVENTS}", max_events)


def duration_us(where: str, text: str) -> int:
    """A duration from its declaration, which may be zero; raises `BadDeclaration`."""
    try:
        duration = parse_duration(text, is_limited=False)
    except (BadInput, TypeError):
        raise BadDeclaration(where, "a duration such as 7d or 1h30m", text) from None
    if duration >= LONGEST_US:
        raise BadDeclaration(where, "shorter than 36,000 years", text)
    return duration


def _duration(where: str, text: str) -> int:
    duration = duration_us(where, text)
    if duration == 0:
        raise BadDeclaration(where, "longer than nothing", text)
    return duration


def _default_tile(size: str, size_us: int) -> int:
    for tile_us in TILES_US:
        if size_us % tile_us == 0 and size_us // tile_us >= FEWEST_TILES:
            return tile_us
    raise BadDeclaration(
        f"window {size!r}",
        "divisible by 1s into 24 tiles or more; or say fb.tiled(size, tile) or fb.exact",
        size,
    )
