"""Windowed aggregates: what is aggregated over which events, in which window."""

from typing import Any

import msgspec

from flyball.core import BadDeclaration, format_duration
from flyball.events import Event, join_of, original_type_name
from flyball.features.declaration.values import INT, LIST, REAL
from flyball.features.declaration.windows import Window, duration_us
from flyball.policy import Expression

COUNT, SUM, MEAN, STD, MIN, MAX = "count", "sum", "mean", "std", "min", "max"
LAST, FIRST, DISTINCT, LAST_N, DECAYED, TARGET, ATTRIBUTE = (
    "last",
    "first",
    "distinct",
    "last_n",
    "decayed",
    "target",
    "attribute",
)
RATIO = "ratio"
ADDED = (COUNT, SUM, MEAN, STD, TARGET)
"""Aggregates made of the number of events, the sum and the sum of squares, which can be added and subtracted."""

HALF_LIVES = 20
WEIGHT_ONE = 1 << 24
"""Weights of decayed values are integers: this one at age 0, half of it after a half-life."""

FRESHNESS_US = 5_000_000
"""The default target of freshness: how soon after an event is known it should be in the feature."""


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """One aggregate over the events of a type that pass `where`, made by `fb.count`, `fb.sum` and so on.

    `kind`: the type of the value (int, real, text, bool; list for attributes). `per_unit`: fixed-point units in one,
    for numbers. `by`: the event's field that names the key, where several could. `n`: of `last_n`. `max_events`: the
    most values that `distinct` keeps. `prior`, `weight`: of `target`.
    """

    op: str
    event: type[Event]
    window: Window
    value: Expression | None = None
    where: Expression | None = None
    kind: str = INT
    per_unit: int = 1
    delay_us: int = 0
    by: str | None = None
    n: int = 0
    max_events: int = 0
    half_life_us: int = 0
    prior: float = 0.0
    weight: float = 0.0
    freshness_us: int = FRESHNESS_US
    """The target of freshness, which audits check; not part of the definition's hash."""

    def fresh(self, within: str) -> "Aggregate":
        """The same with another target of freshness than 5 s: `fb.count(Watch, "7d").fresh("1s")`."""
        return msgspec.structs.replace(self, freshness_us=_freshness_us(self.text(), within))

    @property
    def result(self) -> str:
        """The type of the feature: int, real, text, bool or list."""
        if self.op in (COUNT, DISTINCT):
            return INT
        if self.op in (SUM, MEAN, STD, TARGET, DECAYED):
            return REAL
        return LIST if self.op == LAST_N else self.kind

    @property
    def weights(self) -> tuple[int, ...]:
        """For `decayed`: the weight of an event by its age in whole tiles."""
        tile, half = self.window.tile_us, self.half_life_us
        return tuple(round(WEIGHT_ONE * 2.0 ** (-age * tile / half)) for age in range(self.window.tiles))

    def text(self) -> str:
        """As text for people."""
        parts = [self.event.__name__]
        parts += [] if self.value is None else [self.value.text()]
        parts += [str(self.n)] if self.op == LAST_N else []
        if self.op == DECAYED:
            parts += [f"half-life {format_duration(self.half_life_us)}", f"tile {format_duration(self.window.tile_us)}"]
        elif self.op != ATTRIBUTE:
            parts += [self.window.text()]
        parts += [] if self.where is None else [f"where {self.where.text()}"]
        parts += [f"delay {format_duration(self.delay_us)}"] if self.delay_us else []
        return f"{self.op}({', '.join(parts)})"

    def plain(self) -> dict[str, Any]:
        """What its values depend on as plain values, in the words of its declaration; defaults are left out."""
        default = Aggregate(op=self.op, event=self.event, window=self.window)
        changed = {
            name: value
            for name in ("n", "max_events", "half_life_us", "prior", "weight", "delay_us")
            if (value := getattr(self, name)) != getattr(default, name)
        }
        join, name = join_of(self.event), self.event.__name__
        former_name = original_type_name(self.event)
        return {
            "op": self.op,
            "event": name,
            **({} if former_name == name else {"first called": former_name}),
            **({} if join is None else {"joined": join.plain()}),
            "value": None if self.value is None else self.value.plain(),
            "window": self.window.text(),
            "where": None if self.where is None else self.where.plain(),
            **({} if self.value is None else {"kind": self.kind, "scale": f"1/{self.per_unit}"}),
            **changed,
        }


class Ratio(msgspec.Struct, frozen=True):
    """One aggregate divided by another; missing where either is missing or the lower one is zero."""

    top: Aggregate
    bottom: Aggregate
    op: str = RATIO
    result: str = REAL
    freshness_us: int = FRESHNESS_US

    def fresh(self, within: str) -> "Ratio":
        """See `Aggregate.fresh`."""
        return msgspec.structs.replace(self, freshness_us=_freshness_us(self.text(), within))

    def text(self) -> str:
        """As text for people."""
        return f"{RATIO}({self.top.text()}, {self.bottom.text()})"

    def plain(self) -> dict[str, Any]:
        """See `Aggregate.plain`."""
        return {"op": self.op, "top": self.top.plain(), "bottom": self.bottom.plain()}


Feature = Aggregate | Ratio


def _freshness_us(where: str, within: str) -> int:
    freshness_us = duration_us(f"freshness of {where}", within)
    if freshness_us <= 0:
        raise BadDeclaration(f"freshness of {where}", "longer than nothing, such as 1s", within)
    return freshness_us
