"""Draws a report as SVG: the reliability curve, the cost curve, decisions, metrics by hour, weekday and slice."""

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Any

import msgspec

from flyball.core import format_timestamp
from flyball.evaluation.report import Evaluated, SliceMetrics
from flyball.evaluation.resampling import Estimate
from flyball.tasks import ReportTable

INK, SOFT, GRID, LINE, MARK = "#0f172a", "#64748b", "#e2e8f0", "#2563eb", "#dc2626"
FONT = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
WIDTH, PANEL_WIDTH, PANEL_HEIGHT, MARGIN = 960, 460, 340, 20
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 18, 44, 52
_MOST_BARS, _NAME_LENGTH = 24, 14
_AXES = {"hour": "hour of the day", "weekday": "day of the week"}


class WindowSeries(msgspec.Struct, frozen=True):
    """One metric in successive windows: (start of the window, {name: value}), the candidate first, then the others."""

    metric: str
    windows: list[tuple[int, dict[str, Estimate]]]


def draw_report(
    title: str,
    evaluated: Evaluated,
    targets: dict[str, float],
    sliced: str,
    in_a_row: WindowSeries | None = None,
) -> str:
    """The picture of one candidate, as SVG text.

    `targets`: {metric: the value that it should have}. `sliced`: the metric to draw by slice. `in_a_row`: a metric in
    successive windows, if it was evaluated in that way.
    """
    panels: list[Callable[[], _Panel]] = []
    for table in evaluated.tables:
        draw = {"reliability": _reliability, "cost_curve": _cost_curve, "confusion": _confusion}.get(table.name)
        if draw is not None:
            panels.append(lambda draw=draw, table=table: draw(table))  # type: ignore[misc]
            if table.limits:
                panels.append(lambda table=table: _capacity(table))  # type: ignore[misc]
    if in_a_row is not None:
        panels.append(lambda: _windows(in_a_row))
    overall_estimate = evaluated.metrics.get(sliced)
    for by in dict.fromkeys(part.by for part in evaluated.slices):
        parts = [part for part in evaluated.slices if part.by == by and sliced in part.metrics]
        if parts:
            panels.append(lambda parts=parts: _bars(parts, sliced, overall_estimate, targets.get(sliced)))  # type: ignore[misc]
    rows = max(1, ceil(len(panels) / 2))
    height = MARGIN + 40 + rows * (PANEL_HEIGHT + MARGIN)
    drawn = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' "
        f'font-family="{FONT}"><title>{escape(title)}</title>',
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
        f"<text x='{MARGIN}' y='36' font-size='18' font-weight='600' fill='{INK}'>{escape(title)}</text>",
    ]
    if not panels:
        drawn.append(f"<text x='{MARGIN}' y='70' font-size='13' fill='{SOFT}'>nothing to draw for this kind</text>")
    for number, make in enumerate(panels):
        x = MARGIN / 2 + number % 2 * (PANEL_WIDTH + MARGIN)
        y = MARGIN + 40 + number // 2 * (PANEL_HEIGHT + MARGIN)
        drawn += [f"<g transform='translate({x:.0f} {y:.0f})'>", *make().parts, "</g>"]
    return "\n".join([*drawn, "</svg>"]) + "\n"


class _Panel:
    """A pair of axes. `x`, `y`: their ranges, in units of the data. `logarithmic`: whether x is."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        names: tuple[str, str],
        logarithmic: bool = False,
        ticks: bool = True,
    ) -> None:
        self._x, self._y, self._logarithmic = x, y, logarithmic
        self.parts: list[str] = []
        self._next_name = float(_LEFT)
        self.text(_LEFT, 20, title, 13.5, INK, weight=600)
        for value in _ticks(*y):
            self.line(_LEFT, self.down(value), PANEL_WIDTH - _RIGHT, self.down(value), GRID)
            self.text(_LEFT - 8, self.down(value) + 4, f"{value:g}", 11, SOFT, "end")
        if ticks:
            for value in _decades(*x) if logarithmic else _ticks(*x):
                self.text(self.right(value), PANEL_HEIGHT - _BOTTOM + 18, f"{value:g}", 11, SOFT, "middle")
        self.text((_LEFT + PANEL_WIDTH - _RIGHT) / 2, PANEL_HEIGHT - 12, names[0], 11.5, SOFT, "middle")
        middle = (_TOP + PANEL_HEIGHT - _BOTTOM) / 2
        self.parts.append(
            f"<text transform='translate(16 {middle:.1f}) rotate(-90)' font-size='11.5' fill='{SOFT}' "
            f"text-anchor='middle'>{escape(names[1])}</text>"
        )

    def right(self, x: float) -> float:
        low, high = self._x
        if self._logarithmic:
            x, low, high = log10(max(x, 1e-12)), log10(low), log10(high)
        return _LEFT + (x - low) / ((high - low) or 1.0) * (PANEL_WIDTH - _LEFT - _RIGHT)

    def down(self, y: float) -> float:
        low, high = self._y
        return PANEL_HEIGHT - _BOTTOM - (y - low) / ((high - low) or 1.0) * (PANEL_HEIGHT - _TOP - _BOTTOM)

    def text(
        self, x: float, y: float, text: str, size: float, fill: str, anchor: str = "start", weight: int = 400
    ) -> None:
        self.parts.append(
            f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' fill='{fill}' text-anchor='{anchor}' "
            f"font-weight='{weight}' paint-order='stroke' stroke='#ffffff' stroke-width='3'>{escape(text)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, color: str, width: float = 1.0, dash: str = "") -> None:
        dashed = f" stroke-dasharray='{dash}'" if dash else ""
        self.parts.append(
            f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{color}' "
            f"stroke-width='{width}'{dashed}/>"
        )

    def curve(self, points: Sequence[tuple[float, float]], color: str) -> None:
        path = " ".join(f"{self.right(x):.1f},{self.down(y):.1f}" for x, y in points)
        self.parts.append(f"<polyline points='{path}' fill='none' stroke='{color}' stroke-width='2'/>")

    def band(self, points: Sequence[tuple[float, float, float]]) -> None:
        """Fill the area between the curves; `points`: (x, low, high)."""
        forward = [f"{self.right(x):.1f},{self.down(high):.1f}" for x, _, high in points]
        backward = [f"{self.right(x):.1f},{self.down(low):.1f}" for x, low, _ in reversed(points)]
        self.parts.append(f"<polygon points='{' '.join([*forward, *backward])}' fill='{LINE}' fill-opacity='0.12'/>")

    def dot(self, x: float, y: float, color: str = LINE, radius: float = 4.0) -> None:
        self.parts.append(f"<circle cx='{self.right(x):.1f}' cy='{self.down(y):.1f}' r='{radius}' fill='{color}'/>")

    def level(self, y: float, words: str, color: str = SOFT) -> None:
        """A dashed horizontal line, named below the title, where it hides no point."""
        at = self.down(y)
        self.line(_LEFT, at, PANEL_WIDTH - _RIGHT, at, color, 1.2, "5 4")
        self.line(self._next_name, 34, self._next_name + 22, 34, color, 1.2, "5 4")
        self.text(self._next_name + 28, 38, words, 11, color)
        self._next_name += 28 + 6.5 * len(words) + 20

    def mark(self, x: float, y: float, words: str) -> None:
        """A large dot with words below it, or above where there is no room."""
        self.dot(x, y, MARK, 5.5)
        end = self.right(x) > PANEL_WIDTH * 0.6
        below = self.down(y) + 22 < PANEL_HEIGHT - _BOTTOM
        at = self.right(x) + (-10 if end else 10), self.down(y) + (20 if below else -10)
        self.text(*at, words, 12, MARK, "end" if end else "start", 600)


def _reliability(table: ReportTable) -> _Panel:
    rows = table.rows
    most = _rounded_up(max([row[4] for row in rows] + [row[3] for row in rows] + [row[6] or 0.0 for row in rows]))
    panel = _Panel(
        table.title, (0.0, most), (0.0, most), ("predicted probability", "share of requests where it happened")
    )
    panel.line(panel.right(0), panel.down(0), panel.right(most), panel.down(most), SOFT, 1.2, "5 4")
    panel.curve([(row[3], row[4]) for row in rows], LINE)
    for row in rows:
        if row[5] is not None and row[6] is not None:
            at = panel.right(row[3])
            panel.line(at, panel.down(min(row[5], most)), at, panel.down(min(row[6], most)), LINE, 1.4)
        panel.dot(row[3], row[4])
    return panel


def _cost_curve(table: ReportTable) -> _Panel:
    index = {name: number for number, name in enumerate(table.columns)}
    points = [row for row in table.rows if row[index["declined from"]] is not None]
    points.sort(key=lambda row: row[index["declined from"]])
    marked = None if table.marked is None else table.rows[table.marked]
    cost, low, high, at = (index[name] for name in ("cost", "low", "high", "declined from"))
    references = {row[0]: row[cost] for row in table.rows if row[at] is None}
    bounds = [row[high] if row[high] is not None else row[cost] for row in points]
    most = _rounded_up(max([*bounds, references.get("approve all", 0.0)]))
    panel = _Panel(
        table.title,
        (points[0][at], points[-1][at]),
        (0.0, most),
        ("declined from this probability on, log scale", "mean cost of a request"),
        True,
    )
    panel.band([(row[at], row[low], row[high]) for row in points if row[low] is not None and row[high] is not None])
    panel.curve([(row[at], row[cost]) for row in points if row is not marked], LINE)
    if "approve all" in references:
        panel.level(references["approve all"], "approve all")
    if marked is not None:
        panel.mark(marked[at], marked[cost], f"chosen: {marked[cost]:.4g}")
    return panel


def _capacity(table: ReportTable) -> _Panel:
    """Reviews per day that thresholds of the cost curve ask for, with the most that a day has."""
    index = {name: number for number, name in enumerate(table.columns)}
    (name, capacity), at = next(iter(table.limits.items())), index["declined from"]
    points = sorted((row for row in table.rows if row[at] is not None), key=lambda row: row[at])
    marked = None if table.marked is None else table.rows[table.marked]
    most = _rounded_up(max([capacity * 1.1, *(row[index[name]] for row in points)]))
    axes = ("declined from this probability on, log scale", name)
    panel = _Panel("Reviews that the thresholds ask for", (points[0][at], points[-1][at]), (0.0, most), axes, True)
    panel.curve([(row[at], row[index[name]]) for row in points if row is not marked], LINE)
    panel.level(capacity, f"the most of a day: {capacity:g}", MARK)
    if marked is not None:
        panel.mark(marked[at], marked[index[name]], f"chosen: {marked[index[name]]:.3g}")
    return panel


def _confusion(table: ReportTable) -> _Panel:
    """A row for each decision: the share of all requests with a positive and with a negative outcome."""
    panel = _Panel(table.title, (0, 1), (0, 1), ("", ""), ticks=False)
    panel.parts = panel.parts[:1]
    top, step = _TOP + 34, 54
    for column, name in enumerate(("happened", "did not"), 0):
        panel.text(200 + column * 130, _TOP + 16, name, 12, SOFT, "middle")
    for line, row in enumerate(table.rows):
        y = top + line * step
        panel.text(_LEFT, y + 24, str(row[0]), 13, INK)
        wrong = {"approve": 0, "decline": 1}.get(str(row[0]))
        for column, share in enumerate(row[3:5]):
            fill = "#fee2e2" if column == wrong else "#dcfce7" if wrong is not None else "#f1f5f9"
            x = 140 + column * 130
            panel.parts.append(f"<rect x='{x}' y='{y}' width='120' height='40' rx='5' fill='{fill}'/>")
            panel.text(x + 60, y + 25, f"{share:.2%}", 13, INK, "middle", 600)
    for number, words in enumerate(_wrapped(table.summary, 52)):
        panel.text(_LEFT, top + len(table.rows) * step + 20 + 17 * number, words, 12, SOFT)
    return panel


def _bars(
    parts: Sequence[SliceMetrics], metric: str, overall_estimate: Estimate | None, target: float | None
) -> _Panel:
    by = parts[0].by
    ordered = sorted(parts, key=lambda part: (not part.name.isdigit(), int(part.name) if part.name.isdigit() else 0))
    if len(ordered) > _MOST_BARS:  # with many slices, such as shops, draw the largest
        ordered = sorted(ordered, key=lambda part: -part.requests)[:_MOST_BARS]
    values = [part.metrics[metric] for part in ordered]
    ends = [end for value in values for end in (value.value, value.low, value.high) if end is not None]
    bounds = [*ends, *([target] if target is not None else []), *([overall_estimate.value] if overall_estimate else [])]
    low, high = _span(min(bounds), max(bounds))
    if min(bounds) >= 0 and max(bounds) <= 1:  # of a share, which cannot be more
        high = min(high, 1.0)
    panel = _Panel(
        f"{metric} by {by}", (-0.7, len(ordered) - 0.3), (low, high), (_AXES.get(by, by), metric), ticks=False
    )
    every = max(1, ceil(len(ordered) * 16 / (PANEL_WIDTH - _LEFT - _RIGHT)))
    for number, (part, value) in enumerate(zip(ordered, values, strict=True)):
        at = panel.right(number)
        if value.low is not None and value.high is not None:
            panel.line(at, panel.down(value.low), at, panel.down(value.high), LINE, 1.6)
        panel.dot(number, value.value)
        if number % every == 0:
            panel.text(at, PANEL_HEIGHT - _BOTTOM + 18, slice_name(part)[:10], 10, SOFT, "middle")
    if overall_estimate is not None:
        panel.level(overall_estimate.value, f"all: {overall_estimate.value:.3g}")
    if target is not None:
        panel.level(target, f"should be {target:g}", MARK)
    return panel


def _windows(series: WindowSeries) -> _Panel:
    """A point with its interval for each window; the other models' points in gray, with names at the last point."""
    names = list(dict.fromkeys(name for _, values in series.windows for name in values))
    ends = [
        end
        for _, values in series.windows
        for value in values.values()
        for end in (value.value, value.low, value.high)
        if end is not None
    ]
    span, count = _span(min(ends), max(ends)), len(series.windows)
    axes = ("start of the test window, UTC", series.metric)
    x = (-0.5, count * 1.2 - 0.5)  # with room for names beside the last points
    panel = _Panel(f"{series.metric} in windows in a row", x, span, axes, ticks=False)
    starts = [format_timestamp(at_us)[:16].split("T") for at_us, _ in series.windows]
    every = max(1, ceil(count * 80 / (PANEL_WIDTH - _LEFT - _RIGHT)))
    for number, (day, minute) in enumerate(starts):
        if number % every == 0:
            words = day if all(clock == "00:00" for _, clock in starts) else f"{day[5:]} {minute}"
            panel.text(panel.right(number), PANEL_HEIGHT - _BOTTOM + 18, words, 10, SOFT, "middle")
    for name in reversed(names):
        color = LINE if name == names[0] else SOFT
        points = [(number, values[name]) for number, (_, values) in enumerate(series.windows) if name in values]
        panel.curve([(number, value.value) for number, value in points], color)
        for number, value in points:
            if value.low is not None and value.high is not None:
                at = panel.right(number)
                panel.line(at, panel.down(value.low), at, panel.down(value.high), color, 1.4)
            panel.dot(number, value.value, color)
        last, value = points[-1]
        panel.text(panel.right(last) + 9, panel.down(value.value) + 4, name[:_NAME_LENGTH], 11, color, weight=600)
    return panel


def slice_name(part: SliceMetrics) -> str:
    """The slice as text; weekdays as names.

    >>> slice_name(SliceMetrics("weekday", "6", 1, 1, {}))
    'Sun'
    """
    if part.by == "weekday" and part.name in "0123456":
        return ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[int(part.name)]
    return part.name


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers in `[low, high]`.

    >>> _ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    step = 10.0 ** floor(log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    first = ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten in `[low, high]`; if there are few, also their multiples by 2 and 5.

    >>> _decades(0.02, 0.6)
    [0.02, 0.05, 0.1, 0.2, 0.5]
    """
    powers = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    fine = [round(factor * 10.0**power, 12) for power in powers for factor in (1, 2, 5)]
    within = [value for value in fine if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return within if len(within) <= 7 else [value for value in within if f"{value:e}".startswith("1.0")]


def _rounded_up(value: float) -> float:
    return _span(0.0, value)[1]


def _span(low: float, high: float) -> tuple[float, float]:
    """A range with round ends that contains both values with some margin."""
    room = (high - low or abs(high) or 1.0) * 0.06
    step = _ticks(low, high + room)
    width = step[1] - step[0] if len(step) > 1 else (high - low or 1.0)
    start = low if low == 0 else floor((low - room) / width) * width
    start = max(start, 0.0) if low > 0 else start
    return round(start, 12), round(ceil((high + room) / width) * width, 12)


def _wrapped(text: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return [*lines, line]


def table_cells(table: ReportTable) -> list[list[Any]]:
    """The rows as text; the marked row gets a star."""
    cells: list[list[Any]] = []
    for number, row in enumerate(table.rows):
        line: list[Any] = [
            f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
            for value in row
        ]
        if number == table.marked:
            line[0] = f"{line[0]} *"
        cells.append(line)
    return cells
