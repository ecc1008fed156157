"""Rules for when to learn again: triggers of `retrain=`."""

from typing import Any, Literal

import msgspec

from flyball.core import BadDeclaration, declared_duration, format_duration
from flyball.policy.cron import Cron
from flyball.policy.monitors import LEARNABLE, OWN_FAULTS, monitor_fault

_LOOK, _COOLDOWN = "1h", "6h"


class Every(msgspec.Struct, frozen=True, tag="every"):
    """Learn again `period_us` after the last attempt."""

    period_us: int

    def next_us(self, after_us: int) -> int | None:
        """When it is due after an attempt at `after_us`."""
        return after_us + self.period_us


class OnVolume(msgspec.Struct, frozen=True, tag="on_volume"):
    """Learn again when so many `labels` became final since the champion's snapshot.

    They are counted every `look_us`; a run starts `cooldown_us` after the start of the last one, or later.
    """

    labels: int
    look_us: int
    cooldown_us: int


class OnPerformance(msgspec.Struct, frozen=True, tag="on_performance"):
    """Learn again when `metric` of the champion is worse than in its own evaluation, by `worse_by` or more.

    `relative`: whether `worse_by` is a share of the champion's value. `alpha`: the probability that a champion that is
    not worse ever starts a run, however often it is measured. `look_us`, `cooldown_us`: as of `OnVolume`.
    """

    metric: str
    worse_by: float
    relative: bool
    alpha: float
    look_us: int
    cooldown_us: int


class OnDrift(msgspec.Struct, frozen=True, tag="on_drift"):
    """Learn again when a finding is open about data that the champion has not seen.

    `monitors`: which kinds of finding count, () for those of shifts and performance. `severity`: the least one.
    `cooldown_us`: as of `OnVolume`.
    """

    monitors: tuple[str, ...]
    severity: Literal["low", "high"]
    cooldown_us: int


class OnErasure(msgspec.Struct, frozen=True, tag="on_erasure"):
    """Learn again when rows that the champion learned from were removed since, as a person was erased.

    `cooldown_us`: as of `OnVolume`.
    """

    cooldown_us: int


Schedule = Every | Cron
EvidenceTrigger = OnVolume | OnPerformance | OnDrift | OnErasure
Trigger = Schedule | EvidenceTrigger


def every(period: str) -> Every:
    """Learn every `period` ("3d"). Raises `BadDeclaration` for less than a minute."""
    return Every(declared_duration("period of every(...)", period, least="1m"))


def on_volume(labels: int, *, look: str = _LOOK, cooldown: str = _COOLDOWN) -> OnVolume:
    """Learn when `labels` labels became final since the champion's snapshot: `fb.on_volume(5_000)`.

    `look`: how often they are counted, at least a minute. `cooldown`: the least time between the starts of two runs.
    Raises `BadDeclaration`.
    """
    if not isinstance(labels, int) or isinstance(labels, bool) or labels < 1:
        raise BadDeclaration("labels of on_volume(...)", "a whole number from 1", labels)
    return OnVolume(labels, *_pauses("on_volume", look, cooldown))


def on_performance(
    metric: str, *, worse_by: float | str = 0.0, alpha: float = 0.05, look: str = _LOOK, cooldown: str = _COOLDOWN
) -> OnPerformance:
    """Learn when `metric` on final labels since the champion's snapshot is worse than in the champion's evaluation.

    `fb.on_performance("mae", worse_by="5%")`: it must be worse by 5 % of its value or more, and an interval that is
    valid at every look must exclude that it is no worse. `worse_by`: a number in the metric's unit, or a share in
    percent as text. `alpha`: the probability that a champion that is not worse ever starts a run. Raises
    `BadDeclaration`.
    """
    if not isinstance(metric, str) or not metric:
        raise BadDeclaration("metric of on_performance(...)", 'the name of a metric, such as "mae"', metric)
    amount, relative = _amount(worse_by)
    if not isinstance(alpha, float) or not 0 < alpha < 1:
        raise BadDeclaration("alpha of on_performance(...)", "a number between 0 and 1, such as 0.05", alpha)
    return OnPerformance(metric, amount, relative, alpha, *_pauses("on_performance", look, cooldown))


def on_drift(*monitors: str, severity: Literal["low", "high"] = "low", cooldown: str = _COOLDOWN) -> OnDrift:
    """Learn when a finding is open about data that the champion has not seen: `fb.on_drift("shift")`.

    `monitors`: the kinds of finding that count, without any those of shifts and performance, which training can
    follow; those of days (`shift-daily`) are included with them. `severity`: the least one. A finding whose origin is
    our own pipeline starts nothing. Raises `BadDeclaration`.
    """
    for monitor in monitors:
        if not isinstance(monitor, str) or not monitor:
            raise BadDeclaration("monitors of on_drift(...)", "names of monitors as text", monitor)
        if must := monitor_fault(monitor, LEARNABLE):
            own = ": learning corrects no fault of our own" if monitor in OWN_FAULTS else ""
            raise BadDeclaration("monitors of on_drift(...)", must + own, monitor)
    if severity not in ("low", "high"):
        raise BadDeclaration("severity of on_drift(...)", '"low" or "high"', severity)
    return OnDrift(monitors, severity, _pauses("on_drift", _LOOK, cooldown)[1])


def on_erasure(*, cooldown: str = _COOLDOWN) -> OnErasure:
    """Learn again when people were erased (`flyball erase`) from whose events the champion learned: `fb.on_erasure()`.

    `cooldown`: the least time between the starts of two runs, so that several erasures lead to one. Raises
    `BadDeclaration`.
    """
    return OnErasure(_pauses("on_erasure", _LOOK, cooldown)[1])


def trigger_text(trigger: Trigger) -> str:
    """A trigger as it is declared, without what is left at its default.

    >>> trigger_text(every("72h")), trigger_text(on_performance("mae", worse_by="5%", cooldown="1d"))
    ('fb.every("3d")', 'fb.on_performance("mae", worse_by="5%", cooldown="1d")')
    """
    match trigger:
        case Every(period_us):
            return f'fb.every("{format_duration(period_us)}")'
        case Cron(times, zone):
            return _call("cron", f'"{times}"', zone=None if zone == "UTC" else f'"{zone}"')
        case OnVolume(labels, look_us, cooldown_us):
            return _call("on_volume", f"{labels:_}", **_pause_texts(look_us, cooldown_us))
        case OnPerformance(metric, worse_by, relative, alpha, look_us, cooldown_us):
            amount = f'"{100 * worse_by:g}%"' if relative else f"{worse_by:g}" if worse_by else None
            level = None if alpha == 0.05 else f"{alpha:g}"
            pauses = _pause_texts(look_us, cooldown_us)
            return _call("on_performance", f'"{metric}"', worse_by=amount, alpha=level, **pauses)
        case OnDrift(monitors, severity, cooldown_us):
            names = ", ".join(f'"{monitor}"' for monitor in monitors)
            cooldown = _pause_texts(0, cooldown_us)["cooldown"]
            return _call("on_drift", names, severity=None if severity == "low" else '"high"', cooldown=cooldown)
        case OnErasure(cooldown_us):
            return _call("on_erasure", "", cooldown=_pause_texts(0, cooldown_us)["cooldown"])


def _call(name: str, first: str, **arguments: str | None) -> str:
    named = [f"{argument}={text}" for argument, text in arguments.items() if text is not None]
    return f"fb.{name}({', '.join([*([first] if first else []), *named])})"


def _pause_texts(look_us: int, cooldown_us: int) -> dict[str, str | None]:
    texts = {"look": (format_duration(look_us), _LOOK), "cooldown": (format_duration(cooldown_us), _COOLDOWN)}
    return {name: None if text == usual else f'"{text}"' for name, (text, usual) in texts.items()}


def _pauses(owner: str, look: str, cooldown: str) -> tuple[int, int]:
    return (
        declared_duration(f"look of {owner}(...)", look, least="1m"),
        declared_duration(f"cooldown of {owner}(...)", cooldown, least="1m"),
    )


def _amount(worse_by: Any) -> tuple[float, bool]:
    """(amount, whether it is a share)."""
    number, relative = worse_by, isinstance(worse_by, str)
    if isinstance(worse_by, str):
        try:
            number = float(worse_by.removesuffix("%")) / 100 if worse_by.endswith("%") else None
        except ValueError:
            number = None
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 <= number < float("inf"):
        must = 'a number from 0 in the unit of the metric, or a share of its value such as "5%"'
        raise BadDeclaration("worse_by of on_performance(...)", must, worse_by)
    return float(number), relative
